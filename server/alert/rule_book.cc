#include "server/alert/rule_book.h"

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "server/identity/tokens.h"
#include "server/query/page_token.h"

namespace pulseboard {
namespace {

std::string RowKey(TenantId tenant, std::string_view id) {
  std::string key;
  PutBigEndian(&key, tenant);
  return key.append(id);
}

absl::Status CheckRevision(const AlertRule& rule, int64_t revision) {
  if (rule.revision == revision) return absl::OkStatus();
  const std::string current = std::to_string(rule.revision);
  const std::string given = std::to_string(revision);
  return MakeError(ErrorReason::kRevisionMismatch,
                   "rule " + rule.id + " is at revision " + current + ", the change was made to revision " + given,
                   {{"ruleId", rule.id}, {"currentRevision", current}, {"givenRevision", given}});
}

}  // namespace

absl::StatusOr<std::unique_ptr<RuleBook>> RuleBook::Open(Table& table, const Clock& clock, int64_t max_rules) {
  InitCrypto();
  std::unique_ptr<RuleBook> book(new RuleBook(table, clock, max_rules));
  PB_RETURN_IF_ERROR(book->Load());
  return book;
}

absl::Status RuleBook::Load() {
  RuleMap rules;
  bool readable = true;
  PB_RETURN_IF_ERROR(table_.Scan("", "", [&](std::string_view key, std::string_view value) {
    AlertRule rule;
    readable = key.size() > sizeof(TenantId) && DecodeRule(value, &rule);
    if (!readable) return false;
    rule.id = key.substr(sizeof(TenantId));
    RuleKey rule_key(GetBigEndian<TenantId>(key), rule.id);
    rules.emplace(std::move(rule_key), std::make_shared<const AlertRule>(std::move(rule)));
    return true;
  }));
  if (!readable) return MakeError(ErrorReason::kBlockCorrupt, "table rules: a row is not readable");
  MutexLock lock(&mu_);
  rules_ = std::move(rules);
  return absl::OkStatus();
}

absl::StatusOr<RulePtr> RuleBook::FindLocked(TenantId tenant, const std::string& id) const {
  const auto it = rules_.find({tenant, id});
  if (it != rules_.end()) return it->second;
  return MakeError(ErrorReason::kRuleNotFound, "there is no rule " + Printable(id), {{"ruleId", Printable(id)}});
}

absl::StatusOr<RulePtr> RuleBook::Get(TenantId tenant, const std::string& id) const {
  MutexLock lock(&mu_);
  return FindLocked(tenant, id);
}

absl::StatusOr<RulePtr> RuleBook::Create(TenantId tenant, AlertRule rule, const std::string& by) {
  PB_RETURN_IF_ERROR(ValidateRule(rule));
  rule.id = NewId("rule_");
  rule.revision = 0;
  MutexLock write_lock(&write_mu_);
  {
    MutexLock lock(&mu_);
    if (static_cast<int64_t>(rules_.size()) >= max_rules_) {
      const std::string most = std::to_string(max_rules_);
      return MakeError(ErrorReason::kTooManyRules, "there are " + most + " rules (alert.max_rules)", {{"rules", most}});
    }
  }
  return Change(tenant, std::move(rule), by);
}

absl::StatusOr<RulePtr> RuleBook::Update(TenantId tenant, AlertRule rule, const std::string& by) {
  PB_RETURN_IF_ERROR(ValidateRule(rule));
  MutexLock write_lock(&write_mu_);
  RulePtr before;
  {
    MutexLock lock(&mu_);
    PB_ASSIGN_OR_RETURN(before, FindLocked(tenant, rule.id));
  }
  PB_RETURN_IF_ERROR(CheckRevision(*before, rule.revision));
  rule.created_unix_nanos = before->created_unix_nanos;
  rule.judged_since_revision = JudgesAlike(*before, rule) ? before->judged_since_revision : rule.revision + 1;
  return Change(tenant, std::move(rule), by);
}

absl::StatusOr<RulePtr> RuleBook::Change(TenantId tenant, AlertRule rule, const std::string& by) {
  ++rule.revision;
  rule.changed_unix_nanos = clock_.NowUnixNanos();
  rule.changed_by = by;
  if (rule.revision == 1) {
    rule.created_unix_nanos = rule.changed_unix_nanos;
    rule.judged_since_revision = 1;
  }
  PB_RETURN_IF_ERROR(table_.Put(RowKey(tenant, rule.id), EncodeRule(rule)));
  auto shared = std::make_shared<const AlertRule>(std::move(rule));
  {
    MutexLock lock(&mu_);
    rules_[{tenant, shared->id}] = shared;
  }
  if (on_change_) on_change_();
  return shared;
}

absl::Status RuleBook::Delete(TenantId tenant, const std::string& id, int64_t revision) {
  {
    MutexLock write_lock(&write_mu_);
    {
      MutexLock lock(&mu_);
      PB_ASSIGN_OR_RETURN(const RulePtr rule, FindLocked(tenant, id));
      if (revision != 0) PB_RETURN_IF_ERROR(CheckRevision(*rule, revision));
    }
    PB_RETURN_IF_ERROR(table_.Delete(RowKey(tenant, id)));
    MutexLock lock(&mu_);
    rules_.erase({tenant, id});
  }
  if (on_change_) on_change_();
  return absl::OkStatus();
}

absl::StatusOr<RulePage> RuleBook::List(TenantId tenant, int32_t page_size, const std::string& page_token) const {
  if (page_size < 0 || page_size > kMaxRulePage) {
    return BadField("page_size", std::to_string(page_size), "0 to " + std::to_string(kMaxRulePage));
  }
  if (page_size == 0) page_size = kDefaultRulePage;
  const std::string tenant_text = std::to_string(tenant);
  std::string after;
  if (!page_token.empty()) {
    PB_ASSIGN_OR_RETURN(after, ParsePageToken(page_token, {"rules", tenant_text}));
  }
  RulePage page;
  MutexLock lock(&mu_);
  for (auto it = rules_.upper_bound({tenant, after}); it != rules_.end() && it->first.first == tenant; ++it) {
    if (page.rules.size() == static_cast<size_t>(page_size)) {
      page.next_page_token = MakePageToken({"rules", tenant_text}, page.rules.back()->id);
      break;
    }
    page.rules.push_back(it->second);
  }
  return page;
}

RuleMap RuleBook::All() const {
  MutexLock lock(&mu_);
  return rules_;
}

}  // namespace pulseboard

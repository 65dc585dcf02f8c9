#include "server/alert/alert_ledger.h"

#include <algorithm>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/query/page_token.h"

namespace pulseboard {
namespace {

constexpr size_t kRowsAtOnce = 1'000;

absl::Status Unreadable() { return MakeError(ErrorReason::kBlockCorrupt, "table ledger: a row is not readable"); }

}  // namespace

bool LedgerFilter::Matches(const AlertTransition& t) const {
  if (!rule_id.empty() && t.rule_id != rule_id) return false;
  if (!to.empty() && std::find(to.begin(), to.end(), t.to) == to.end()) return false;
  if (std::max(t.from_severity, t.severity) < min_severity) return false;
  return !series || series->Matches(t.series);
}

absl::StatusOr<std::optional<alert_rows::Progress>> AlertLedger::Load() {
  PB_ASSIGN_OR_RETURN(const auto row, table_.Get(alert_rows::kProgressKey));
  if (!row) return std::optional<alert_rows::Progress>();
  alert_rows::Progress progress;
  if (!alert_rows::DecodeProgress(*row, &progress)) return Unreadable();
  last_sequence_ = progress.last_sequence;
  return std::optional(progress);
}

absl::Status AlertLedger::Append(std::vector<AlertTransition>* transitions, std::vector<Table::Change> states,
                                 alert_rows::Progress progress) {
  std::vector<Table::Change> changes = std::move(states);
  int64_t sequence = last_sequence_;
  for (AlertTransition& t : *transitions) {
    t.sequence = ++sequence;
    changes.push_back({alert_rows::TransitionKey(t.tenant, sequence), alert_rows::EncodeTransition(t)});
    changes.push_back({alert_rows::RuleKeyOf(t.tenant, t.rule_id, sequence), std::string()});
    changes.push_back({alert_rows::OrderKey(sequence), alert_rows::EncodeOrder({t.tenant, t.time_unix_nanos})});
  }
  progress.last_sequence = sequence;
  changes.push_back({std::string(alert_rows::kProgressKey), alert_rows::EncodeProgress(progress)});
  PB_RETURN_IF_ERROR(table_.Write(std::move(changes)));
  last_sequence_ = sequence;
  if (!transitions->empty()) Tell();
  return absl::OkStatus();
}

void AlertLedger::Tell() {
  std::vector<std::shared_ptr<LedgerFollower>> told;
  {
    MutexLock lock(&mu_);
    for (const auto& [id, weak] : followers_) {
      if (auto follower = weak.lock()) told.push_back(std::move(follower));
    }
  }
  for (const auto& follower : told) follower->OnLedger();
}

uint64_t AlertLedger::Follow(std::weak_ptr<LedgerFollower> follower) {
  MutexLock lock(&mu_);
  followers_[next_follower_] = std::move(follower);
  return next_follower_++;
}

void AlertLedger::Unfollow(uint64_t id) {
  MutexLock lock(&mu_);
  followers_.erase(id);
}

absl::StatusOr<AlertTransition> AlertLedger::Read(TenantId tenant, int64_t sequence, std::string_view bytes) const {
  AlertTransition transition;
  if (!alert_rows::DecodeTransition(bytes, &transition)) return Unreadable();
  transition.tenant = tenant;
  transition.sequence = sequence;
  return transition;
}

absl::StatusOr<int64_t> AlertLedger::FirstAt(int64_t unix_nanos) const {
  int64_t low = 1;
  int64_t high = last_sequence_ + 1;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    PB_ASSIGN_OR_RETURN(const auto row, table_.Get(alert_rows::OrderKey(middle)));
    alert_rows::OrderValue value;
    // What is not there any more is older than all that is.
    const bool older = !row || !alert_rows::DecodeOrder(*row, &value) || value.time_unix_nanos < unix_nanos;
    (older ? low : high) = older ? middle + 1 : middle;
  }
  return low;
}

absl::StatusOr<LedgerPage> AlertLedger::List(TenantId tenant, const LedgerRequest& request) const {
  if (request.page_size < 0 || request.page_size > kMaxLedgerPage) {
    return BadField("page_size", std::to_string(request.page_size), "0 to " + std::to_string(kMaxLedgerPage));
  }
  const auto size = static_cast<size_t>(request.page_size == 0 ? kDefaultLedgerPage : request.page_size);
  const std::string tenant_text = std::to_string(tenant);
  const std::string range_text = std::to_string(request.range.start) + "-" + std::to_string(request.range.end);
  int64_t newest = last_sequence_;
  if (!request.page_token.empty()) {
    PB_ASSIGN_OR_RETURN(const std::string position,
                        ParsePageToken(request.page_token, {"ledger", tenant_text, request.filter_text, range_text}));
    if (position.size() != sizeof(int64_t))
      return MakeError(ErrorReason::kBadPageToken, "page_token: not of this list");
    newest = GetLittleEndian<int64_t>(position);
  } else if (request.range.end != kAllTime.end) {
    PB_ASSIGN_OR_RETURN(newest, FirstAt(request.range.end));
    --newest;
  }
  int64_t oldest = 1;
  if (request.range.start != kAllTime.start) {
    PB_ASSIGN_OR_RETURN(oldest, FirstAt(request.range.start));
  }
  LedgerPage page;
  int64_t scanned = 0;
  int64_t next = 0;  // where the next page begins; 0: there is none
  absl::Status failed;
  const bool of_rule = !request.filter.rule_id.empty();
  const auto visit = [&](std::string_view key, std::string_view value) {
    const int64_t sequence = alert_rows::SequenceOf(key);
    if (sequence < oldest) return false;
    if (page.transitions.size() == size || scanned++ == options_.max_scanned) {
      next = sequence;
      return false;
    }
    absl::StatusOr<AlertTransition> transition = AlertTransition{};
    if (of_rule) {
      const auto row = table_.Get(alert_rows::TransitionKey(tenant, sequence));
      if (row.ok() && !*row) return true;  // retention took it in between
      transition = row.ok() ? Read(tenant, sequence, **row) : absl::StatusOr<AlertTransition>(row.status());
    } else {
      transition = Read(tenant, sequence, value);
    }
    if (!transition.ok()) {
      failed = transition.status();
      return false;
    }
    if (request.filter.Matches(*transition)) page.transitions.push_back(*std::move(transition));
    return true;
  };
  if (of_rule) {
    const std::string& rule = request.filter.rule_id;
    PB_RETURN_IF_ERROR(
        table_.Scan(alert_rows::RulePrefix(tenant, rule), alert_rows::RuleKeyOf(tenant, rule, newest), visit));
  } else {
    PB_RETURN_IF_ERROR(
        table_.Scan(alert_rows::TransitionPrefix(tenant), alert_rows::TransitionKey(tenant, newest), visit));
  }
  PB_RETURN_IF_ERROR(failed);
  if (next != 0) {
    std::string position;
    PutLittleEndian(&position, next);
    page.next_page_token = MakePageToken({"ledger", tenant_text, request.filter_text, range_text}, position);
  }
  return page;
}

absl::StatusOr<std::vector<AlertTransition>> AlertLedger::ReadAfter(std::optional<TenantId> tenant,
                                                                    const LedgerFilter& filter, size_t limit,
                                                                    int64_t* position, bool* more) const {
  const int64_t last = last_sequence_;
  std::vector<std::pair<int64_t, TenantId>> rows;
  bool readable = true;
  size_t looked_at = 0;
  int64_t reached = *position;
  PB_RETURN_IF_ERROR(table_.Scan(alert_rows::kAllInOrder, alert_rows::OrderKey(*position + 1),
                                 [&](std::string_view key, std::string_view value) {
                                   const int64_t sequence = alert_rows::SequenceOfOrderKey(key);
                                   if (sequence > last || rows.size() == limit) return false;
                                   if (looked_at++ == kRowsAtOnce) return false;
                                   alert_rows::OrderValue order;
                                   readable = alert_rows::DecodeOrder(value, &order);
                                   reached = sequence;
                                   if (!tenant || order.tenant == *tenant) rows.emplace_back(sequence, order.tenant);
                                   return readable;
                                 }));
  if (!readable) return Unreadable();
  std::vector<AlertTransition> out;
  for (const auto& [sequence, owner] : rows) {
    PB_ASSIGN_OR_RETURN(const auto row, table_.Get(alert_rows::TransitionKey(owner, sequence)));
    if (!row) continue;  // retention took it in between
    PB_ASSIGN_OR_RETURN(AlertTransition transition, Read(owner, sequence, *row));
    if (filter.Matches(transition)) out.push_back(std::move(transition));
  }
  *position = reached;
  *more = reached < last && looked_at > 0;
  return out;
}

absl::Status AlertLedger::Sweep() {
  const int64_t oldest = clock_.NowUnixNanos() - retention_ns_;
  while (true) {
    std::vector<std::pair<int64_t, TenantId>> old;
    PB_RETURN_IF_ERROR(table_.Scan(alert_rows::kAllInOrder, "", [&](std::string_view key, std::string_view value) {
      alert_rows::OrderValue order;
      if (old.size() == kRowsAtOnce || !alert_rows::DecodeOrder(value, &order)) return false;
      if (order.time_unix_nanos >= oldest) return false;
      old.emplace_back(alert_rows::SequenceOfOrderKey(key), order.tenant);
      return true;
    }));
    if (old.empty()) return absl::OkStatus();
    std::vector<Table::Change> changes;
    for (const auto& [sequence, tenant] : old) {
      changes.push_back({alert_rows::OrderKey(sequence), std::nullopt});
      const std::string key = alert_rows::TransitionKey(tenant, sequence);
      PB_ASSIGN_OR_RETURN(const auto row, table_.Get(key));
      AlertTransition transition;
      if (!row || !alert_rows::DecodeTransition(*row, &transition)) continue;
      changes.push_back({key, std::nullopt});
      changes.push_back({alert_rows::RuleKeyOf(tenant, transition.rule_id, sequence), std::nullopt});
    }
    PB_RETURN_IF_ERROR(table_.Write(std::move(changes)));
    PB_LOG(Info, "alert", "dropped transitions for retention count={}", old.size());
  }
}

}  // namespace pulseboard

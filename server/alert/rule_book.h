// RuleBook: the alert rules of all tenants, durable, with optimistic concurrency: who changes a rule says which
// revision he has seen.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "server/alert/alert_rule.h"
#include "server/storage/table.h"

namespace pulseboard {

using RulePtr = std::shared_ptr<const AlertRule>;
using RuleKey = std::pair<TenantId, std::string>;  // and id
using RuleMap = std::map<RuleKey, RulePtr>;

struct RulePage {
  std::vector<RulePtr> rules;
  std::string next_page_token;
};

inline constexpr int32_t kDefaultRulePage = 100;
inline constexpr int32_t kMaxRulePage = 1'000;

// Thread-safe. Table (`rules`) and clock must outlive it. What changes a rule writes to the disk before it returns.
class RuleBook {
 public:
  // `max_rules`: of all tenants together; beyond it TOO_MANY_RULES.
  static absl::StatusOr<std::unique_ptr<RuleBook>> Open(Table& table, const Clock& clock, int64_t max_rules);

  // Gives id, revision 1 and times. BAD_FIELD, BAD_SELECTOR, TOO_MANY_RULES. `by`: the user's name.
  absl::StatusOr<RulePtr> Create(TenantId tenant, AlertRule rule, const std::string& by);
  // RULE_NOT_FOUND.
  absl::StatusOr<RulePtr> Get(TenantId tenant, const std::string& id) const;
  // Replaces the rule of `rule.id`, whose revision must be `rule.revision`: else REVISION_MISMATCH. RULE_NOT_FOUND,
  // BAD_FIELD, BAD_SELECTOR.
  absl::StatusOr<RulePtr> Update(TenantId tenant, AlertRule rule, const std::string& by);
  // `revision` 0: whichever it is.
  absl::Status Delete(TenantId tenant, const std::string& id, int64_t revision);
  // By id. BAD_FIELD, BAD_PAGE_TOKEN.
  absl::StatusOr<RulePage> List(TenantId tenant, int32_t page_size, const std::string& page_token) const;

  RuleMap All() const;
  // Called after each change, on the thread that made it, without a lock held. Set once, before the first change.
  void SetOnChange(std::function<void()> on_change) { on_change_ = std::move(on_change); }

 private:
  RuleBook(Table& table, const Clock& clock, int64_t max_rules) : table_(table), clock_(clock), max_rules_(max_rules) {}
  absl::Status Load();
  absl::StatusOr<RulePtr> FindLocked(TenantId tenant, const std::string& id) const PB_REQUIRES(mu_);
  absl::StatusOr<RulePtr> Change(TenantId tenant, AlertRule rule, const std::string& by);

  Table& table_;
  const Clock& clock_;
  const int64_t max_rules_;
  std::function<void()> on_change_;
  Mutex write_mu_;  // outermost: one change at a time, over its write
  mutable Mutex mu_;
  RuleMap rules_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard

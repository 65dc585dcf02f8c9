// AlertLedger: every transition, durable, in order. Lists show the newest first; followers read on from a position.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/model/samples.h"
#include "common/model/selector.h"
#include "server/alert/alert_rows.h"
#include "server/alert/transition.h"
#include "server/storage/table.h"

namespace pulseboard {

struct AlertLedgerOptions {
  int64_t retention_ns = 400 * kNanosPerDay;  // alert.ledger_retention: older transitions go
  int64_t max_scanned = 5'000;                // transitions looked at for one page
};

struct LedgerFilter {
  std::string rule_id;                                // empty: of all rules
  std::optional<Selector> series;                     // which alerts
  std::vector<AlertState> to;                         // empty: all
  AlertSeverity min_severity = AlertSeverity::kNone;  // of either side

  bool Matches(const AlertTransition& transition) const;
};

struct LedgerRequest {
  LedgerFilter filter = {};
  std::string filter_text = {};  // anything that is equal for equal filters: binds page tokens
  TimeRange range = kAllTime;
  int32_t page_size = 0;  // 0: the default
  std::string page_token = {};
};

struct LedgerPage {
  std::vector<AlertTransition> transitions;  // newest first; may be fewer than asked for, with a next page
  std::string next_page_token;
};

inline constexpr int32_t kDefaultLedgerPage = 100;
inline constexpr int32_t kMaxLedgerPage = 1'000;

// Told that there are new transitions. Must not block.
class LedgerFollower {
 public:
  virtual ~LedgerFollower() = default;
  virtual void OnLedger() = 0;
};

// Thread-safe, but for Append, which one thread calls. Table (`ledger`) and clock must outlive it. All but Follow,
// Unfollow and last_sequence use the disk.
class AlertLedger {
 public:
  AlertLedger(Table& table, const Clock& clock, AlertLedgerOptions options)
      : table_(table), clock_(clock), options_(options), retention_ns_(options.retention_ns) {}

  // How far evaluation had got; nothing on a new table. To be called once, first.
  absl::StatusOr<std::optional<alert_rows::Progress>> Load();
  // Numbers the transitions and writes them together with `states` (rows of states) and `progress`, all or nothing.
  absl::Status Append(std::vector<AlertTransition>* transitions, std::vector<Table::Change> states,
                      alert_rows::Progress progress);

  // BAD_FIELD, BAD_PAGE_TOKEN.
  absl::StatusOr<LedgerPage> List(TenantId tenant, const LedgerRequest& request) const;
  // At most `limit` transitions after `*position` in order, of `tenant` (nothing: of all) that match; moves `*position`
  // behind what was looked at. `*more`: whether there is more to look at.
  absl::StatusOr<std::vector<AlertTransition>> ReadAfter(std::optional<TenantId> tenant, const LedgerFilter& filter,
                                                         size_t limit, int64_t* position, bool* more) const;
  int64_t last_sequence() const { return last_sequence_; }

  // Until Unfollow, `follower` is told of new transitions.
  uint64_t Follow(std::weak_ptr<LedgerFollower> follower);
  void Unfollow(uint64_t id);

  void SetRetention(int64_t retention_ns) { retention_ns_ = retention_ns; }
  // Drops what retention does not keep. To be called from time to time.
  absl::Status Sweep();

 private:
  absl::StatusOr<AlertTransition> Read(TenantId tenant, int64_t sequence, std::string_view bytes) const;
  // The first transition that is not older.
  absl::StatusOr<int64_t> FirstAt(int64_t unix_nanos) const;
  void Tell();

  Table& table_;
  const Clock& clock_;
  const AlertLedgerOptions options_;
  std::atomic<int64_t> retention_ns_;
  std::atomic<int64_t> last_sequence_{0};

  mutable Mutex mu_;
  uint64_t next_follower_ PB_GUARDED_BY(mu_) = 1;
  std::map<uint64_t, std::weak_ptr<LedgerFollower>> followers_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard

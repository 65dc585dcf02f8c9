// AlertEngine: alerts of a running server. Observes commits, judges them on a thread of its own, makes what changed
// durable, then tells of it.
//
// The way of a sample: OnCommit (under the store's commit lock) copies samples of watched series into a bounded queue;
// the alert thread judges them (AlertBoard), writes transitions, states and how far it got in one write (AlertLedger)
// and calls the observers. So what was told is durable, and after a crash evaluation goes on at the first commit that
// is not in the ledger: it is read back from the store's log.
//
// Lock order: the store's commit lock, WatchQueue; board_mu_, WatchQueue. The disk is used without any of them.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "server/alert/alert_board.h"
#include "server/alert/alert_ledger.h"
#include "server/alert/rule_book.h"
#include "server/alert/transition.h"
#include "server/alert/watch_queue.h"
#include "server/storage/store.h"

namespace pulseboard {

struct AlertOptions {
  AlertBoardOptions board;
  AlertLedgerOptions ledger;
  int64_t max_rules = 10'000;              // alert.max_rules: of all tenants together, else TOO_MANY_RULES
  int64_t max_queued_samples = 1'000'000;  // alert.max_queued_samples: waiting to be judged; beyond, only the newest
                                           // sample of each series is looked at
  int64_t progress_interval_ns = kNanosPerSecond;  // how often it is written how far evaluation got
};

struct AlertListRequest {
  std::string rule_id = {};             // empty: of all rules
  std::vector<AlertState> states = {};  // empty: all
  int32_t page_size = 0;                // 0: the default
  std::string page_token = {};
};
struct AlertPage {
  std::vector<AlertStatus> alerts;  // by rule and series
  std::string next_page_token;
};
inline constexpr int32_t kDefaultAlertPage = 100;
inline constexpr int32_t kMaxAlertPage = 1'000;

struct AlertStats {
  int64_t rules = 0;
  int64_t alerts = 0;
  int64_t pending = 0;
  int64_t firing = 0;  // RECOVERING ones too
  int64_t unknown = 0;
  int64_t unwatched_samples = 0;  // of series that are not watched because there are alert.max_alerts
  int64_t judged_samples = 0;
  int64_t transitions = 0;  // since start
  int64_t overflows = 0;    // times the queue was full
  int64_t failed_writes = 0;
  int64_t last_latency_ns = 0;  // from commit to durable of the newest transition that a sample caused
};

// Thread-safe. Made before the store, which observes through it; opened once the store is; stopped before it closes.
class AlertEngine final : public CommitObserver {
 public:
  AlertEngine(const Clock& clock, AlertOptions options);
  ~AlertEngine() override;

  // Before Open. It must outlive Stop.
  void AddObserver(TransitionObserver& observer) { observers_.push_back(&observer); }
  // Takes up what was before the restart and begins to judge. No sample may be committed meanwhile.
  absl::Status Open(Store& store);
  // Writes what was judged and ends the thread. Idempotent.
  void Stop();

  void OnCommit(const CommittedBatch& batch) noexcept override { queue_.Offer(batch); }

  // REQUIRES for all below: Open.
  RuleBook& rules() { return *rules_; }
  AlertLedger& ledger() { return *ledger_; }
  // Uses no disk. BAD_FIELD, BAD_PAGE_TOKEN.
  absl::StatusOr<AlertPage> List(TenantId tenant, const AlertListRequest& request) const;
  AlertStats Stats() const;

 private:
  void Run();
  void CatchUp();
  // Takes over the rules as they are and looks for the series of new ones. `first`: before any sample.
  void TakeRules(int64_t now, bool first) PB_EXCLUDES(board_mu_);
  absl::Status RestoreStates(int64_t now) PB_EXCLUDES(board_mu_);
  void Judge(const std::vector<WatchedSample>& samples) PB_EXCLUDES(board_mu_);
  // The newest samples of all watched series, for those that were not seen come by.
  void JudgeNewest() PB_EXCLUDES(board_mu_);
  void FillWindows() PB_EXCLUDES(board_mu_);
  // Writes and tells. False when the disk refused: then it is tried again, and nothing more judged until then.
  bool Flush(bool progress_due);
  void Note(const std::vector<AlertTransition>& transitions);

  const Clock& clock_;
  const AlertOptions options_;
  AlertTimeline timeline_;
  WatchQueue queue_;
  Store* store_ = nullptr;
  std::unique_ptr<RuleBook> rules_;
  std::unique_ptr<AlertLedger> ledger_;
  std::vector<TransitionObserver*> observers_;

  mutable Mutex board_mu_;
  AlertBoard board_ PB_GUARDED_BY(board_mu_);

  // The alert thread's.
  std::optional<alert_rows::Progress> before_;  // how far the process before had got
  int64_t commit_sequence_ = 0;                 // judged up to here
  AlertOutput unwritten_;
  int64_t progress_written_ = 0;  // when, monotonic

  std::atomic<int64_t> transitions_{0};
  std::atomic<int64_t> failed_writes_{0};
  std::atomic<int64_t> last_latency_ns_{0};
  std::thread thread_;
};

}  // namespace pulseboard

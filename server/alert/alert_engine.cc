#include "server/alert/alert_engine.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/query/page_token.h"

namespace pulseboard {
namespace {

constexpr size_t kSamplesPerLock = 10'000;
constexpr size_t kWindowsAtOnce = 256;

}  // namespace

AlertEngine::AlertEngine(const Clock& clock, AlertOptions options)
    : clock_(clock),
      options_(options),
      timeline_(clock),
      queue_(timeline_, static_cast<size_t>(options.max_queued_samples)),
      board_(options.board) {}

AlertEngine::~AlertEngine() { Stop(); }

absl::Status AlertEngine::Open(Store& store) {
  store_ = &store;
  PB_ASSIGN_OR_RETURN(rules_, RuleBook::Open(store.GetTable("rules"), clock_, options_.max_rules));
  ledger_ = std::make_unique<AlertLedger>(store.GetTable("ledger"), clock_, options_.ledger);
  PB_ASSIGN_OR_RETURN(before_, ledger_->Load());
  timeline_.Begin(before_ ? before_->alert_time : clock_.NowUnixNanos());
  store.Cut([this](int64_t commit) { commit_sequence_ = commit; });
  const int64_t now = timeline_.Now();
  TakeRules(now, true);
  PB_RETURN_IF_ERROR(RestoreStates(now));
  rules_->SetOnChange([this] {
    queue_.SetOn(true);
    queue_.Poke();
  });
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void AlertEngine::Stop() {
  queue_.Stop();
  if (thread_.joinable()) thread_.join();
}

absl::Status AlertEngine::RestoreStates(int64_t now) {
  std::vector<std::pair<alert_rows::StateKey, alert_rows::StateValue>> rows;
  bool readable = true;
  const auto visit = [&](std::string_view key, std::string_view bytes) {
    auto& [state_key, value] = rows.emplace_back();
    readable = alert_rows::DecodeStateKey(key, &state_key) && alert_rows::DecodeState(bytes, &value);
    return readable;
  };
  PB_RETURN_IF_ERROR(store_->GetTable("ledger").Scan(alert_rows::kAllStates, "", visit));
  if (!readable) return MakeError(ErrorReason::kBlockCorrupt, "table ledger: a row is not readable");
  const int64_t wall = clock_.NowUnixNanos();
  MutexLock lock(&board_mu_);
  for (const auto& [key, value] : rows) board_.Restore(key, value, store_->GetSeries(key.series), now, wall);
  return absl::OkStatus();
}

void AlertEngine::TakeRules(int64_t now, bool first) {
  const RuleMap rules = rules_->All();
  queue_.SetOn(!rules.empty());
  MutexLock lock(&board_mu_);
  for (const RuleKey& key : board_.SetRules(rules, now, clock_.NowUnixNanos())) {
    for (const SeriesId id : store_->SelectSeries(key.first, board_.SelectorOf(key))) {
      const auto series = store_->GetSeries(id);
      if (series == nullptr) continue;
      // A series that no rule was asked about yet is new, and all of them have to be. At the start all rules are.
      if (first || board_.IsClassified(id)) {
        board_.Watch(key, series);
      } else {
        board_.Classify(series);
      }
      queue_.SetWatched(id, true);
    }
  }
  if (!first) return;
  std::set<TenantId> tenants;
  for (const auto& [key, rule] : rules) tenants.insert(key.first);
  for (const TenantId tenant : tenants) {
    for (const SeriesId id : store_->SelectSeries(tenant, Selector())) {
      queue_.SetWatched(id, board_.MarkClassified(id));
    }
  }
}

void AlertEngine::Run() {
  CatchUp();
  while (true) {
    int64_t edge = 0;
    {
      MutexLock lock(&board_mu_);
      edge = board_.NextEdge();
    }
    const int64_t now = timeline_.Now();
    const int64_t wait = std::clamp<int64_t>(edge == AlertMachine::kNever ? kNanosPerSecond : edge - now, 0,
                                             std::min(kNanosPerSecond, options_.progress_interval_ns));
    WatchQueue::Taken taken = queue_.Take(std::chrono::nanoseconds(wait));
    // First the rules: what committed after a rule was made is judged by it.
    if (taken.poked) TakeRules(taken.samples.empty() ? taken.now : taken.samples.front().arrived, false);
    Judge(taken.samples);
    if (taken.overflowed) JudgeNewest();
    FillWindows();
    {
      MutexLock lock(&board_mu_);
      board_.Advance(taken.now, clock_.NowUnixNanos());
    }
    commit_sequence_ = std::max(commit_sequence_, taken.commit_sequence);
    const bool due = clock_.MonotonicNanos() - progress_written_ >= options_.progress_interval_ns;
    while (!Flush(due || taken.stopping)) {
      // Samples meanwhile wait in the queue; what does not fit is made good by JudgeNewest.
      if (queue_.WaitForStop(std::chrono::seconds(1))) return;
    }
    if (taken.stopping) return;
  }
}

void AlertEngine::Judge(const std::vector<WatchedSample>& samples) {
  const int64_t wall = clock_.NowUnixNanos();
  for (size_t begin = 0; begin < samples.size(); begin += kSamplesPerLock) {
    MutexLock lock(&board_mu_);
    const size_t end = std::min(samples.size(), begin + kSamplesPerLock);
    for (size_t i = begin; i < end; ++i) {
      const WatchedSample& sample = samples[i];
      if (!board_.IsClassified(sample.series)) {
        const auto series = store_->GetSeries(sample.series);
        if (series == nullptr) continue;
        queue_.SetWatched(sample.series, board_.Classify(series));
      }
      board_.Take(sample, wall);
    }
  }
}

void AlertEngine::JudgeNewest() {
  std::vector<SeriesId> watched;
  {
    MutexLock lock(&board_mu_);
    watched = board_.WatchedSeries();
  }
  std::vector<WatchedSample> samples;
  const int64_t now = timeline_.Now();
  for (const SeriesId series : watched) {
    const auto newest = store_->Latest(series);
    if (!newest.ok() || !*newest) continue;
    MutexLock lock(&board_mu_);
    if ((*newest)->time_unix_nanos <= board_.NewestJudged(series)) continue;
    samples.push_back({series, (*newest)->time_unix_nanos, (*newest)->value, clock_.NowUnixNanos(), now, false});
  }
  Judge(samples);
}

void AlertEngine::CatchUp() {
  if (!before_ || rules_->All().empty()) return;
  FillWindows();
  absl::Status read = store_->CheckPosition(before_->epoch, before_->commit_sequence);
  if (read.ok()) {
    std::vector<WatchedSample> samples;
    const int64_t now = timeline_.Now();
    read = store_->ReadCommits(before_->commit_sequence, commit_sequence_, [&](const CommittedBatch& batch) {
      samples.clear();
      size_t next_late = 0;
      for (size_t i = 0; i < batch.series.size(); ++i) {
        const bool late = next_late < batch.late.size() && batch.late[next_late] == i;
        next_late += late ? 1 : 0;
        samples.push_back({batch.series[i], batch.times[i], batch.values[i], batch.committed_unix_nanos, now, late});
      }
      Judge(samples);
      return absl::OkStatus();
    });
  }
  if (read.ok()) return;
  PB_LOG(Warning, "alert", "read back no commits, looking at the newest samples reason={}", StatusMessage(read));
  JudgeNewest();
}

void AlertEngine::FillWindows() {
  std::vector<AlertBoard::Unfilled> unfilled;
  {
    MutexLock lock(&board_mu_);
    unfilled = board_.TakeUnfilled();
  }
  const int64_t wall = clock_.NowUnixNanos();
  for (size_t begin = 0; begin < unfilled.size(); begin += kWindowsAtOnce) {
    const size_t end = std::min(unfilled.size(), begin + kWindowsAtOnce);
    std::vector<SeriesId> series;
    int64_t longest = 0;
    for (size_t i = begin; i < end; ++i) {
      series.push_back(unfilled[i].series);
      longest = std::max(longest, unfilled[i].window_ns);
    }
    std::sort(series.begin(), series.end());
    series.erase(std::unique(series.begin(), series.end()), series.end());
    const TimeRange range{wall - 2 * longest, kAllTime.end};
    auto view = store_->OpenView(series, range, nullptr);
    if (!view.ok()) continue;  // the windows fill with what comes
    for (size_t i = begin; i < end; ++i) {
      const TimeRange window{wall - 2 * unfilled[i].window_ns, kAllTime.end};
      const auto samples = (*view)->Read(unfilled[i].series, window);
      if (!samples.ok()) continue;
      MutexLock lock(&board_mu_);
      board_.FillWindow(unfilled[i], *samples);
    }
  }
}

bool AlertEngine::Flush(bool progress_due) {
  bool has_rules = false;
  {
    MutexLock lock(&board_mu_);
    AlertOutput output = board_.TakeOutput();
    std::move(output.transitions.begin(), output.transitions.end(), std::back_inserter(unwritten_.transitions));
    std::move(output.states.begin(), output.states.end(), std::back_inserter(unwritten_.states));
    has_rules = board_.alerts() > 0;
  }
  if (unwritten_.empty() && !(progress_due && has_rules)) return true;
  const alert_rows::Progress progress{timeline_.Now(), store_->epoch(), commit_sequence_, 0};
  const absl::Status written = ledger_->Append(&unwritten_.transitions, unwritten_.states, progress);
  if (!written.ok()) {
    if (failed_writes_++ == 0) PB_LOG(Warning, "alert", "kept transitions waiting reason={}", StatusMessage(written));
    return false;
  }
  progress_written_ = clock_.MonotonicNanos();
  Note(unwritten_.transitions);
  unwritten_ = {};
  return true;
}

void AlertEngine::Note(const std::vector<AlertTransition>& transitions) {
  if (transitions.empty()) return;
  transitions_ += static_cast<int64_t>(transitions.size());
  const AlertTransition& newest = transitions.back();
  if (newest.cause == AlertCause::kSample) last_latency_ns_ = clock_.NowUnixNanos() - newest.committed_unix_nanos;
  for (TransitionObserver* observer : observers_) observer->OnTransitions(transitions);
}

absl::StatusOr<AlertPage> AlertEngine::List(TenantId tenant, const AlertListRequest& request) const {
  if (request.page_size < 0 || request.page_size > kMaxAlertPage) {
    return BadField("page_size", std::to_string(request.page_size), "0 to " + std::to_string(kMaxAlertPage));
  }
  const auto size = static_cast<size_t>(request.page_size == 0 ? kDefaultAlertPage : request.page_size);
  const std::string tenant_text = std::to_string(tenant);
  std::string states_text;
  for (const AlertState state : request.states) states_text.append(AlertStateName(state)).append(" ");
  std::string rule_id = request.rule_id;
  SeriesId after = 0;
  if (!request.page_token.empty()) {
    PB_ASSIGN_OR_RETURN(const std::string position,
                        ParsePageToken(request.page_token, {"alerts", tenant_text, request.rule_id, states_text}));
    if (position.size() < sizeof(after)) return MakeError(ErrorReason::kBadPageToken, "page_token: not of this list");
    after = GetLittleEndian<SeriesId>(position);
    rule_id = position.substr(sizeof(after));
  }
  AlertPage page;
  bool more = false;
  MutexLock lock(&board_mu_);
  board_.Visit(tenant, rule_id, after, [&](const AlertStatus& alert) {
    if (!request.rule_id.empty() && alert.rule->id != request.rule_id) return false;
    const auto& states = request.states;
    if (!states.empty() && std::find(states.begin(), states.end(), alert.state) == states.end()) return true;
    more = page.alerts.size() == size;
    if (!more) page.alerts.push_back(alert);
    return !more;
  });
  if (more) {
    std::string position;
    PutLittleEndian(&position, page.alerts.back().series->id);
    page.next_page_token =
        MakePageToken({"alerts", tenant_text, request.rule_id, states_text}, position + page.alerts.back().rule->id);
  }
  return page;
}

AlertStats AlertEngine::Stats() const {
  AlertStats stats;
  stats.rules = static_cast<int64_t>(rules_->All().size());
  {
    MutexLock lock(&board_mu_);
    stats.alerts = board_.alerts();
    stats.pending = board_.in_state(AlertState::kPending);
    stats.firing = board_.in_state(AlertState::kFiring) + board_.in_state(AlertState::kRecovering);
    stats.unknown = board_.in_state(AlertState::kUnknown);
    stats.unwatched_samples = board_.unwatched();
    stats.judged_samples = board_.judged();
  }
  stats.transitions = transitions_;
  stats.overflows = queue_.overflows();
  stats.failed_writes = failed_writes_;
  stats.last_latency_ns = last_latency_ns_;
  return stats;
}

}  // namespace pulseboard

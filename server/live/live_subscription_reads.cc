// The reading half of LiveSubscription: one step at a time on a reader thread, each bounded in what it holds.
#include <algorithm>
#include <map>
#include <utility>

#include "common/analysis/rollup.h"
#include "common/base/errors.h"
#include "common/base/worker_pool.h"
#include "server/live/live_subscription.h"
#include "server/live/subscription_index.h"
#include "server/query/series_reader.h"

namespace pulseboard {
namespace {

constexpr size_t kMaxChunkRows = 8'000;
constexpr int64_t kEventBytes = 64;
constexpr int64_t kRowBytes = sizeof(PendingRow);
constexpr int64_t kMaxScannedPerStep =
    4'000'000;                          // samples of the log looked at in one step: others wait for the thread
constexpr size_t kRowsPerLock = 1'024;  // the committer may wait for this lock
// Samples that committed after a moment may be this much older than it and still not be late.
constexpr int64_t kRestateSlack = 600 * kNanosPerSecond;
constexpr int64_t kSparseAhead = 2 * kNanosPerDay;  // beyond the clock by this much hardly anything is stored

}  // namespace

size_t LiveSubscription::ChunkRows() const {
  return std::clamp<size_t>(static_cast<size_t>(BufferLimit() / 4 / kRowBytes), 1, kMaxChunkRows);
}

void LiveSubscription::RequestReadLocked() {
  if (reading_) return;
  reading_ = context_.readers.TrySubmit([self = shared_from_this()] { self->ReadStep(); });
}

void LiveSubscription::StageLocked(LiveEvent event, int64_t bytes) {
  if (ended_ || failure_) return;
  staged_.emplace_back(std::move(event), bytes);
  staged_bytes_ += bytes;
  AccountLocked();
}

void LiveSubscription::ReadStep() {
  Phase phase;
  bool updates = false;
  bool redraws = false;
  {
    MutexLock lock(&mu_);
    const bool over = ended_ || failure_;
    phase = over ? Phase::kLive : phase_;
    updates = phase == Phase::kLive && update_ && !over;
    redraws = !over && (redrawing_after_ || (phase == Phase::kLive && RedrawDueLocked()));
  }
  absl::Status status;
  const bool extras = (phase == Phase::kBackfill || phase == Phase::kCatchUp) && extras_.any();
  if (extras) {
    status = extras_.aggregates.empty() ? ReadEventHistory() : ReadAggregates();
  } else {
    status = ReadPhase(phase, updates, redraws);
  }
  if (!status.ok()) Fail(status);
  bool over = false;
  {
    MutexLock lock(&mu_);
    over = ended_ || failure_ || phase_ == Phase::kLive;
  }
  if (over) ReleaseView();
  MutexLock lock(&mu_);
  reading_ = false;
  if (ended_) return;
  ScheduleLocked(context_.clock().MonotonicNanos());
  if (!failure_ && WantsReadLocked()) RequestReadLocked();
}

absl::Status LiveSubscription::ReadPhase(Phase phase, bool updates, bool redraws) {
  switch (phase) {
    case Phase::kOpening:
      return Open();
    case Phase::kBackfill:
      return redraws ? ReadRedraw() : ReadBackfill();
    case Phase::kCatchUp:
      return ReadLog();
    case Phase::kLive:
      break;
  }
  if (updates) return CarryOutUpdate();
  return redraws ? Redraw() : absl::OkStatus();
}

absl::Status LiveSubscription::Open() {
  Store& store = *context_.store.load();
  LiveQuerySetPtr queries;
  {
    MutexLock lock(&mu_);
    queries = queries_;
  }
  // First the topic's selectors, then the selection: a series that appears in between is found by one of the two.
  const auto topic = context_.index.Join(this, queries->topic_key, queries->topic_selectors);
  if (topic == nullptr) return absl::OkStatus();  // ended meanwhile
  PB_RETURN_IF_ERROR(FollowEvents(*queries, &extras_));
  PB_ASSIGN_OR_RETURN(auto aggregates, JoinAggregates(store, *queries, {}, nullptr, &extras_));
  PB_ASSIGN_OR_RETURN(std::vector<History> histories, SelectHistories(store, *queries, *topic, nullptr));
  {
    MutexLock lock(&mu_);
    topic_ = topic;
    aggregates_ = std::move(aggregates);
    sent_time_ = resume_after_ ? resume_after_->time_unix_nanos : backfill_.now_unix_nanos;
  }
  if (resume_after_ || histories.empty()) return CutWithoutView(store);
  return OpenBackfill(store, std::move(histories), [this](int64_t cut) { AttachAtCut(cut); });
}

absl::StatusOr<std::vector<LiveSubscription::History>> LiveSubscription::SelectHistories(
    Store& store, const LiveQuerySet& queries, LiveTopic& topic, const std::vector<LiveQuerySpec>* only) {
  std::map<SeriesId, std::vector<int32_t>> picked;  // by which of the topic's selectors
  for (size_t i = 0; i < queries.topic_selectors.size(); ++i) {
    for (const SeriesId id : store.SelectSeries(spec_.tenant, queries.topic_selectors[i])) {
      picked[id].push_back(static_cast<int32_t>(i));
    }
  }
  if (picked.size() > static_cast<size_t>(context_.options.max_series_per_subscription)) return TooManySeries();
  const auto wanted = [only](const LiveQuerySpec& query) {
    return only == nullptr || std::any_of(only->begin(), only->end(),
                                          [&](const LiveQuerySpec& one) { return one.query_id == query.query_id; });
  };
  const int64_t now = context_.clock().NowUnixNanos();
  std::vector<History> histories;
  std::vector<TopicSeries> series;
  for (auto& [id, selectors] : picked) {
    auto info = store.GetSeries(id);
    if (info == nullptr) continue;
    History history{id, 0, {now, kAllTime.end}, 0};
    for (const int32_t number : queries.QueriesOf(selectors)) {
      const LiveQuerySpec& query = queries.queries[static_cast<size_t>(number)];
      if (!wanted(query) || now - query.backfill_ns >= history.range.start) continue;
      history.range.start = now - query.backfill_ns;
      history.width = queries.pixel_widths[static_cast<size_t>(number)];
    }
    if (history.range.start < now) histories.push_back(history);
    series.push_back({std::move(info), std::move(selectors)});
  }
  if (!context_.index.AddSeries(topic, series)) return TooManySeries();
  for (History& history : histories) history.ref = topic.RefOf(history.series);
  backfill_.now_unix_nanos = now;
  return histories;
}

void LiveSubscription::AttachAtCut(int64_t commit_sequence) {
  const auto shared = topic();
  if (shared == nullptr) return;
  shared->Cut([this, commit_sequence] {
    MutexLock lock(&mu_);
    AttachLocked(commit_sequence);
  });
}

void LiveSubscription::AttachLocked(int64_t commit_sequence) {
  if (ended_ || failure_) return;
  pending_.Clear();
  cut_ = commit_sequence;
  attached_ = true;
  ++rounds_;
}

absl::Status LiveSubscription::CutWithoutView(Store& store) {
  int64_t newest = 0;
  store.Cut([this, &newest](int64_t commit_sequence) {
    newest = commit_sequence;
    AttachAtCut(commit_sequence);
  });
  if (resume_after_ && resume_after_->samples_sequence > newest) {
    return MakeError(ErrorReason::kBadResumeToken,
                     "resume_token is ahead of this server's data; subscribe anew without token",
                     {{"commitSequence", std::to_string(newest)}});
  }
  backfill_.started_ns = context_.clock().MonotonicNanos();
  MutexLock lock(&mu_);
  if (!resume_after_) {
    if (extras_.any()) {
      phase_ = Phase::kBackfill;
    } else {
      FinishBackfillLocked();
    }
    return absl::OkStatus();
  }
  ++context_.catch_ups;
  read_to_ = token_at_ = resume_after_->commit_sequence;
  phase_ = Phase::kCatchUp;
  return absl::OkStatus();
}

absl::Status LiveSubscription::OpenBackfill(Store& store, std::vector<History> histories,
                                            const std::function<void(int64_t)>& at_cut) {
  std::vector<SeriesId> ids;
  TimeRange range{kAllTime.end, kAllTime.start};
  const int64_t now = backfill_.now_unix_nanos;
  for (const History& history : histories) {
    if (ids.empty() || ids.back() != history.series) ids.push_back(history.series);
    const TimeRange readable = LineOf(history).readable;
    range = {std::min(range.start, readable.start), std::max(range.end, readable.end)};
  }
  backfill_ = {};
  backfill_.now_unix_nanos = now;
  PB_ASSIGN_OR_RETURN(backfill_.view, store.OpenView(ids, range, at_cut));
  backfill_.histories = std::move(histories);
  backfill_.started_ns = context_.clock().MonotonicNanos();
  MutexLock lock(&mu_);
  phase_ = Phase::kBackfill;
  return absl::OkStatus();
}

void LiveSubscription::FinishBackfillLocked() {
  StageLocked({LiveBackfillDone{cut_}, TokenLocked(cut_)}, kEventBytes);
  read_to_ = cut_;
  if (attached_) return BecomeLiveLocked();
  phase_ = Phase::kCatchUp;
  ++context_.catch_ups;
}

absl::Status LiveSubscription::ReadBackfill() {
  if (const int64_t limit = context_.options.max_backfill_ns;
      context_.clock().MonotonicNanos() - backfill_.started_ns > limit) {
    ++context_.slow_consumers;
    const std::string limit_ms = std::to_string(limit / kNanosPerMilli);
    return MakeError(ErrorReason::kSlowConsumer,
                     "the backfill was not taken within " + limit_ms + " ms (live.max_backfill_duration); ask for less",
                     {{"limitMs", limit_ms}, {"setting", "live.max_backfill_duration"}});
  }
  LiveBackfill chunk;
  PB_RETURN_IF_ERROR(FillBackfillChunk(&chunk));
  const bool done = backfill_.done();
  MutexLock lock(&mu_);
  if (!chunk.columns.empty()) {
    const int64_t bytes = HeldBytes(chunk.columns);
    StageLocked({std::move(chunk), ""}, bytes);
  }
  if (done) FinishBackfillLocked();
  return absl::OkStatus();
}

absl::Status LiveSubscription::FillBackfillChunk(LiveBackfill* chunk) {
  size_t room = ChunkRows();
  while (!ended()) {
    room -= AddPiece(room, chunk);
    if (room == 0) return absl::OkStatus();
    if (backfill_.reader == nullptr) {
      if (backfill_.next == backfill_.histories.size()) return absl::OkStatus();
      const History& history = backfill_.histories[backfill_.next++];
      backfill_.ref = history.ref;
      const auto tiers = context_.store.load()->Tiers(spec_.tenant);
      backfill_.reader = std::make_unique<SeriesReader>(
          *backfill_.view, history.series, std::make_shared<const LinePlan>(PlanLine(LineOf(history), tiers)));
    }
    const auto scanned = [this] { return backfill_.reader->scanned_samples() + backfill_.reader->scanned_rollups(); };
    const int64_t scanned_before = scanned();
    PB_ASSIGN_OR_RETURN(backfill_.ready, backfill_.reader->Next());
    backfill_.ready_at = 0;
    backfill_.scanned_samples += scanned() - scanned_before;
    if (backfill_.reader->done()) backfill_.reader = nullptr;
    if (backfill_.scanned_samples > context_.options.max_backfill_samples) return BackfillTooBroad();
  }
  return absl::OkStatus();
}

LineRequest LiveSubscription::LineOf(const History& history) const {
  const int64_t now = backfill_.now_unix_nanos;
  LineRequest line = {history.range,
                      {history.range.start, now},
                      0,
                      now + kSparseAhead,
                      now,
                      context_.store.load()->RawRetention(spec_.tenant)};
  if (history.width == 0) return line;
  const int64_t end = BucketStart(std::min(history.range.end, now + history.width), history.width);
  line.readable.start = line.columns.start = BucketStart(history.range.start, history.width);
  line.columns.end = std::max(end, line.columns.start + history.width);
  line.max_points = static_cast<int32_t>((line.columns.end - line.columns.start) / history.width);
  return line;
}

size_t LiveSubscription::AddPiece(size_t max_rows, LiveBackfill* chunk) {
  const size_t count = std::min(max_rows, backfill_.ready.size() - backfill_.ready_at);
  if (count == 0) return 0;
  if (chunk->columns.empty() || chunk->columns.back().ref != backfill_.ref)
    chunk->columns.push_back({backfill_.ref, {}});
  SampleColumns& to = chunk->columns.back().samples;  // may hold an earlier day of the same series
  const auto first = static_cast<ptrdiff_t>(backfill_.ready_at);
  const auto last = first + static_cast<ptrdiff_t>(count);
  to.times.insert(to.times.end(), backfill_.ready.times.begin() + first, backfill_.ready.times.begin() + last);
  to.values.insert(to.values.end(), backfill_.ready.values.begin() + first, backfill_.ready.values.begin() + last);
  backfill_.ready_at += count;
  return count;
}

absl::Status LiveSubscription::ReadLog() {
  Store& store = *context_.store.load();
  int64_t from = 0;
  int64_t to = 0;
  {
    MutexLock lock(&mu_);
    from = read_to_;
    to = cut_;
  }
  if (from < to) {
    const absl::Status read = ReadLogPart(store, from, to);
    if (HasReason(read, ErrorReason::kResumeTokenExpired)) return Restate(store, read);
    PB_RETURN_IF_ERROR(read);
  }
  bool cut_again = false;
  {
    MutexLock lock(&mu_);
    if (read_to_ < cut_) return absl::OkStatus();
    if (attached_) {
      BecomeLiveLocked();
    } else {
      cut_again = true;
    }
  }
  // The commit lock comes before our own, so it is taken without it.
  if (cut_again) store.Cut([this](int64_t commit_sequence) { AttachAtCut(commit_sequence); });
  return absl::OkStatus();
}

absl::Status LiveSubscription::Restate(Store& store, const absl::Status& cause) {
  LiveQuerySetPtr queries;
  int64_t since = 0;
  {
    MutexLock lock(&mu_);
    queries = queries_;
    since = sent_time_;
  }
  const int64_t oldest = context_.clock().NowUnixNanos() - store.RawRetention(spec_.tenant);
  if (since < oldest) {
    ErrorDetail detail = GetErrorDetail(cause).value_or(ErrorDetail());
    detail.metadata["oldestTimeUnixNanos"] = std::to_string(oldest);
    detail.metadata["tokenTimeUnixNanos"] = std::to_string(since);
    return MakeErrorFromDetail(cause, detail);
  }
  int64_t back = kRestateSlack;
  for (const LiveQuerySpec& query : queries->queries) back = std::max(back, query.backfill_ns);
  const int64_t start = since - back;
  const auto shared = topic();
  PB_ASSIGN_OR_RETURN(std::vector<History> histories, SelectHistories(store, *queries, *shared, nullptr));
  histories.clear();
  for (const TopicSeries& series : shared->SeriesFrom(0, shared->series_count())) {
    if (series.info == nullptr) continue;
    const int64_t width = queries->PixelWidthOf(series.selectors);
    const int64_t columns = width == 0 ? 0 : (backfill_.now_unix_nanos - start) / width;
    // Whole columns become one where there are too many.
    histories.push_back(
        {series.info->id, series.ref, {start, kAllTime.end}, width * (1 + columns / kMaxBackfillPoints)});
  }
  {
    MutexLock lock(&mu_);
    StageLocked({LiveRestated{start}, ""}, kEventBytes);
    rounds_ = 0;
  }
  return OpenBackfill(store, std::move(histories), [this](int64_t cut) { AttachAtCut(cut); });
}

absl::Status LiveSubscription::BackfillTooBroad() const {
  const std::string limit = std::to_string(context_.options.max_backfill_samples);
  return MakeError(ErrorReason::kQueryTooBroad,
                   "the backfill read " + std::to_string(backfill_.scanned_samples) +
                       " samples and is not done; at most " + limit + " (live.max_backfill_samples) would be accepted",
                   {{"sampleCount", std::to_string(backfill_.scanned_samples)},
                    {"limit", limit},
                    {"setting", "live.max_backfill_samples"}});
}

void LiveSubscription::CollectRows(const CommittedBatch& batch, const LiveTopic& topic, std::vector<PendingRow>* rows) {
  // The stream before this one may have ended between a frame's samples and its amends.
  const bool only_late = resume_after_ && batch.commit_sequence <= resume_after_->samples_sequence;
  size_t late_at = 0;
  for (size_t start = 0; start < batch.series.size(); start += kRowsPerLock) {
    topic.Collect(batch, start, std::min(batch.series.size(), start + kRowsPerLock), &late_at, only_late, rows);
  }
}

absl::Status LiveSubscription::ReadLogPart(Store& store, int64_t from, int64_t to) {
  std::vector<PendingRow> rows;
  LiveTimes times;
  int64_t reached = from;
  int64_t scanned = 0;
  bool full = false;
  const size_t target = ChunkRows();
  const auto shared = topic();
  const absl::Status read = store.ReadCommits(from, to, [&](const CommittedBatch& batch) -> absl::Status {
    if (ended()) return absl::CancelledError("the subscription ended");
    if (batch.tenant == spec_.tenant) {
      const bool first = rows.empty();
      CollectRows(batch, *shared, &rows);
      if (first && !rows.empty()) {
        times = {batch.pushed_unix_nanos, batch.received_unix_nanos, batch.committed_unix_nanos};
      }
    }
    reached = batch.commit_sequence;
    scanned += static_cast<int64_t>(batch.series.size());
    full = rows.size() >= target || scanned >= kMaxScannedPerStep;
    return full ? absl::AbortedError("enough for one step") : absl::OkStatus();
  });
  if (!read.ok() && !full) return read;
  if (read.ok()) reached = to;
  SplitColumns columns = ToSplitColumns(&rows);
  const bool any = !columns.samples.empty() || !columns.amends.empty();
  const int64_t bytes = HeldBytes(columns.samples) + HeldBytes(columns.amends);
  MutexLock lock(&mu_);
  read_to_ = reached;
  if (!any) return absl::OkStatus();
  // Counted among what is staged, not as a frame that is shared.
  auto frame = std::make_shared<LiveFrame>(std::move(columns.samples), std::move(columns.amends), times, from + 1,
                                           reached, context_.unshared_bytes);
  auto [first, second] = FrameEventsLocked({std::move(frame)}, reached);
  StageLocked(std::move(first), bytes);
  if (second) StageLocked(*std::move(second), 0);
  return absl::OkStatus();
}

}  // namespace pulseboard

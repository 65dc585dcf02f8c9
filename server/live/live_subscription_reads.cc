// The reading half of LiveSubscription: one step at a time on a reader thread, each bounded in what it holds.
#include <algorithm>
#include <map>
#include <utility>

#include "common/base/errors.h"
#include "common/base/worker_pool.h"
#include "server/live/live_subscription.h"
#include "server/live/subscription_index.h"
#include "server/query/series_reader.h"

namespace pulseboard {
namespace {

constexpr size_t kMaxChunkRows = 8'000;
constexpr int64_t kRowBytes = sizeof(PendingRow);
constexpr int64_t kMaxScannedPerStep =
    4'000'000;                          // samples of the log looked at in one step: others wait for the thread
constexpr size_t kRowsPerLock = 1'024;  // the committer may wait for this lock
constexpr int64_t kSparseAhead = 2 * kNanosPerDay;  // beyond the clock by this much hardly anything is stored

int64_t Bytes(const std::vector<LiveColumn>& columns) {
  int64_t bytes = 0;
  for (const LiveColumn& column : columns) bytes += 64 + static_cast<int64_t>(column.samples.size()) * kRowBytes;
  return bytes;
}

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
  {
    MutexLock lock(&mu_);
    phase = ended_ || failure_ ? Phase::kLive : phase_;
  }
  absl::Status status;
  switch (phase) {
    case Phase::kOpening:
      status = Open();
      break;
    case Phase::kBackfill:
      status = ReadBackfill();
      break;
    case Phase::kCatchUp:
      status = ReadLog();
      break;
    case Phase::kLive:
      break;
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

absl::Status LiveSubscription::Open() {
  Store& store = *context_.store.load();
  // First the selectors, then the selection: a series that appears in between is found by one of the two.
  context_.index.AddSelectors(this);
  PB_ASSIGN_OR_RETURN(std::vector<History> histories, SelectHistories(store));
  if (resume_after_ || histories.empty()) return CutWithoutView(store);
  return CutWithView(store, std::move(histories));
}

absl::StatusOr<std::vector<LiveSubscription::History>> LiveSubscription::SelectHistories(Store& store) {
  struct Picked {
    std::vector<int32_t> queries;
    int64_t backfill_ns = 0;
    int32_t max_points = 0;
  };
  std::map<SeriesId, Picked> picked;
  for (size_t i = 0; i < spec_.queries.size(); ++i) {
    const LiveQuerySpec& query = spec_.queries[i];
    for (const SeriesId id : store.SelectSeries(spec_.tenant, selectors_[i])) {
      Picked& series = picked[id];
      series.queries.push_back(static_cast<int32_t>(i));
      if (query.backfill_ns > series.backfill_ns) {
        series.backfill_ns = query.backfill_ns;
        series.max_points = query.max_points;
      }
    }
  }
  const int64_t now = context_.clock().NowUnixNanos();
  std::vector<History> histories;
  std::vector<std::pair<SeriesId, uint32_t>> refs;
  for (const auto& [id, series] : picked) {
    const auto info = store.GetSeries(id);
    if (info == nullptr) continue;
    const uint32_t ref = AddSeries(info, series.queries);
    if (ref == 0) break;  // too many, or ended meanwhile: both are noted
    refs.emplace_back(id, ref);
    if (series.backfill_ns > 0) histories.push_back({id, ref, now - series.backfill_ns, series.max_points});
  }
  context_.index.AddRoutes(this, refs);
  backfill_.now_unix_nanos = now;
  return histories;
}

void LiveSubscription::AttachAtCut(int64_t commit_sequence) {
  MutexLock lock(&mu_);
  if (ended_ || failure_) return;
  pending_.Clear();
  AccountLocked();
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
  MutexLock lock(&mu_);
  if (!resume_after_) {
    FinishBackfillLocked();
    return absl::OkStatus();
  }
  ++context_.catch_ups;
  read_to_ = token_at_ = resume_after_->commit_sequence;
  phase_ = Phase::kCatchUp;
  return absl::OkStatus();
}

absl::Status LiveSubscription::CutWithView(Store& store, std::vector<History> histories) {
  std::vector<SeriesId> ids;
  TimeRange range{kAllTime.end, kAllTime.end};
  for (const History& history : histories) {
    ids.push_back(history.series);
    range.start = std::min(range.start, history.start);
  }
  PB_ASSIGN_OR_RETURN(backfill_.view, store.OpenView(ids, range, [this](int64_t cut) { AttachAtCut(cut); }));
  backfill_.histories = std::move(histories);
  backfill_.started_ns = context_.clock().MonotonicNanos();
  MutexLock lock(&mu_);
  phase_ = Phase::kBackfill;
  return absl::OkStatus();
}

void LiveSubscription::FinishBackfillLocked() {
  StageLocked({LiveBackfillDone{cut_}, TokenLocked(cut_)}, 64);
  read_to_ = cut_;
  phase_ = attached_ ? Phase::kLive : Phase::kCatchUp;
  if (!attached_) ++context_.catch_ups;
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
  const bool done = backfill_.reader == nullptr && backfill_.next == backfill_.histories.size() &&
                    backfill_.ready_at == backfill_.ready.size();
  MutexLock lock(&mu_);
  if (!chunk.columns.empty()) {
    const int64_t bytes = Bytes(chunk.columns);
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
      const int64_t now = backfill_.now_unix_nanos;
      const Store& store = *context_.store.load();
      const LineRequest request = {
          {history.start, kAllTime.end},   {history.start, now}, history.max_points, now + kSparseAhead, now,
          store.RawRetention(spec_.tenant)};
      backfill_.reader = std::make_unique<SeriesReader>(
          *backfill_.view, history.series,
          std::make_shared<const LinePlan>(PlanLine(request, store.Tiers(spec_.tenant))));
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
  if (from < to) PB_RETURN_IF_ERROR(ReadLogPart(store, from, to));
  bool cut_again = false;
  {
    MutexLock lock(&mu_);
    if (read_to_ < cut_) return absl::OkStatus();
    if (attached_) {
      phase_ = Phase::kLive;
    } else {
      cut_again = true;
    }
  }
  // The commit lock comes before our own, so it is taken without it.
  if (cut_again) store.Cut([this](int64_t commit_sequence) { AttachAtCut(commit_sequence); });
  return absl::OkStatus();
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

void LiveSubscription::CollectRows(const CommittedBatch& batch, std::vector<PendingRow>* rows) {
  // The stream before this one may have ended between a frame's samples and its amends.
  const bool only_late = resume_after_ && batch.commit_sequence <= resume_after_->samples_sequence;
  auto late = batch.late.begin();
  for (size_t start = 0; start < batch.series.size(); start += kRowsPerLock) {
    const size_t end = std::min(batch.series.size(), start + kRowsPerLock);
    MutexLock lock(&mu_);
    for (size_t i = start; i < end; ++i) {
      const bool is_late = late != batch.late.end() && *late == i;
      if (is_late) ++late;
      if (only_late && !is_late) continue;
      const auto known = refs_.find(batch.series[i]);
      if (known != refs_.end()) rows->push_back({known->second.ref, is_late, batch.times[i], batch.values[i]});
    }
  }
}

absl::Status LiveSubscription::ReadLogPart(Store& store, int64_t from, int64_t to) {
  std::vector<PendingRow> rows;
  LiveTimes times;
  int64_t reached = from;
  int64_t scanned = 0;
  bool full = false;
  const size_t target = ChunkRows();
  const absl::Status read = store.ReadCommits(from, to, [&](const CommittedBatch& batch) -> absl::Status {
    if (ended()) return absl::CancelledError("the subscription ended");
    if (batch.tenant == spec_.tenant) {
      const bool first = rows.empty();
      CollectRows(batch, &rows);
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
  MutexLock lock(&mu_);
  read_to_ = reached;
  StageFrameLocked(std::move(columns), times, reached);
  return absl::OkStatus();
}

void LiveSubscription::StageFrameLocked(SplitColumns columns, const LiveTimes& times, int64_t position) {
  const int64_t late = CountSamples(columns.amends);
  context_.delivered_samples += CountSamples(columns.samples) + late;
  context_.late_samples += late;
  if (!columns.samples.empty()) {
    const int64_t bytes = Bytes(columns.samples);
    std::string token = late > 0 ? SamplesTokenLocked(position) : TokenLocked(position);
    StageLocked({LiveSamples{std::move(columns.samples), times}, std::move(token)}, bytes);
  }
  if (late > 0) {
    const int64_t bytes = Bytes(columns.amends);
    StageLocked({LiveAmends{std::move(columns.amends), times}, TokenLocked(position)}, bytes);
  }
}

}  // namespace pulseboard

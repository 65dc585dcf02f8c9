#include "server/live/live_subscription.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/worker_pool.h"
#include "server/live/frame_pump.h"
#include "server/live/resume_token.h"
#include "server/live/subscription_index.h"

namespace pulseboard {
namespace {

constexpr size_t kFrameRows = 16'384;  // a live frame holds about so many samples at most (but whole commits)
constexpr size_t kDefinitionsPerEvent = 1'000;
constexpr size_t kDefinitionBytesPerEvent = 256 << 10;
constexpr int32_t kMaxRounds = 8;  // catch-up rounds; afterwards overflow is dropped, so that it comes to an end

size_t DefinitionBytes(const LiveDefinition& definition) {
  const SeriesInfo& info = *definition.series;
  size_t bytes = 64 + info.key.metric.size() + info.metadata.unit.size() + info.metadata.description.size();
  for (const Label& label : info.key.labels) bytes += 8 + label.name.size() + label.value.size();
  return bytes;
}

}  // namespace

int64_t LiveContext::BufferShare(int64_t wanted) const {
  if (buffered_bytes.load(std::memory_order_relaxed) <= options.max_total_buffer_bytes) return wanted;
  return std::min(wanted, options.max_total_buffer_bytes / std::max<int64_t>(1, index.size()));
}

LiveSubscription::LiveSubscription(LiveContext& context, SubscriptionSpec spec, std::vector<Selector> selectors,
                                   uint64_t queries_hash, std::optional<ResumePosition> resume_after,
                                   std::weak_ptr<LiveSink> sink)
    : context_(context),
      spec_(std::move(spec)),
      selectors_(std::move(selectors)),
      queries_hash_(queries_hash),
      resume_after_(resume_after),
      frame_interval_ns_(kNanosPerSecond / spec_.max_frames_per_second),
      sink_(std::move(sink)),
      offered_ns_(context.clock().MonotonicNanos()) {}

LiveSubscription::~LiveSubscription() = default;

void LiveSubscription::Start() {
  MutexLock lock(&mu_);
  if (started_ || ended_) return;
  started_ = true;
  offered_ns_ = context_.clock().MonotonicNanos();
  RequestReadLocked();
  if (failure_ || drain_) ScheduleLocked(offered_ns_);
}

void LiveSubscription::Ready() {
  MutexLock lock(&mu_);
  in_flight_ = false;
  in_flight_bytes_ = 0;
  if (ended_) return;
  AccountLocked();
  ScheduleLocked(context_.clock().MonotonicNanos());
}

void LiveSubscription::Drain(const absl::Status& status) {
  MutexLock lock(&mu_);
  if (ended_ || drain_) return;
  drain_ = status;
  ScheduleLocked(context_.clock().MonotonicNanos());
}

void LiveSubscription::Close() {
  {
    MutexLock lock(&mu_);
    ended_ = true;
    ForgetLocked();
  }
  context_.index.Remove(this);
}

void LiveSubscription::Fail(const absl::Status& status) {
  MutexLock lock(&mu_);
  if (ended_ || failure_) return;
  failure_ = status;
  ForgetLocked();
  ScheduleLocked(context_.clock().MonotonicNanos());
}

void LiveSubscription::EndNow(const absl::Status& status) {
  {
    MutexLock lock(&mu_);
    if (std::exchange(ended_, true)) return;
    ForgetLocked();
  }
  context_.index.Remove(this);
  if (const auto sink = sink_.lock()) sink->End(status);
}

void LiveSubscription::ForgetLocked() {
  if (phase_ == Phase::kBackfill) RequestReadLocked();  // lets go of the view, on a reader thread
  attached_ = false;
  pending_.Clear();
  staged_.clear();
  staged_bytes_ = 0;
  undefined_.clear();
  in_flight_bytes_ = 0;
  AccountLocked();
}

bool LiveSubscription::ended() const {
  MutexLock lock(&mu_);
  return ended_ || failure_;
}

uint32_t LiveSubscription::AddSeries(const std::shared_ptr<const SeriesInfo>& info,
                                     const std::vector<int32_t>& queries) {
  std::string got;
  {
    MutexLock lock(&mu_);
    if (ended_ || failure_) return 0;
    if (const auto known = refs_.find(info->id); known != refs_.end()) return known->second.ref;
    if (refs_.size() < static_cast<size_t>(context_.options.max_series_per_subscription)) {
      const auto ref = static_cast<uint32_t>(refs_.size() + 1);
      refs_[info->id] = {ref, false};
      LiveDefinition definition{ref, info, {}};
      if (spec_.queries.size() > 1) {
        for (const int32_t query : queries)
          definition.query_ids.push_back(spec_.queries[static_cast<size_t>(query)].query_id);
      }
      undefined_.push_back(std::move(definition));
      if (phase_ == Phase::kLive) ScheduleLocked(context_.clock().MonotonicNanos());
      return ref;
    }
    got = std::to_string(refs_.size() + 1);
  }
  const std::string limit = std::to_string(context_.options.max_series_per_subscription);
  Fail(MakeError(ErrorReason::kQueryTooBroad,
                 "the subscription picks " + got + " series or more; at most " + limit +
                     " (live.max_series_per_subscription) would be accepted",
                 {{"seriesCount", got}, {"limit", limit}, {"setting", "live.max_series_per_subscription"}}));
  return 0;
}

bool LiveSubscription::MarkRouted(SeriesId series) {
  MutexLock lock(&mu_);
  const auto it = refs_.find(series);
  return it != refs_.end() && !std::exchange(it->second.routed, true);
}

std::vector<SeriesId> LiveSubscription::TakeRoutes() {
  std::vector<SeriesId> series;
  MutexLock lock(&mu_);
  for (const auto& [id, ref] : refs_) {
    if (ref.routed) series.push_back(id);
  }
  refs_.clear();
  return series;
}

int64_t LiveSubscription::PendingLimitLocked() const {
  // While history is being read, half of the buffer is for it.
  return phase_ == Phase::kLive ? BufferLimit() : BufferLimit() / 2;
}

bool LiveSubscription::WantsReadLocked() const {
  return phase_ != Phase::kLive && (staged_.empty() || staged_bytes_ < BufferLimit() / 4);
}

void LiveSubscription::AccountLocked() {
  const int64_t held = pending_.bytes() + staged_bytes_ + in_flight_bytes_;
  context_.buffered_bytes += held - std::exchange(accounted_bytes_, held);
}

void LiveSubscription::AppendLive(int64_t commit_sequence, const LiveTimes& times, std::span<const PendingRow> rows) {
  MutexLock lock(&mu_);
  if (ended_ || failure_ || !attached_) return;
  if (phase_ != Phase::kLive && rounds_ < kMaxRounds) {
    if (!pending_.TryAppend(commit_sequence, times, rows, PendingLimitLocked())) {
      pending_.Clear();  // the log has it: read it there, after another cut
      attached_ = false;
    }
    AccountLocked();
    return;
  }
  const int64_t dropped = pending_.Append(commit_sequence, times, rows, PendingLimitLocked());
  AccountLocked();
  dropped_total_ += dropped;
  context_.dropped_samples += dropped;
  if (phase_ == Phase::kLive && !in_flight_)
    ScheduleLocked(std::max(next_frame_ns_, context_.clock().MonotonicNanos()));
}

void LiveSubscription::ScheduleLocked(int64_t due_ns) {
  if (due_ns >= scheduled_ns_) return;
  scheduled_ns_ = due_ns;
  context_.pump.Schedule(shared_from_this(), due_ns);
}

void LiveSubscription::Pump() {
  const std::shared_ptr<LiveSink> sink = sink_.lock();
  if (sink == nullptr) {
    Close();
    return;
  }
  std::optional<LiveEvent> event;
  std::optional<absl::Status> end;
  {
    MutexLock lock(&mu_);
    scheduled_ns_ = std::numeric_limits<int64_t>::max();
    if (ended_ || !started_) return;
    const int64_t now = context_.clock().MonotonicNanos();
    if (failure_) {
      end = failure_;
    } else if (!in_flight_) {
      event = NextEventLocked(now);
      if (event) {
        in_flight_ = true;
        answered_ = true;
        offered_ns_ = now;
        AccountLocked();
      } else if (drain_) {
        end = drain_;
      }
      if (WantsReadLocked()) RequestReadLocked();
    }
  }
  if (end) {
    EndNow(*end);
  } else if (event) {
    ++context_.frames;
    sink->Offer(*std::move(event));
  }
}

std::optional<LiveEvent> LiveSubscription::NextEventLocked(int64_t now) {
  if (!undefined_.empty()) return TakeDefinitionsLocked();
  if (!staged_.empty()) {
    auto [event, bytes] = std::move(staged_.front());
    staged_.pop_front();
    staged_bytes_ -= bytes;
    in_flight_bytes_ = bytes;
    return std::move(event);
  }
  if (phase_ == Phase::kLive) {
    if (auto event = NextLiveEventLocked(now)) return event;
  }
  // The first word comes at once: a receiver that resumed and has missed nothing learns that it is connected.
  const bool silent_for_long = !answered_ || now - offered_ns_ >= context_.options.progress_interval_ns;
  if (silent_for_long && pending_.empty() && !drain_) return ProgressLocked();
  return std::nullopt;
}

std::optional<LiveEvent> LiveSubscription::NextLiveEventLocked(int64_t now) {
  if (auto gap = pending_.TakeGap()) return LiveEvent{*gap, ""};
  if (!pending_.empty()) {
    if (now >= next_frame_ns_ || drain_) return TakeSamplesLocked(now);
    ScheduleLocked(next_frame_ns_);
    return std::nullopt;
  }
  // The last word before a drained stream ends: a position to resume from.
  if (drain_ && !std::exchange(final_progress_sent_, true)) return ProgressLocked();
  return std::nullopt;
}

LiveEvent LiveSubscription::TakeDefinitionsLocked() {
  LiveDefinitions event;
  size_t bytes = 0;
  while (!undefined_.empty() && event.definitions.size() < kDefinitionsPerEvent && bytes < kDefinitionBytesPerEvent) {
    bytes += DefinitionBytes(undefined_.front());
    event.definitions.push_back(std::move(undefined_.front()));
    undefined_.pop_front();
  }
  return {std::move(event), ""};
}

LiveEvent LiveSubscription::TakeSamplesLocked(int64_t now) {
  const int64_t published = context_.index.published_commit();
  const int64_t bytes_before = pending_.bytes();
  PendingSamples::Frame frame = pending_.TakeFrame(kFrameRows);
  in_flight_bytes_ = bytes_before - pending_.bytes();
  next_frame_ns_ = now + frame_interval_ns_;
  context_.delivered_samples += frame.sample_count;
  context_.late_samples += CountSamples(frame.columns.amends);
  // With nothing left pending, all that was published is sent.
  const int64_t position = pending_.empty() ? std::max(frame.last_commit, published) : frame.last_commit;
  SplitColumns& columns = frame.columns;
  if (columns.samples.empty()) return {LiveAmends{std::move(columns.amends), frame.times}, TokenLocked(position)};
  if (columns.amends.empty()) return {LiveSamples{std::move(columns.samples), frame.times}, TokenLocked(position)};
  LiveEvent samples{LiveSamples{std::move(columns.samples), frame.times}, SamplesTokenLocked(position)};
  // The amends follow at once; they count as in flight with the samples.
  staged_.emplace_back(LiveEvent{LiveAmends{std::move(columns.amends), frame.times}, TokenLocked(position)}, 0);
  return samples;
}

LiveEvent LiveSubscription::ProgressLocked() {
  LiveProgress progress;
  progress.server_time_unix_nanos = context_.clock().NowUnixNanos();
  progress.dropped_sample_count = dropped_total_;
  std::string token;
  if (phase_ == Phase::kLive) {
    progress.commit_sequence = std::max(cut_, context_.index.published_commit());
    token = TokenLocked(progress.commit_sequence);
  }
  return {progress, std::move(token)};
}

std::string LiveSubscription::TokenLocked(int64_t commit_sequence) {
  token_at_ = commit_sequence;
  return SamplesTokenLocked(commit_sequence);
}

std::string LiveSubscription::SamplesTokenLocked(int64_t samples_sequence) const {
  const Store& store = *context_.store.load();
  const int64_t resumed = resume_after_ ? resume_after_->samples_sequence : 0;
  return MakeResumeToken(store.store_id(), queries_hash_,
                         {token_at_, std::max(samples_sequence, resumed), store.epoch()});
}

void LiveSubscription::Sweep() {
  const int64_t now = context_.clock().MonotonicNanos();
  {
    MutexLock lock(&mu_);
    if (ended_ || failure_ || !started_) return;
    if (!in_flight_) {
      if (now - offered_ns_ >= context_.options.progress_interval_ns) ScheduleLocked(now);
      return;
    }
    if (now - offered_ns_ < context_.options.max_stall_ns) return;
  }
  ++context_.slow_consumers;
  const std::string limit = std::to_string(context_.options.max_stall_ns / kNanosPerMilli);
  Fail(MakeError(ErrorReason::kSlowConsumer,
                 "the receiver took nothing for " + limit + " ms (live.max_stall); resume with the last token",
                 {{"limitMs", limit}, {"setting", "live.max_stall"}}));
}

}  // namespace pulseboard

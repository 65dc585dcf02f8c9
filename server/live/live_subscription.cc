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

constexpr int64_t kFrameRows = 16'384;  // a message holds about so many samples at most (but whole frames)
constexpr size_t kDefinitionsPerEvent = 1'000;
constexpr size_t kDefinitionBytesPerEvent = 256 << 10;

size_t DefinitionBytes(const LiveDefinition& definition) {
  const SeriesInfo& info = *definition.series;
  size_t bytes = 64 + info.key.metric.size() + info.metadata.unit.size() + info.metadata.description.size();
  for (const Label& label : info.key.labels) bytes += 8 + label.name.size() + label.value.size();
  return bytes;
}

constexpr int64_t kMinStreamAge = 10 * kNanosPerSecond;  // clients come back at once

// Now and 90 to 110 % of the greatest age: streams that began together do not all come back together.
int64_t EndOfLife(const LiveContext& context, const void* stream) {
  if (context.options.max_stream_age_ns <= 0) return std::numeric_limits<int64_t>::max();
  const int64_t age = std::max(context.options.max_stream_age_ns, kMinStreamAge);
  const int64_t now = context.clock().MonotonicNanos();
  const uint64_t mixed = (reinterpret_cast<uintptr_t>(stream) ^ static_cast<uint64_t>(now)) * 0x9e3779b97f4a7c15ULL;
  return now + age / 10 * 9 + static_cast<int64_t>((mixed >> 32) % static_cast<uint64_t>(age / 5 + 1));
}

}  // namespace

int64_t LiveContext::BufferShare(int64_t wanted) const {
  if (buffered_bytes.load(std::memory_order_relaxed) <= options.max_total_buffer_bytes) return wanted;
  return std::min(wanted, options.max_total_buffer_bytes / std::max<int64_t>(1, index.size()));
}

LiveSubscription::LiveSubscription(LiveContext& context, SubscriptionSpec spec, LiveQuerySetPtr queries,
                                   std::optional<ResumePosition> resume_after, std::weak_ptr<LiveSink> sink)
    : context_(context),
      spec_(std::move(spec)),
      resume_after_(resume_after),
      frame_interval_ns_(kNanosPerSecond / spec_.max_frames_per_second),
      sink_(std::move(sink)),
      ends_ns_(EndOfLife(context, this)),
      offered_ns_(context.clock().MonotonicNanos()),
      queries_(std::move(queries)) {}

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
  if (ended_) return;
  const bool only_frames = phase_ == Phase::kLive && staged_.empty() && !HasUndefinedLocked() && !drain_ && !failure_ &&
                           stale_.empty() && redraw_.empty() && !HasAggregateNewsLocked();
  if (only_frames && pending_.empty() && !pending_.has_gap()) return;  // whatever comes next brings its own call
  const int64_t now = context_.clock().MonotonicNanos();
  ScheduleLocked(only_frames && !pending_.has_gap() ? std::max(now, FrameDueLocked()) : now);
}

void LiveSubscription::Drain(const absl::Status& status) {
  if (const auto shared = topic()) shared->Cut([] {});  // what committed is pending now
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
  UnfollowEvents();
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
  UnfollowEvents();
  context_.index.Remove(this);
  if (const auto sink = sink_.lock()) sink->End(status);
}

void LiveSubscription::ForgetLocked() {
  if (phase_ == Phase::kBackfill) RequestReadLocked();  // lets go of the view, on a reader thread
  attached_ = false;
  pending_.Clear();
  staged_.clear();
  staged_bytes_ = 0;
  AccountLocked();
}

bool LiveSubscription::ended() const {
  MutexLock lock(&mu_);
  return ended_ || failure_;
}

std::shared_ptr<LiveTopic> LiveSubscription::topic() const {
  MutexLock lock(&mu_);
  return topic_;
}

void LiveSubscription::FailTooManySeries() { Fail(TooManySeries()); }

absl::Status LiveSubscription::TooManySeries() const {
  const std::string limit = std::to_string(context_.options.max_series_per_subscription);
  return MakeError(ErrorReason::kQueryTooBroad,
                   "the subscription picks more than " + limit +
                       " series (live.max_series_per_subscription), the most that would be accepted",
                   {{"limit", limit}, {"setting", "live.max_series_per_subscription"}});
}

int64_t LiveSubscription::PendingLimitLocked() const {
  // While history is being read, half of the buffer is for it.
  return phase_ == Phase::kLive ? BufferLimit() : BufferLimit() / 2;
}

bool LiveSubscription::WantsReadLocked() {
  if (phase_ == Phase::kLive) return update_.has_value() || RedrawDueLocked();
  return staged_.empty() || staged_bytes_ < BufferLimit() / 4;
}

void LiveSubscription::AccountLocked() {
  // Frames account for themselves: they are shared.
  context_.buffered_bytes += staged_bytes_ - std::exchange(accounted_bytes_, staged_bytes_);
}

int64_t LiveSubscription::PixelWidthLocked(uint32_t ref) const {
  return queries_->PixelWidthOf(topic_->SelectorsOf(ref));
}

bool LiveSubscription::AppendFrame(const LiveTopic* topic, const LiveFramePtr& frame, int64_t tick_ns,
                                   bool pump_follows) {
  MutexLock lock(&mu_);
  if (ended_ || failure_ || !attached_ || topic != topic_.get()) return false;
  last_tick_ns_ = std::max(last_tick_ns_, tick_ns);
  if (phase_ != Phase::kLive && rounds_ < kMaxCatchUpRounds) {
    if (!pending_.TryAppend(frame, PendingLimitLocked())) {
      pending_.Clear();  // the log has it: read it there, after another cut
      attached_ = false;
    }
    return false;
  }
  const bool goes_at_once = phase_ == Phase::kLive && !in_flight_ && pending_.empty();
  const FrameQueue::Loss loss = pending_.Append(
      frame, goes_at_once ? std::numeric_limits<int64_t>::max() : PendingLimitLocked(),
      [this](uint32_t ref) PB_NO_THREAD_SAFETY_ANALYSIS { return PixelWidthLocked(ref); }, context_.buffered_bytes);
  dropped_total_ += loss.dropped;
  context_.dropped_samples += loss.dropped;
  conflated_total_ += loss.conflated;
  context_.conflated_samples += loss.conflated;
  if (phase_ != Phase::kLive || in_flight_) return false;
  const int64_t due = FrameDueLocked();
  if (pump_follows && tick_ns >= due) return true;
  ScheduleLocked(std::max(due, context_.clock().MonotonicNanos()));
  return false;
}

void LiveSubscription::NoteStale(const LiveTopic* topic, const std::vector<uint32_t>& refs) {
  MutexLock lock(&mu_);
  if (ended_ || failure_ || phase_ != Phase::kLive || topic != topic_.get()) return;
  stale_.insert(stale_.end(), refs.begin(), refs.end());
  if (!in_flight_) ScheduleLocked(context_.clock().MonotonicNanos());
}

void LiveSubscription::BecomeLiveLocked() {
  phase_ = Phase::kLive;
  stale_ = topic_->StaleRefs();
  if (event_news_) RequestEventsLocked();
}

int64_t LiveSubscription::FrameDueLocked() const {
  // Before the next one is due rather than losing something.
  return pending_.bytes() > BufferLimit() / 2 ? std::numeric_limits<int64_t>::min() : next_frame_ns_;
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
        AccountLocked();  // what was staged is the receiver's now
      } else if (drain_) {
        end = drain_;
      }
      if (WantsReadLocked()) RequestReadLocked();
      if (event_news_) RequestEventsLocked();
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
  if (HasUndefinedLocked()) return TakeDefinitionsLocked();
  if (!staged_.empty()) {
    auto [event, bytes] = std::move(staged_.front());
    staged_.pop_front();
    staged_bytes_ -= bytes;
    if (std::holds_alternative<LiveUpdated>(event.what)) switching_ = false;
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
  if (!pending_.empty() && (now >= FrameDueLocked() || drain_)) return TakeSamplesLocked();
  if (auto event = TakeAggregatesLocked()) return event;
  if (!pending_.empty()) {
    ScheduleLocked(next_frame_ns_);
    return std::nullopt;
  }
  if (!stale_.empty()) {
    // Some may have come back meanwhile.
    LiveStale event{topic_->StillStale(std::exchange(stale_, {}))};
    if (!event.refs.empty()) return LiveEvent{std::move(event), ""};
  }
  // The last word before a drained stream ends: a position to resume from.
  if (drain_ && !std::exchange(final_progress_sent_, true)) return ProgressLocked();
  return std::nullopt;
}

bool LiveSubscription::HasUndefinedLocked() const {
  if (topic_ == nullptr || switching_) return false;
  return defined_ < topic_->series_count() || std::any_of(aggregates_.begin(), aggregates_.end(), [](const auto& one) {
           return one.defined < one.source->line_count();
         });
}

LiveEvent LiveSubscription::TakeDefinitionsLocked() {
  LiveDefinitions event;
  size_t bytes = 0;
  for (const TopicSeries& series : topic_->SeriesFrom(defined_, kDefinitionsPerEvent)) {
    ++defined_;
    if (series.info == nullptr) continue;  // gone
    event.definitions.push_back({series.ref, series.info, queries_->QueryIdsOf(series.selectors)});
    bytes += DefinitionBytes(event.definitions.back());
    if (bytes >= kDefinitionBytesPerEvent) break;
  }
  for (Aggregated& one : aggregates_) {
    for (const auto& line : one.source->LinesFrom(one.defined, kDefinitionsPerEvent)) {
      if (bytes >= kDefinitionBytesPerEvent) break;
      ++one.defined;
      event.aggregates.push_back({line.ref, line.series, one.query_ids});
      bytes += DefinitionBytes(event.aggregates.back());
    }
  }
  return {std::move(event), ""};
}

std::pair<LiveEvent, std::optional<LiveEvent>> LiveSubscription::FrameEventsLocked(std::vector<LiveFramePtr> frames,
                                                                                   int64_t position) {
  int64_t samples = 0;
  int64_t late = 0;
  for (const LiveFramePtr& frame : frames) {
    samples += frame->sample_count;
    late += frame->amend_count;
  }
  context_.delivered_samples += samples + late;
  context_.late_samples += late;
  if (late > 0) NoteRedrawsLocked(frames);
  sent_time_ = std::max(sent_time_, frames.back()->times.committed_unix_nanos);
  if (samples == 0) return {LiveEvent{LiveAmends{std::move(frames)}, TokenLocked(position)}, std::nullopt};
  if (late == 0) return {LiveEvent{LiveSamples{std::move(frames)}, TokenLocked(position)}, std::nullopt};
  LiveEvent first{LiveSamples{frames}, SamplesTokenLocked(position)};
  return {std::move(first), LiveEvent{LiveAmends{std::move(frames)}, TokenLocked(position)}};
}

std::pair<LiveEvent, std::optional<LiveEvent>> LiveSubscription::TakeFramesLocked() {
  const int64_t given = topic_->GivenUpTo(context_.index.published_commit());
  std::vector<LiveFramePtr> frames = pending_.Take(kFrameRows);
  const int64_t last = frames.back()->last_commit;
  // With nothing left pending, all that was given out is sent.
  return FrameEventsLocked(std::move(frames), pending_.empty() ? std::max(last, given) : last);
}

LiveEvent LiveSubscription::TakeSamplesLocked() {
  next_frame_ns_ = last_tick_ns_ + frame_interval_ns_;
  auto [first, second] = TakeFramesLocked();
  if (second) staged_.emplace_back(*std::move(second), 0);  // the amends follow at once
  return std::move(first);
}

LiveEvent LiveSubscription::ProgressLocked() {
  LiveProgress progress;
  progress.server_time_unix_nanos = context_.clock().NowUnixNanos();
  progress.dropped_sample_count = dropped_total_;
  progress.conflated_sample_count = conflated_total_;
  std::string token;
  if (phase_ == Phase::kLive) {
    sent_time_ = std::max(sent_time_, context_.clock().NowUnixNanos());
    const int64_t given = std::max(cut_, topic_->GivenUpTo(context_.index.published_commit()));
    progress.commit_sequence = std::min({given, AggregatesKnownToLocked(), RedrawnToLocked()});
    token = TokenLocked(given);
  }
  return {progress, std::move(token)};
}

std::string LiveSubscription::TokenLocked(int64_t commit_sequence) {
  // Whatever of aggregated values is not known yet: they are sent anew to who resumes.
  token_at_ = std::max(token_at_, std::min(commit_sequence, RedrawnToLocked()));
  return SamplesTokenLocked(commit_sequence);
}

std::string LiveSubscription::SamplesTokenLocked(int64_t samples_sequence) {
  samples_at_ = std::max({samples_at_, samples_sequence, token_at_});
  const Store& store = *context_.store.load();
  const int64_t resumed = resume_after_ ? resume_after_->samples_sequence : 0;
  return MakeResumeToken(store.store_id(), queries_->hash,
                         {token_at_, std::max(samples_at_, resumed), store.epoch(), sent_time_, event_id_});
}

void LiveSubscription::Sweep() {
  const int64_t now = context_.clock().MonotonicNanos();
  bool too_old = false;
  {
    MutexLock lock(&mu_);
    if (ended_ || failure_ || !started_) return;
    too_old = now >= ends_ns_ && phase_ == Phase::kLive && !drain_;
  }
  if (too_old) Drain(absl::OkStatus());
  {
    MutexLock lock(&mu_);
    if (ended_ || failure_) return;
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

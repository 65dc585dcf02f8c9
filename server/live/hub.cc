#include "server/live/hub.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "common/base/worker_pool.h"
#include "server/live/frame_pump.h"
#include "server/live/live_subscription.h"
#include "server/live/query_set.h"
#include "server/live/resume_token.h"
#include "server/live/subscription_index.h"

namespace pulseboard {
namespace {

constexpr int32_t kMaxThreads = 16;

void Coerce(const HubOptions& options, SubscriptionSpec* spec) {
  if (spec->max_buffer_bytes == 0) spec->max_buffer_bytes = options.default_buffer_bytes;
  spec->max_buffer_bytes = std::clamp(spec->max_buffer_bytes, kMinLiveBufferBytes, kMaxLiveBufferBytes);
  if (spec->max_frames_per_second == 0) spec->max_frames_per_second = options.default_frames_per_second;
  spec->max_frames_per_second = std::clamp(spec->max_frames_per_second, 1, kMaxLiveFramesPerSecond);
}

absl::Status ShuttingDown() {
  return MakeError(ErrorReason::kShuttingDown, "the server is shutting down; reconnect and resume with the last token");
}

}  // namespace

Hub::Hub(HubOptions options)
    : options_(options),
      index_(std::make_unique<SubscriptionIndex>()),
      readers_(std::make_unique<WorkerPool>(std::clamp(options.reader_threads, 1, kMaxThreads),
                                            // one step per subscription, those just closed included
                                            2 * static_cast<size_t>(std::max(1, options.max_subscriptions)))) {
  const int64_t sweep_interval_ns = std::clamp(options.progress_interval_ns / 4, kNanosPerMilli, kNanosPerSecond);
  pump_ = std::make_unique<FramePump>(*options_.clock, std::clamp(options.pump_threads, 1, kMaxThreads),
                                      sweep_interval_ns, [index = index_.get()] {
                                        for (const auto& subscription : index->All()) subscription->Sweep();
                                        for (const auto& topic : index->AllTopics()) topic->SweepCadences();
                                      });
  context_ = std::unique_ptr<LiveContext>(new LiveContext{options_, *index_, *pump_, *readers_, store_, queries_,
                                                          events_, std::make_shared<RefTable>(options.first_ref)});
}

Hub::~Hub() { Close(); }

void Hub::Attach(Store& store) { store_ = &store; }
void Hub::AttachQueries(QueryEngine& queries) { queries_ = &queries; }
void Hub::AttachEvents(EventLog& events) { events_ = &events; }

void Hub::Close() {
  MutexLock lock(&close_mu_);
  closed_ = true;
  const auto members = index_->All();
  for (const auto& subscription : members) subscription->EndNow(ShuttingDown());
  readers_->Stop();
  pump_->Stop();
  for (const auto& subscription : index_->All()) subscription->EndNow(ShuttingDown());  // who came in meanwhile
  for (const auto& subscription : members) subscription->ReleaseView();
}

absl::StatusOr<std::shared_ptr<Subscription>> Hub::Subscribe(SubscriptionSpec spec, std::weak_ptr<LiveSink> sink) {
  Store* const store = store_;
  if (closed_ || store == nullptr) return ShuttingDown();
  Coerce(options_, &spec);
  PB_ASSIGN_OR_RETURN(const LiveQuerySetPtr queries,
                      LiveQuerySet::Make(spec.tenant, spec.queries, spec.event_queries,
                                         kNanosPerSecond / spec.max_frames_per_second, store->Tiers(spec.tenant)));
  PB_RETURN_IF_ERROR(queries->CheckServed(queries_ != nullptr, events_ != nullptr));
  std::optional<ResumePosition> resume_after;
  if (!spec.resume_token.empty()) {
    PB_ASSIGN_OR_RETURN(resume_after, ParseResumeToken(spec.resume_token, store->store_id(), queries->hash));
    PB_RETURN_IF_ERROR(store->CheckPosition(resume_after->epoch, resume_after->samples_sequence));
  }
  auto subscription =
      std::make_shared<LiveSubscription>(*context_, std::move(spec), queries, resume_after, std::move(sink));
  if (!index_->Add(subscription, options_.max_subscriptions)) {
    const std::string limit = std::to_string(options_.max_subscriptions);
    return WithRetryAfterMs(
        MakeError(ErrorReason::kTooManySubscriptions, limit + " subscriptions are open, the most this server serves",
                  {{"limit", limit}, {"setting", "live.max_subscriptions"}}),
        options_.busy_retry_ms);
  }
  if (closed_) {
    index_->Remove(subscription.get());
    return ShuttingDown();
  }
  return subscription;
}

void Hub::OnCommit(const CommittedBatch& batch) noexcept { index_->Publish(batch, store_); }

HubStats Hub::Stats() const {
  HubStats stats;
  stats.subscriptions = index_->size();
  stats.routed_series = index_->routed_series();
  stats.topics = index_->topics();
  stats.frames_made = context_->frames_made;
  stats.widened_ticks = context_->widened_ticks;
  stats.frames = context_->frames;
  stats.delivered_samples = context_->delivered_samples;
  stats.late_samples = context_->late_samples;
  stats.dropped_samples = context_->dropped_samples;
  stats.conflated_samples = context_->conflated_samples;
  stats.catch_ups = context_->catch_ups;
  stats.slow_consumers = context_->slow_consumers;
  stats.buffered_bytes = context_->buffered_bytes;
  return stats;
}

}  // namespace pulseboard

#include "client-qt/net/live_feed.h"

#include <utility>
#include <variant>

namespace pulseboard::qt {
namespace {

// A screen draws no faster.
constexpr int kFramesPerSecond = 30;
constexpr int64_t kServerBufferBytes = 4 << 20;
constexpr const char* kEventQuery = "events";  // panels' queries have a slash

client::SubscriberOptions optionsOf(const FeedSpec& spec) {
  client::SubscriberOptions options;
  for (const FeedQuery& query : spec.queries) {
    options.queries.push_back({query.id.toStdString(), query.selector.toStdString(),
                               std::chrono::seconds(spec.backfill_seconds), spec.max_points});
  }
  // Those of the past come by EventReader, which can bound them.
  options.event_queries.push_back({kEventQuery, "", static_cast<int>(EventSeverity::Info)});
  options.attach = true;
  options.max_buffer_bytes = kServerBufferBytes;
  options.max_frames_per_second = kFramesPerSecond;
  return options;
}

void noteTimes(const client::SamplesEvent& event, LatencyWindow* latency) {
  int64_t samples = 0;
  for (const client::SeriesSamples& series : event.series) samples += static_cast<int64_t>(series.samples.size());
  latency->addFrame(event.times.pushed, event.times.arrived, samples);
}

}  // namespace

LiveFeed::LiveFeed(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<client::TokenSource> tokens,
                   const FeedSpec& spec, std::shared_ptr<FeedMailbox> mailbox, std::shared_ptr<LatencyWindow> latency,
                   Callbacks callbacks)
    : mailbox_(std::move(mailbox)), latency_(std::move(latency)), callbacks_(std::move(callbacks)) {
  subscriber_ = std::make_unique<client::Subscriber>(std::move(channel), std::move(tokens), optionsOf(spec), this);
}

void LiveFeed::update(const FeedSpec& spec) { subscriber_->Update(optionsOf(spec).queries); }

client::Flow LiveFeed::OnEvent(client::SubscriberEvent event) {
  if (const auto* updated = std::get_if<client::UpdatedEvent>(&event); updated != nullptr && !updated->status.ok()) {
    callbacks_.on_refused(updated->status);
    return client::Flow::kContinue;
  }
  if (const auto* state = std::get_if<client::StateEvent>(&event)) {
    callbacks_.on_state(*state);
    return client::Flow::kContinue;
  }
  callbacks_.on_message();
  if (const auto* samples = std::get_if<client::SamplesEvent>(&event)) noteTimes(*samples, latency_.get());
  if (const auto* gap = std::get_if<client::GapEvent>(&event)) latency_->addGap(gap->dropped_samples);
  if (std::holds_alternative<client::DefinitionsEvent>(event)) callbacks_.on_definitions();
  const FeedMailbox::PutResult result = mailbox_->put(std::move(event));
  if (result.was_empty) callbacks_.on_data();
  return result.full ? client::Flow::kPause : client::Flow::kContinue;
}

}  // namespace pulseboard::qt

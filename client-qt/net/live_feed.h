// LiveFeed: one subscription and its mailbox.
#pragma once

#include <functional>
#include <memory>

#include "client-qt/model/types.h"
#include "client-qt/net/feed_mailbox.h"
#include "client-qt/net/latency_window.h"
#include "common/client/subscriber.h"

namespace pulseboard::qt {

// Made and destroyed in the I/O thread; events come on gRPC threads. After the destructor no callback runs.
class LiveFeed final : public client::SubscriptionConsumer {
 public:
  struct Callbacks {                // on gRPC threads
    std::function<void()> on_data;  // the mailbox was empty and is not any more
    std::function<void(const client::StateEvent&)> on_state;
    std::function<void(const absl::Status&)> on_refused;  // the last update(); all goes on as it was
    std::function<void()> on_definitions;                 // series appeared
    std::function<void()> on_message;                     // the server said something
  };

  LiveFeed(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<client::TokenSource> tokens, const FeedSpec& spec,
           std::shared_ptr<FeedMailbox> mailbox, std::shared_ptr<LatencyWindow> latency, Callbacks callbacks);

  client::Flow OnEvent(client::SubscriberEvent event) override;
  // Other queries, windows or widths; the mailbox is told when they are there, on_refused when they are refused.
  void update(const FeedSpec& spec);
  // After a take() that found the mailbox full.
  void resume() { subscriber_->Resume(); }

 private:
  const std::shared_ptr<FeedMailbox> mailbox_;
  const std::shared_ptr<LatencyWindow> latency_;
  const Callbacks callbacks_;
  std::unique_ptr<client::Subscriber> subscriber_;  // last: gone before what its events use
};

}  // namespace pulseboard::qt

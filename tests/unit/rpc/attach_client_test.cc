// The client library changes panels on a running stream.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/client/session.h"
#include "common/client/subscriber.h"
#include "tests/support/eventually.h"
#include "tests/unit/rpc/data_server.h"

namespace pulseboard {
namespace {

using testing::DataServer;
using testing::Eventually;

// Keeps samples by metric, and what was answered.
class Panels final : public client::SubscriptionConsumer {
 public:
  client::Flow OnEvent(client::SubscriberEvent event) override {
    MutexLock lock(&mu_);
    if (const auto* definitions = std::get_if<client::DefinitionsEvent>(&event)) {
      for (const auto& definition : definitions->definitions) {
        metrics_[definition.series.id] = definition.series.key.metric;
      }
    } else if (const auto* backfill = std::get_if<client::BackfillEvent>(&event)) {
      Note(backfill->series);
    } else if (const auto* samples = std::get_if<client::SamplesEvent>(&event)) {
      Note(samples->series);
    } else if (const auto* updated = std::get_if<client::UpdatedEvent>(&event)) {
      answers_.push_back(updated->status);
    } else if (std::holds_alternative<client::ResetEvent>(event)) {
      ++resets_;
    } else if (std::holds_alternative<client::BackfillDoneEvent>(event)) {
      ++backfills_;
    }
    return client::Flow::kContinue;
  }
  std::set<double> values(const std::string& metric) const {
    MutexLock lock(&mu_);
    const auto known = values_.find(metric);
    return known == values_.end() ? std::set<double>() : known->second;
  }
  std::vector<absl::Status> answers() const {
    MutexLock lock(&mu_);
    return answers_;
  }
  int resets() const {
    MutexLock lock(&mu_);
    return resets_;
  }
  int backfills() const {
    MutexLock lock(&mu_);
    return backfills_;
  }

 private:
  void Note(const std::vector<client::SeriesSamples>& all) PB_REQUIRES(mu_) {
    for (const client::SeriesSamples& series : all) {
      values_[metrics_[series.series]].insert(series.samples.values.begin(), series.samples.values.end());
    }
  }
  mutable Mutex mu_;
  std::map<SeriesId, std::string> metrics_ PB_GUARDED_BY(mu_);
  std::map<std::string, std::set<double>> values_ PB_GUARDED_BY(mu_);
  std::vector<absl::Status> answers_ PB_GUARDED_BY(mu_);
  int resets_ PB_GUARDED_BY(mu_) = 0;
  int backfills_ PB_GUARDED_BY(mu_) = 0;
};

class OneToken final : public client::TokenSource {
 public:
  explicit OneToken(std::string token) : token_(std::move(token)) {}
  void FetchToken(std::string, TokenDone done) override { done(token_); }

 private:
  const std::string token_;
};

class AttachTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Push("panel.a", 1);
    Push("panel.b", 1);
    client::SubscriberOptions options;
    options.attach = true;
    options.queries = {Query("a", "panel.a")};
    subscriber_ = std::make_unique<client::Subscriber>(
        server_.NewChannel(), std::make_shared<OneToken>(server_.Token("viewer", Role::kViewer)), options, &panels_);
    ASSERT_TRUE(Eventually([&] { return panels_.backfills() == 1; }));
  }
  static client::SubscriptionQuery Query(std::string id, std::string selector) {
    return {std::move(id), std::move(selector), std::chrono::hours(1), 0};
  }
  void Push(const std::string& metric, double value) {
    const SeriesId series = server_.store().Series(metric);
    ASSERT_GT(server_.store().Append({{series, SystemClock().NowUnixNanos(), value}}), 0);
  }

  DataServer server_;
  Panels panels_;
  std::unique_ptr<client::Subscriber> subscriber_;
};

TEST_F(AttachTest, ChangesPanelsWithoutANewStream) {
  subscriber_->Update({Query("a", "panel.a"), Query("b", "panel.b")});
  ASSERT_TRUE(Eventually([&] { return panels_.values("panel.b") == std::set<double>{1}; })) << "its backfill";
  Push("panel.a", 2);
  Push("panel.b", 2);
  ASSERT_TRUE(Eventually([&] {
    return panels_.values("panel.a") == std::set<double>{1, 2} && panels_.values("panel.b") == std::set<double>{1, 2};
  }));
  subscriber_->Update({Query("b", "{")});
  ASSERT_TRUE(Eventually([&] { return panels_.answers().size() == 2; }));
  EXPECT_TRUE(panels_.answers()[0].ok());
  EXPECT_TRUE(HasReason(panels_.answers()[1], ErrorReason::kBadSelector)) << panels_.answers()[1];
  subscriber_->Update({Query("b", "panel.b")});
  ASSERT_TRUE(Eventually([&] { return panels_.answers().size() == 3; }));
  Push("panel.a", 3);
  Push("panel.b", 3);
  ASSERT_TRUE(Eventually([&] { return panels_.values("panel.b").contains(3); }));
  EXPECT_FALSE(panels_.values("panel.a").contains(3)) << "nobody asks for it any more";
  EXPECT_EQ(subscriber_->stats().connects, 1);
  EXPECT_EQ(panels_.resets(), 1) << "the first one";
}

}  // namespace
}  // namespace pulseboard

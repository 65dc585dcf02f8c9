// The client library asks for values per column of time and for events, over a real socket.
#include <gtest/gtest.h>

#include <future>
#include <map>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/client/session.h"
#include "common/client/subscriber.h"
#include "pulseboard/v1/query.pb.h"
#include "tests/support/eventually.h"
#include "tests/unit/rpc/data_server.h"

namespace pulseboard {
namespace {

using client::SubscriptionAggregate;
using client::SubscriptionQuery;
using testing::DataServer;
using testing::Eventually;

constexpr std::chrono::seconds kStep(10);

// Keeps the values of lines by query and labels, and the events' texts.
class Panels final : public client::SubscriptionConsumer {
 public:
  // By query id and line, as `{host="a"}`.
  using Values = std::map<std::pair<std::string, std::string>, std::map<int64_t, double>>;

  client::Flow OnEvent(client::SubscriberEvent event) override {
    MutexLock lock(&mu_);
    if (const auto* definitions = std::get_if<client::DefinitionsEvent>(&event)) {
      for (const auto& line : definitions->lines) lines_[line.line] = line;
    } else if (const auto* aggregates = std::get_if<client::AggregatesEvent>(&event)) {
      Note(*aggregates);
    } else if (const auto* occurrences = std::get_if<client::OccurrencesEvent>(&event)) {
      for (const auto& one : occurrences->occurrences) {
        for (const std::string& id : one.query_ids) texts_[id].push_back(one.text);
      }
    } else if (const auto* updated = std::get_if<client::UpdatedEvent>(&event)) {
      answers_.push_back(updated->status);
    } else if (std::holds_alternative<client::ResetEvent>(event)) {
      ++resets_;
    }
    return client::Flow::kContinue;
  }
  Values values() const {
    MutexLock lock(&mu_);
    return values_;
  }
  // The only value of a line, 0 when it has none or several.
  double value(const std::string& query, const std::string& line) const {
    const Values all = values();
    const auto known = all.find({query, line});
    return known == all.end() || known->second.size() != 1 ? 0 : known->second.begin()->second;
  }
  std::vector<std::string> texts(const std::string& query) const {
    MutexLock lock(&mu_);
    const auto known = texts_.find(query);
    return known == texts_.end() ? std::vector<std::string>() : known->second;
  }
  std::vector<absl::Status> answers() const {
    MutexLock lock(&mu_);
    return answers_;
  }
  size_t lines() const {
    MutexLock lock(&mu_);
    return lines_.size();
  }
  int resets() const {
    MutexLock lock(&mu_);
    return resets_;
  }

 private:
  void Note(const client::AggregatesEvent& event) PB_REQUIRES(mu_) {
    for (const auto& [line, values] : event.lines) {
      const auto& definition = lines_.at(line);
      const std::vector<std::string> alone = {"sum"};
      for (const std::string& id : definition.query_ids.empty() ? alone : definition.query_ids) {
        auto& known = values_[{id, definition.series.key.Format()}];
        for (size_t i = 0; i < values.size(); ++i) known[values.times[i]] = values.values[i];
      }
    }
  }
  mutable Mutex mu_;
  std::map<client::LineNumber, client::DefinitionsEvent::LineDefinition> lines_ PB_GUARDED_BY(mu_);
  Values values_ PB_GUARDED_BY(mu_);
  std::map<std::string, std::vector<std::string>> texts_ PB_GUARDED_BY(mu_);
  std::vector<absl::Status> answers_ PB_GUARDED_BY(mu_);
  int resets_ PB_GUARDED_BY(mu_) = 0;
};

// A new session whenever the last token was rejected.
class Sessions final : public client::TokenSource {
 public:
  explicit Sessions(DataServer& server) : server_(server), token_(server.Token("viewer", Role::kViewer)) {}
  void FetchToken(std::string rejected, TokenDone done) override {
    if (!rejected.empty()) token_ = server_.Token("viewer2", Role::kViewer);
    done(token_);
  }

 private:
  DataServer& server_;
  std::string token_;  // one call at a time
};

class ClientQueriesTest : public ::testing::Test {
 protected:
  ClientQueriesTest() {
    options_.attach = true;
    options_.queries = {SumByHost("sum")};
    options_.event_queries = {{"deploys", "deploy", 0, std::chrono::hours(1)}};
  }
  ~ClientQueriesTest() override { subscriber_.reset(); }

  static SubscriptionQuery SumByHost(std::string id) {
    SubscriptionAggregate sum;
    sum.step = kStep;
    sum.function = v1::AGGREGATE_FUNCTION_SUM;
    sum.group = SubscriptionAggregate::Group{v1::GROUP_FUNCTION_SUM, 0, {"host"}};
    return {std::move(id), "cpu", std::chrono::minutes(10), 0, sum};
  }
  void Start() {
    subscriber_ = std::make_unique<client::Subscriber>(server_.NewChannel(), std::make_shared<Sessions>(server_),
                                                       options_, &panels_);
  }
  // All in one column.
  void Push(const std::string& host, const std::string& core, double value) {
    const SeriesId series = server_.store().Series("cpu", {{"host", host}, {"core", core}});
    ASSERT_GT(server_.store().Append({{series, column_ + ++samples_, value}}), 0);
  }
  void PushEvent(const std::string& source, const std::string& text) {
    Event event;
    event.source = source;
    event.text = text;
    std::promise<bool> pushed;
    ASSERT_TRUE(server_.events()
                    .Push(kDefaultTenant, {"", {event}}, [&](const auto& receipt) { pushed.set_value(receipt.ok()); })
                    .ok());
    ASSERT_TRUE(pushed.get_future().get());
  }

  DataServer server_;
  client::SubscriberOptions options_;
  Panels panels_;
  std::unique_ptr<client::Subscriber> subscriber_;
  const int64_t column_ =
      (SystemClock().NowUnixNanos() / kNanosPerSecond - 60) / kStep.count() * kStep.count() * kNanosPerSecond;
  int64_t samples_ = 0;
};

TEST_F(ClientQueriesTest, GetsValuesOfGroupsHistoryAndLive) {
  Push("a", "0", 1);
  Push("a", "1", 2);
  Start();
  ASSERT_TRUE(Eventually([&] { return panels_.value("sum", "{host=\"a\"}") == 3; }));
  Push("a", "0", 4);
  Push("b", "0", 8);
  EXPECT_TRUE(Eventually(
      [&] { return panels_.value("sum", "{host=\"a\"}") == 7 && panels_.value("sum", "{host=\"b\"}") == 8; }));
  EXPECT_EQ(panels_.values().begin()->second.begin()->first, column_) << "values are told at the beginning of a column";
}

TEST_F(ClientQueriesTest, GetsEventsHistoryAndLive) {
  PushEvent("deploy", "one");
  PushEvent("backup", "not asked for");
  Start();
  ASSERT_TRUE(Eventually([&] { return panels_.texts("deploys") == std::vector<std::string>{"one"}; }));
  PushEvent("backup", "not asked for");
  PushEvent("deploy", "two");
  EXPECT_TRUE(Eventually([&] { return panels_.texts("deploys") == std::vector<std::string>{"one", "two"}; }));
}

TEST_F(ClientQueriesTest, ChangesQueriesOfBothKindsOnTheRunningStream) {
  Push("a", "0", 1);
  PushEvent("backup", "done");
  Start();
  ASSERT_TRUE(Eventually([&] { return panels_.value("sum", "{host=\"a\"}") == 1; }));
  SubscriptionQuery greatest = SumByHost("greatest");
  greatest.aggregate->function = v1::AGGREGATE_FUNCTION_MAX;
  subscriber_->Update({SumByHost("sum"), greatest}, {{"backups", "backup", 0, std::chrono::hours(1)}});
  ASSERT_TRUE(Eventually([&] { return panels_.value("greatest", "{host=\"a\"}") == 1; }));
  ASSERT_TRUE(Eventually([&] { return panels_.texts("backups") == std::vector<std::string>{"done"}; }));
  PushEvent("deploy", "no longer asked for");
  PushEvent("backup", "again");
  Push("a", "0", 2);
  EXPECT_TRUE(Eventually(
      [&] { return panels_.value("sum", "{host=\"a\"}") == 3 && panels_.value("greatest", "{host=\"a\"}") == 2; }));
  EXPECT_TRUE(Eventually([&] { return panels_.texts("backups") == std::vector<std::string>{"done", "again"}; }));
  EXPECT_TRUE(panels_.texts("deploys").empty());
  subscriber_->Update({SumByHost("sum")});
  ASSERT_TRUE(Eventually([&] { return panels_.answers().size() == 2; }));
  PushEvent("backup", "events stay as they are");
  EXPECT_TRUE(Eventually([&] { return panels_.texts("backups").size() == 3; }));
  EXPECT_EQ(panels_.resets(), 1) << "the first one";
}

TEST_F(ClientQueriesTest, ARefusedUpdateChangesNothing) {
  Push("a", "0", 1);
  Start();
  ASSERT_TRUE(Eventually([&] { return panels_.value("sum", "{host=\"a\"}") == 1; }));
  SubscriptionQuery fine = SumByHost("sum");
  fine.aggregate->step = std::chrono::milliseconds(1);
  subscriber_->Update({fine});
  ASSERT_TRUE(Eventually([&] { return panels_.answers().size() == 1; }));
  EXPECT_TRUE(HasReason(panels_.answers()[0], ErrorReason::kBadField)) << panels_.answers()[0];
  Push("a", "0", 2);
  EXPECT_TRUE(Eventually([&] { return panels_.value("sum", "{host=\"a\"}") == 3; }));
  EXPECT_EQ(subscriber_->stats().connects, 1);
}

TEST_F(ClientQueriesTest, ALineKeepsItsNumberOnTheNextStream) {
  Push("a", "0", 1);
  Start();
  ASSERT_TRUE(Eventually([&] { return panels_.value("sum", "{host=\"a\"}") == 1; }));
  ASSERT_TRUE(Eventually([&] { return !subscriber_->resume_token().empty(); }));
  const UserPtr user = server_.identity().users->Find(server_.user_id());
  ASSERT_TRUE(server_.identity().sessions->EndOthers(*user, "").ok());
  ASSERT_TRUE(Eventually([&] { return subscriber_->stats().connects == 2; }));
  Push("a", "0", 2);
  EXPECT_TRUE(Eventually([&] { return panels_.value("sum", "{host=\"a\"}") == 3; }));
  EXPECT_EQ(panels_.lines(), 1U);
  EXPECT_EQ(panels_.resets(), 1) << "the first one";
}

}  // namespace
}  // namespace pulseboard

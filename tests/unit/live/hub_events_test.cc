// Events in a subscription.
#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "server/events/event_log.h"
#include "server/live/hub.h"
#include "tests/support/eventually.h"
#include "tests/support/memory_table.h"
#include "tests/support/test_store.h"
#include "tests/unit/live/viewer.h"

namespace pulseboard {
namespace {

using testing::Eventually;
using testing::TestStore;
using testing::Viewer;
using testing::ViewerState;

int64_t Now() { return SystemClock().NowUnixNanos(); }

class HubEventsTest : public ::testing::Test {
 protected:
  HubEventsTest() {
    hub_.Attach(*store_);
    events_ = *EventLog::Open(table_, SystemClock(), store_->store_id(), EventOptions());
    hub_.AttachEvents(*events_);
  }
  ~HubEventsTest() override {
    events_->Stop();
    hub_.Close();
  }

  void Push(const std::string& source, const std::string& text, int64_t age_ns = 0) {
    Event event;
    event.source = source;
    event.text = text;
    event.time_unix_nanos = Now() - age_ns;
    std::promise<bool> pushed;
    ASSERT_TRUE(
        events_->Push(kDefaultTenant, {"", {event}}, [&](const auto& receipt) { pushed.set_value(receipt.ok()); })
            .ok());
    ASSERT_TRUE(pushed.get_future().get());
  }
  static SubscriptionSpec Spec(std::vector<LiveEventQuerySpec> events) {
    SubscriptionSpec spec;
    spec.tenant = kDefaultTenant;
    spec.queries.push_back({"cpu", "cpu", 0, 0});
    spec.event_queries = std::move(events);
    return spec;
  }
  static LiveEventQuerySpec Query(std::string id, std::string selector, int64_t backfill_ns = 0) {
    return {std::move(id), std::move(selector), EventSeverity::kUnspecified, "", backfill_ns};
  }
  static std::vector<std::string> Texts(const Viewer& viewer) {
    std::vector<std::string> texts;
    for (const Event& event : viewer.state().occurrences) texts.push_back(event.text);
    return texts;
  }

  static HubOptions Options() {
    HubOptions options;
    options.progress_interval_ns = 100 * kNanosPerMilli;
    return options;
  }

  testing::MemoryTable table_;
  Hub hub_{Options()};
  TestStore store_{&hub_};
  std::unique_ptr<EventLog> events_;
};

using Strings = std::vector<std::string>;

TEST_F(HubEventsTest, HistoryComesFirstThenWhatArrivesInOrder) {
  Push("deploy", "long ago", 7'200 * kNanosPerSecond);
  Push("deploy", "one", 30 * kNanosPerSecond);
  Push("syslog", "not asked for");
  const auto viewer = Viewer::Open(hub_, Spec({Query("deploys", "deploy", 3'600 * kNanosPerSecond)}));
  ASSERT_TRUE(Eventually([&] { return viewer->story().find('K') != std::string::npos; }));
  EXPECT_EQ(Texts(*viewer), Strings({"one"}));
  EXPECT_NE(viewer->story().find("EK"), std::string::npos) << viewer->story();
  Push("deploy", "two");
  Push("syslog", "not asked for either");
  Push("deploy", "three");
  EXPECT_TRUE(Eventually([&] { return Texts(*viewer) == Strings({"one", "two", "three"}); })) << viewer->story();
}

TEST_F(HubEventsTest, AnEventTellsWhichQueriesWantIt) {
  const auto viewer = Viewer::Open(hub_, Spec({Query("all", ""), Query("deploys", "deploy")}));
  ASSERT_TRUE(Eventually([&] { return viewer->story().find('K') != std::string::npos; }));
  Push("deploy", "both");
  Push("syslog", "one");
  ASSERT_TRUE(Eventually([&] { return viewer->state().occurrences.size() == 2; }));
  std::vector<Strings> ids;
  for (const LiveEvent& event : viewer->events()) {
    if (const auto* some = std::get_if<LiveOccurrences>(&event.what)) {
      for (const auto& one : some->occurrences) ids.push_back(one.query_ids);
    }
  }
  EXPECT_EQ(ids, std::vector<Strings>({{"all", "deploys"}, {"all"}}));
}

TEST_F(HubEventsTest, ATokenGoesOnWithoutHoleOrDouble) {
  const SubscriptionSpec spec = Spec({Query("deploys", "deploy", 3'600 * kNanosPerSecond)});
  auto viewer = Viewer::Open(hub_, spec);
  Push("deploy", "one");
  ASSERT_TRUE(Eventually([&] { return Texts(*viewer).size() == 1; }));
  ViewerState state = viewer->state();
  viewer->Close();
  Push("deploy", "two");
  viewer = Viewer::Open(hub_, spec, state);
  ASSERT_TRUE(Eventually([&] { return Texts(*viewer).size() == 2; }));
  Push("deploy", "three");
  EXPECT_TRUE(Eventually([&] { return Texts(*viewer).size() == 3; }));
  EXPECT_EQ(Texts(*viewer), Strings({"one", "two", "three"}));
  EXPECT_EQ(events_->Stats().subscriptions, 1);
}

TEST_F(HubEventsTest, AStreamThatEndsFollowsNoLonger) {
  const auto viewer = Viewer::Open(hub_, Spec({Query("deploys", "deploy")}));
  ASSERT_TRUE(Eventually([&] { return events_->Stats().subscriptions == 1; }));
  viewer->Close();
  EXPECT_EQ(events_->Stats().subscriptions, 0);
}

TEST_F(HubEventsTest, EventQueriesChangeOnARunningStream) {
  Push("syslog", "before");
  const auto viewer = Viewer::Open(hub_, Spec({Query("deploys", "deploy")}));
  ASSERT_TRUE(Eventually([&] { return viewer->story().find('K') != std::string::npos; }));
  SubscriptionUpdate update;
  update.set_events = {Query("logs", "syslog", 3'600 * kNanosPerSecond)};
  update.remove = {"deploys"};
  viewer->Update(update);
  ASSERT_TRUE(Eventually([&] { return Texts(*viewer) == Strings({"before"}); })) << viewer->story();
  Push("deploy", "no longer wanted");
  Push("syslog", "after");
  EXPECT_TRUE(Eventually([&] { return Texts(*viewer) == Strings({"before", "after"}); })) << viewer->story();
}

TEST_F(HubEventsTest, EventsAloneMakeASubscription) {
  SubscriptionSpec spec = Spec({Query("", "deploy")});
  spec.queries.clear();
  const auto viewer = Viewer::Open(hub_, spec);
  ASSERT_TRUE(Eventually([&] { return viewer->story().find('K') != std::string::npos; }));
  Push("deploy", "one");
  EXPECT_TRUE(Eventually([&] { return Texts(*viewer) == Strings({"one"}); }));
}

TEST_F(HubEventsTest, BadQuestionsAreRefused) {
  EXPECT_TRUE(HasReason(hub_.Subscribe(Spec({Query("e", "{")}), {}).status(), ErrorReason::kBadSelector));
  EXPECT_TRUE(HasReason(hub_.Subscribe(Spec({Query("cpu", "")}), {}).status(), ErrorReason::kBadField)) << "id twice";
  EXPECT_TRUE(HasReason(hub_.Subscribe(Spec({Query("e", "", -1)}), {}).status(), ErrorReason::kBadField));
}

}  // namespace
}  // namespace pulseboard

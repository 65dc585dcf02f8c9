#include "server/events/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <random>
#include <tuple>

#include "common/base/errors.h"
#include "tests/support/eventually.h"
#include "tests/support/memory_table.h"

namespace pulseboard {
namespace {

using testing::Eventually;
using testing::MemoryTable;

constexpr int64_t kNow = 1'800'000'000 * kNanosPerSecond;
constexpr TenantId kOther = 7;

class CountingFollower final : public EventFollower {
 public:
  void OnEvents() override { ++told; }
  std::atomic<int> told{0};
};

class EventLogTest : public ::testing::Test {
 protected:
  EventLogTest() { Open(); }
  void Open() {
    log_.reset();
    auto opened = EventLog::Open(table_, clock_, "store", options_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    log_ = *std::move(opened);
  }
  static Event Make(const std::string& text, int64_t time = 0, const std::string& source = "deploy") {
    Event event;
    event.time_unix_nanos = time;
    event.source = source;
    event.text = text;
    return event;
  }
  absl::StatusOr<EventReceipt> Push(std::vector<Event> events, const std::string& request_id = "",
                                    TenantId tenant = kDefaultTenant) {
    std::promise<absl::StatusOr<EventReceipt>> done;
    const absl::Status taken =
        log_->Push(tenant, {request_id, std::move(events)},
                   [&](const absl::StatusOr<EventReceipt>& receipt) { done.set_value(receipt); });
    if (!taken.ok()) return taken;
    return done.get_future().get();
  }
  std::vector<std::string> Texts(const EventListRequest& request = {}, TenantId tenant = kDefaultTenant) {
    std::vector<std::string> texts;
    EventListRequest page_request = request;
    do {
      const auto page = log_->List(tenant, page_request);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) return texts;
      for (const Event& event : page->events) texts.push_back(event.text);
      page_request.page_token = page->next_page_token;
    } while (!page_request.page_token.empty());
    return texts;
  }
  std::vector<std::string> After(int64_t position) {
    std::vector<std::string> texts;
    bool more = true;
    while (more) {
      const auto events = log_->ReadAfter(kDefaultTenant, {}, &position, &more);
      EXPECT_TRUE(events.ok());
      for (const Event& event : *events) texts.push_back(event.text);
    }
    EXPECT_EQ(position, log_->last_id());
    return texts;
  }

  ManualClock clock_{kNow};
  MemoryTable table_;
  EventOptions options_;
  std::unique_ptr<EventLog> log_;
};

using Strings = std::vector<std::string>;

TEST_F(EventLogTest, ListsByTimeAndFollowsByArrival) {
  const auto first = Push({Make("late", kNow - 5), Make("now")});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->first_id, 1);
  EXPECT_EQ(first->count, 2);
  ASSERT_TRUE(Push({Make("later still", kNow - 9)}).ok());
  EXPECT_EQ(Texts(), (Strings{"later still", "late", "now"}));
  EXPECT_EQ(After(0), (Strings{"late", "now", "later still"}));
  EXPECT_EQ(After(2), (Strings{"later still"}));
  EXPECT_EQ(Texts({}, kOther), Strings()) << "a tenant sees its own";
  EventListRequest range;
  range.range = {kNow - 5, kNow};
  EXPECT_EQ(Texts(range), (Strings{"late"}));
}

TEST_F(EventLogTest, KeepsEverythingThroughARestart) {
  ASSERT_TRUE(Push({Make("a"), Make("b")}).ok());
  Open();
  EXPECT_EQ(Texts(), (Strings{"a", "b"}));
  EXPECT_EQ(Push({Make("c")})->first_id, 3);
  EXPECT_EQ(log_->Stats().kept, 3);
}

TEST_F(EventLogTest, AnswersARequestSentAgainAsTheFirstTime) {
  const auto first = Push({Make("a"), Make("b")}, "r1");
  Open();
  const auto again = Push({Make("a"), Make("b")}, "r1");
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(again->first_id, first->first_id);
  EXPECT_EQ(again->count, 2);
  EXPECT_FALSE(Push({Make("of another")}, "r1", kOther)->duplicate);
  EXPECT_EQ(Texts(), (Strings{"a", "b"}));
  clock_.Advance(kNanosPerDay + 1);
  ASSERT_TRUE(log_->Sweep().ok());
  EXPECT_FALSE(Push({Make("a")}, "r1")->duplicate) << "forgotten after a day";
}

TEST_F(EventLogTest, SaysWhatItCannotWriteAndGoesOn) {
  table_.FailWrites(MakeError(ErrorReason::kDiskFull, "full"));
  EXPECT_TRUE(HasReason(Push({Make("lost")}, "r").status(), ErrorReason::kDiskFull));
  table_.FailWrites(absl::OkStatus());
  const auto kept = Push({Make("kept")}, "r");
  ASSERT_TRUE(kept.ok());
  EXPECT_FALSE(kept->duplicate);
  EXPECT_EQ(Texts(), (Strings{"kept"}));
}

TEST_F(EventLogTest, RefusesTimesItDoesNotKeep) {
  const auto field = [](const absl::Status& status) { return GetErrorDetail(status)->field_violations.front().field; };
  EXPECT_EQ(field(Push({Make("ok"), Make("old", kNow - options_.retention_ns - 1)}).status()), "events[1].time");
  EXPECT_EQ(field(Push({Make("early", kNow + options_.max_lead_ns + 1)}).status()), "events[0].time");
  EXPECT_EQ(field(Push({}).status()), "events");
  EXPECT_EQ(field(Push({Make("x")}, std::string(129, 'r')).status()), "request_id");
  EXPECT_EQ(Texts(), Strings()) << "all or none";
}

TEST_F(EventLogTest, DropsByAgeAndByNumberTheOldestFirst) {
  options_.max_per_tenant = 3;
  Open();
  ASSERT_TRUE(Push({Make("1", kNow - 5), Make("2", kNow - 4), Make("3", kNow - 3), Make("4"), Make("5")}).ok());
  ASSERT_TRUE(Push({Make("other")}, "", kOther).ok());
  ASSERT_TRUE(log_->Sweep().ok());
  EXPECT_EQ(Texts(), (Strings{"3", "4", "5"}));
  EXPECT_EQ(After(0), (Strings{"3", "4", "5"}));
  clock_.Advance(options_.retention_ns);
  log_->SetRetention(options_.retention_ns);
  ASSERT_TRUE(log_->Sweep().ok());
  EXPECT_EQ(Texts(), (Strings{"4", "5"})) << "a moment older than retention is gone";
  clock_.Advance(1);
  ASSERT_TRUE(log_->Sweep().ok());
  EXPECT_EQ(log_->Stats().kept, 0);
  EXPECT_EQ(log_->Stats().dropped, 6);
  Open();
  EXPECT_EQ(Push({Make("6")})->first_id, 7) << "no id is given out again";
}

TEST_F(EventLogTest, PagesShowWhatWasThereAtTheFirstOne) {
  ASSERT_TRUE(Push({Make("a", kNow - 3), Make("c", kNow - 1)}).ok());
  EventListRequest request;
  request.page_size = 1;
  const auto first = log_->List(kDefaultTenant, request);
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(Push({Make("b", kNow - 2)}).ok());
  request.page_token = first->next_page_token;
  const auto second = log_->List(kDefaultTenant, request);
  ASSERT_TRUE(second.ok());
  ASSERT_EQ(second->events.size(), 1U);
  EXPECT_EQ(second->events[0].text, "c");
  EXPECT_EQ(After(*log_->ParseResumeToken(kDefaultTenant, second->resume_token)), (Strings{"b"}))
      << "following goes on where the list ended";
  request.text_contains = "x";
  EXPECT_TRUE(HasReason(log_->List(kDefaultTenant, request).status(), ErrorReason::kBadPageToken));
}

TEST_F(EventLogTest, TokensAreOfOneStoreAndTenant) {
  ASSERT_TRUE(Push({Make("a")}).ok());
  const std::string token = log_->MakeResumeToken(kDefaultTenant, 1);
  EXPECT_EQ(*log_->ParseResumeToken(kDefaultTenant, token), 1);
  EXPECT_TRUE(HasReason(log_->ParseResumeToken(kOther, token).status(), ErrorReason::kBadResumeToken));
  EXPECT_TRUE(HasReason(log_->ParseResumeToken(kDefaultTenant, "no").status(), ErrorReason::kBadResumeToken));
  EXPECT_TRUE(HasReason(log_->ParseResumeToken(kDefaultTenant, log_->MakeResumeToken(kDefaultTenant, 2)).status(),
                        ErrorReason::kResumeTokenExpired));
}

TEST_F(EventLogTest, TellsFollowersOfTheirTenantAndBoundsThem) {
  options_.max_subscriptions = 2;
  Open();
  const auto mine = std::make_shared<CountingFollower>();
  const auto theirs = std::make_shared<CountingFollower>();
  const auto id = log_->Follow(kDefaultTenant, mine);
  ASSERT_TRUE(id.ok());
  ASSERT_TRUE(log_->Follow(kOther, theirs).ok());
  const absl::Status refused = log_->Follow(kOther, theirs).status();
  EXPECT_TRUE(HasReason(refused, ErrorReason::kTooManySubscriptions));
  EXPECT_TRUE(GetErrorDetail(refused)->retry_after_ms);
  ASSERT_TRUE(Push({Make("a")}).ok());
  EXPECT_EQ(mine->told, 1) << "before the pusher is";
  EXPECT_EQ(theirs->told, 0);
  log_->Unfollow(*id);
  ASSERT_TRUE(Push({Make("b")}).ok());
  EXPECT_EQ(mine->told, 1);
}

TEST_F(EventLogTest, ListsWhatANaiveFilterFinds) {
  options_.max_scanned = 7;  // pages that end in the middle of nothing
  Open();
  std::mt19937_64 random(1);
  const auto pick = [&](int64_t below) { return static_cast<int64_t>(random() % static_cast<uint64_t>(below)); };
  const Strings words = {"deploy started", "Disk FULL", "restart", "error: timeout"};
  std::vector<Event> all;
  for (int round = 0; round < 60; ++round) {
    std::vector<Event> batch;
    for (int64_t i = 1 + pick(8); i > 0; --i) {
      Event event = Make(words[static_cast<size_t>(pick(4))], kNow - pick(50), pick(2) == 0 ? "deploy" : "syslog");
      event.severity = static_cast<EventSeverity>(1 + pick(5));
      event.labels = Labels{{"host", "h" + std::to_string(pick(3))}};
      batch.push_back(event);
    }
    const auto receipt = Push(batch);
    ASSERT_TRUE(receipt.ok());
    for (size_t i = 0; i < batch.size(); ++i) {
      batch[i].id = receipt->first_id + static_cast<int64_t>(i);
      batch[i].received_unix_nanos = kNow;
      all.push_back(batch[i]);
    }
  }
  std::sort(all.begin(), all.end(), [](const Event& a, const Event& b) {
    return std::tie(a.time_unix_nanos, a.id) < std::tie(b.time_unix_nanos, b.id);
  });
  for (int round = 0; round < 200; ++round) {
    EventListRequest request;
    const int64_t host = pick(4);
    const int64_t source = pick(3);
    const std::string name = source == 0 ? "deploy" : source == 1 ? "syslog" : "";
    request.selector = name + (host < 3 ? "{host=\"h" + std::to_string(host) + "\"}" : "");
    request.min_severity = static_cast<EventSeverity>(pick(6));
    request.text_contains = pick(2) == 0 ? "" : pick(2) == 0 ? "full" : "ERROR";
    request.range = {kNow - pick(60), kNow - pick(30)};
    request.page_size = static_cast<int32_t>(1 + pick(20));
    std::vector<Event> expected;
    for (const Event& event : all) {
      const bool in = event.time_unix_nanos >= request.range.start && event.time_unix_nanos < request.range.end;
      const bool is = (name.empty() || event.source == name) &&
                      (host == 3 || event.labels.Get("host") == "h" + std::to_string(host)) &&
                      event.severity >= request.min_severity;
      const bool says = request.text_contains.empty() ||
                        (request.text_contains == "full" ? event.text == "Disk FULL" : event.text == "error: timeout");
      if (in && is && says) expected.push_back(event);
    }
    std::vector<Event> listed;
    do {
      const auto page = log_->List(kDefaultTenant, request);
      ASSERT_TRUE(page.ok()) << page.status();
      listed.insert(listed.end(), page->events.begin(), page->events.end());
      request.page_token = page->next_page_token;
    } while (!request.page_token.empty());
    ASSERT_EQ(listed, expected) << "round " << round;
  }
}

TEST_F(EventLogTest, BoundsWhatWaitsForTheDisk) {
  options_.max_queued_bytes = 1;
  Open();
  std::promise<void> go;
  std::promise<void> writing;
  // The writer is held in the callback of the first push, so that the second one waits and the third is too much.
  ASSERT_TRUE(log_->Push(kDefaultTenant, {"", {Make("a")}},
                         [&](const auto&) {
                           writing.set_value();
                           go.get_future().wait();
                         })
                  .ok());
  writing.get_future().wait();
  const absl::Status refused = log_->Push(kDefaultTenant, {"", {Make("b")}}, [](const auto&) {});
  go.set_value();
  EXPECT_TRUE(HasReason(refused, ErrorReason::kIngestBacklogFull));
  EXPECT_TRUE(GetErrorDetail(refused)->retry_after_ms);
  EXPECT_TRUE(Eventually([&] { return Push({Make("c")}).ok(); }));
  log_->Stop();
  EXPECT_TRUE(HasReason(Push({Make("d")}).status(), ErrorReason::kShuttingDown));
}

}  // namespace
}  // namespace pulseboard

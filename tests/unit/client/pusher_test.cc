#include "common/client/pusher.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/client/channel.h"
#include "common/client/session.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_server.h"
#include "tests/support/grpc_test.h"

namespace pulseboard::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Eventually;
using testing::FakeServer;
using testing::WireError;

class PusherTest : public ::testing::Test {
 protected:
  PusherTest() {
    server_.Start();
    options_.linger = milliseconds(1);
    options_.backoff = {milliseconds(5), milliseconds(50)};
  }

  void Make() {
    pusher_ = std::make_unique<Pusher>(Open(), tokens_, options_);
    series_ = *pusher_->Define({"m", {{"host", "a"}}}, {});
  }
  std::shared_ptr<grpc::Channel> Open() { return *OpenChannel(server_.address(), ServerTrust{}); }
  void PushTimes(int64_t first, int64_t last) {
    for (int64_t t = first; t <= last; ++t) {
      ASSERT_TRUE(pusher_->Push(series_, t, static_cast<double>(t)).ok());
    }
  }
  // The server applied times 1 to `last` once each, in order.
  void ExpectAppliedOnce(int64_t last) {
    const auto applied = server_.ingest.applied();
    ASSERT_EQ(static_cast<int64_t>(applied.size()), last);
    for (int64_t t = 1; t <= last; ++t) {
      ASSERT_EQ(applied[static_cast<size_t>(t - 1)], (testing::FakeIngest::Applied{"m", t, static_cast<double>(t)}));
    }
  }

  FakeServer server_;
  PusherOptions options_;
  std::shared_ptr<TokenSource> tokens_ = std::make_shared<FixedToken>("t");
  std::unique_ptr<Pusher> pusher_;
  uint32_t series_ = 0;
};

TEST_F(PusherTest, GetsSamplesToTheServerAndSaysSo) {
  Make();
  PushTimes(1, 1000);
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  ExpectAppliedOnce(1000);
  const PusherStats stats = pusher_->stats();
  EXPECT_EQ(stats.state, PusherState::kConnected);
  EXPECT_EQ(stats.acked_samples, 1000);
  EXPECT_EQ(stats.spooled_samples, 0);
  EXPECT_EQ(stats.dropped_samples, 0);
}

TEST_F(PusherTest, PutsManySamplesIntoFewBatches) {
  options_.max_batch_samples = 100;
  options_.linger = seconds(10);
  Make();
  PushTimes(1, 250);
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  EXPECT_EQ(pusher_->stats().acked_batches, 3);
}

TEST_F(PusherTest, SendsALonelySampleAfterTheLinger) {
  options_.linger = milliseconds(20);
  Make();
  PushTimes(1, 1);
  EXPECT_TRUE(Eventually([&] { return pusher_->stats().acked_samples == 1; }));
}

TEST_F(PusherTest, AppliesOnceWhatWasCommittedButNotAcknowledged) {
  options_.max_batch_samples = 10;
  Make();
  PushTimes(1, 10);
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  server_.ingest.LoseNextAck({grpc::StatusCode::UNAVAILABLE, "cut"});
  PushTimes(11, 30);
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  ExpectAppliedOnce(30);
  EXPECT_GE(pusher_->stats().resent_batches, 1);
  EXPECT_GE(server_.ingest.streams(), 2);
}

TEST_F(PusherTest, AppliesOnceWhenEvenTheVeryFirstAckIsLost) {
  server_.ingest.LoseNextAck({grpc::StatusCode::UNAVAILABLE, "cut"});
  Make();
  PushTimes(1, 10);
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  ExpectAppliedOnce(10);
}

TEST_F(PusherTest, SurvivesRestartsOfTheServerUnderLoad) {
  options_.max_batch_samples = 20;
  Make();
  std::atomic<bool> stop = false;
  std::atomic<int64_t> pushed = 0;
  std::thread load([&] {
    while (!stop) {
      const int64_t t = pushed + 1;
      ASSERT_TRUE(pusher_->Push(series_, t, static_cast<double>(t)).ok());
      pushed = t;
      if (t % 50 == 0) std::this_thread::yield();
      if (pusher_->stats().spooled_samples > 5000) std::this_thread::sleep_for(milliseconds(1));  // pace of the load
    }
  });
  for (int restart = 0; restart < 5; ++restart) {
    const int64_t before = pusher_->stats().acked_samples;
    EXPECT_TRUE(Eventually([&] { return pusher_->stats().acked_samples > before + 200; }));
    server_.Stop();
    server_.Start();
  }
  stop = true;
  load.join();
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(20)).ok());
  ExpectAppliedOnce(pushed);
  EXPECT_GE(pusher_->stats().connects, 5);
}

TEST_F(PusherTest, WaitsForAServerThatIsNotThereYet) {
  server_.Stop();
  Make();
  PushTimes(1, 100);
  EXPECT_TRUE(Eventually([&] { return pusher_->stats().state == PusherState::kWaiting; }));
  EXPECT_EQ(pusher_->WaitUntilAcked(milliseconds(1)).code(), absl::StatusCode::kDeadlineExceeded);
  server_.Start();
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  ExpectAppliedOnce(100);
}

TEST_F(PusherTest, SendsNoFurtherAheadThanTheServerAllows) {
  options_.max_batch_samples = 1;
  server_.ingest.SetWindow(3);
  Make();
  PushTimes(1, 1);
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  server_.ingest.HoldAcks(true);
  PushTimes(2, 50);
  EXPECT_TRUE(Eventually([&] { return server_.ingest.largest_backlog() >= 3; }));
  EXPECT_EQ(pusher_->WaitUntilAcked(milliseconds(50)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(server_.ingest.largest_backlog(), 3);
}

TEST_F(PusherTest, OpensANewStreamWhenAcksStayAway) {
  options_.ack_timeout = milliseconds(50);
  server_.ingest.HoldAcks(true);
  Make();
  PushTimes(1, 10);
  EXPECT_TRUE(Eventually([&] { return server_.ingest.streams() >= 2; }));
  EXPECT_EQ(pusher_->stats().last_error.code(), absl::StatusCode::kDeadlineExceeded);
  server_.ingest.HoldAcks(false);
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  ExpectAppliedOnce(10);
}

TEST_F(PusherTest, DropsTheOldestWhenTheSpoolIsFull) {
  server_.Stop();
  options_.max_spool_samples = 100;
  options_.max_batch_samples = 10;
  options_.spool_policy = SpoolPolicy::kDropOldest;
  Make();
  PushTimes(1, 1000);
  const PusherStats stats = pusher_->stats();
  EXPECT_LE(stats.spooled_samples, 100);
  EXPECT_EQ(stats.dropped_samples + stats.spooled_samples, 1000);
  server_.Start();
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  const auto applied = server_.ingest.applied();
  ASSERT_EQ(static_cast<int64_t>(applied.size()), stats.spooled_samples);
  EXPECT_EQ(applied.back().time, 1000) << "the newest are kept";
}

TEST_F(PusherTest, RefusesWhenTheSpoolIsFullAndThePolicySaysSo) {
  server_.Stop();
  options_.max_spool_samples = 100;
  options_.spool_policy = SpoolPolicy::kRefuse;
  Make();
  PushTimes(1, 100);
  EXPECT_EQ(pusher_->Push(series_, 101, 0).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(pusher_->stats().dropped_samples, 0);
  server_.Start();
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  EXPECT_TRUE(pusher_->Push(series_, 101, 101).ok());
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  ExpectAppliedOnce(101);
}

TEST_F(PusherTest, RefusesAPushLargerThanTheSpool) {
  options_.max_spool_samples = 10;
  Make();
  const std::vector<PushSample> many(11, {series_, 1, 1});
  EXPECT_EQ(pusher_->Push(many).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(PusherTest, RefusesASeriesThatWasNotDefined) {
  Make();
  EXPECT_EQ(pusher_->Push(0, 1, 1).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(pusher_->Push(99, 1, 1).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(PusherTest, GivesTheSameSeriesTheSameNumberUpToTheLimit) {
  options_.max_series = 2;
  Make();
  EXPECT_EQ(*pusher_->Define({"m", {{"host", "a"}}}, {}), series_);
  EXPECT_NE(*pusher_->Define({"m", {{"host", "b"}}}, {}), series_);
  EXPECT_EQ(pusher_->Define({"m", {{"host", "c"}}}, {}).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(PusherTest, ReportsRefusedSamplesAndKeepsTheOthers) {
  server_.ingest.RefuseMetric("old");
  Mutex mu;
  std::vector<PushRefusal> refusals;
  options_.on_refusal = [&](const PushRefusal& refusal) {
    MutexLock lock(&mu);
    refusals.push_back(refusal);
  };
  Make();
  const uint32_t old = *pusher_->Define({"old", {}}, {});
  const std::vector<PushSample> samples = {{series_, 1, 1}, {old, 1, 1}, {series_, 2, 2}};
  ASSERT_TRUE(pusher_->Push(samples).ok());
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  ExpectAppliedOnce(2);
  EXPECT_EQ(pusher_->stats().refused_samples, 1);
  EXPECT_EQ(pusher_->stats().refusals_by_reason.at("TOO_OLD"), 1);
  EXPECT_TRUE(Eventually([&] {
    MutexLock lock(&mu);
    return refusals.size() == 1 && refusals[0].reason == "TOO_OLD" && refusals[0].message == "old is too old";
  }));
}

TEST_F(PusherTest, FailsForGoodWhenTheServerCallsItMalformed) {
  server_.ingest.RefuseNextStream(WireError("BAD_FIELD"));
  Make();
  PushTimes(1, 1);
  EXPECT_TRUE(Eventually([&] { return pusher_->stats().state == PusherState::kFailed; }));
  EXPECT_TRUE(HasReason(pusher_->Push(series_, 2, 2), ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(pusher_->WaitUntilAcked(seconds(1)), ErrorReason::kBadField));
}

TEST_F(PusherTest, WaitsAsLongAsTheServerSays) {
  server_.ingest.RefuseNextStream(WireError("INGEST_BACKLOG_FULL"));
  Make();
  PushTimes(1, 5);
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  EXPECT_TRUE(HasReason(pusher_->stats().last_error, ErrorReason::kIngestBacklogFull));
  ExpectAppliedOnce(5);
}

TEST_F(PusherTest, FetchesAFreshTokenWhenTheOldOneEnds) {
  server_.tokens.Require(true);
  auto session = std::make_shared<Session>(Open(), SessionOptions{});
  ASSERT_TRUE(session->LoginAndWait({"ada", "correct horse", ""}).ok());
  tokens_ = session;
  Make();
  PushTimes(1, 10);
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  for (int round = 0; round < 3; ++round) {
    server_.tokens.RevokeAll();
    PushTimes(round * 10 + 11, round * 10 + 20);
    ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  }
  ExpectAppliedOnce(40);
  EXPECT_EQ(server_.auth.logins(), 1);
}

TEST_F(PusherTest, FailsWhenTheSessionIsOver) {
  server_.tokens.Require(true);
  auto session = std::make_shared<Session>(Open(), SessionOptions{});
  ASSERT_TRUE(session->LoginAndWait({"ada", "correct horse", ""}).ok());
  tokens_ = session;
  Make();
  server_.auth.ForgetRefreshTokens();
  server_.tokens.RevokeAll();
  PushTimes(1, 1);
  EXPECT_TRUE(Eventually([&] { return pusher_->stats().state == PusherState::kFailed; }));
  EXPECT_EQ(pusher_->stats().last_error.code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(PusherTest, NumbersAnewWhenTheProducerIdWasUsedWithHigherSequences) {
  options_.producer_id = "shared";
  const int64_t far_ahead = SystemClock().NowUnixNanos();
  server_.ingest.SetPosition("shared", far_ahead);
  Make();
  PushTimes(1, 50);
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  ExpectAppliedOnce(50);
  EXPECT_GT(pusher_->stats().acked_sequence, far_ahead);
}

TEST_F(PusherTest, ContinuesAGivenProducerIdInALaterProcess) {
  options_.producer_id = "mine";
  Make();
  PushTimes(1, 10);
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  pusher_.reset();
  Make();
  PushTimes(11, 20);
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  ExpectAppliedOnce(20);
  EXPECT_EQ(server_.ingest.producers(), std::vector<std::string>{"mine"});
  EXPECT_EQ(server_.ingest.duplicates(), 0);
}

TEST_F(PusherTest, TellsItsStatesInOrder) {
  Mutex mu;
  std::vector<PusherState> states;
  options_.on_state = [&](PusherState state, const absl::Status&) {
    MutexLock lock(&mu);
    states.push_back(state);
  };
  Make();
  PushTimes(1, 1);
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  server_.Stop();
  server_.Start();
  PushTimes(2, 2);
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  pusher_.reset();
  MutexLock lock(&mu);
  ASSERT_GE(states.size(), 3U);
  EXPECT_EQ(states.front(), PusherState::kConnected);
  EXPECT_EQ(states[1], PusherState::kWaiting);
  EXPECT_EQ(states.back(), PusherState::kConnected);
}

TEST_F(PusherTest, TakesSamplesFromManyThreads) {
  options_.max_batch_samples = 100;
  Make();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int64_t i = 0; i < 2000; ++i) ASSERT_TRUE(pusher_->Push(series_, thread * 2000 + i + 1, 0).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  std::set<int64_t> times;
  for (const auto& sample : server_.ingest.applied()) times.insert(sample.time);
  EXPECT_EQ(times.size(), 8000U);
  EXPECT_EQ(server_.ingest.applied().size(), 8000U);
}

TEST_F(PusherTest, MayGoAtAnyMoment) {
  options_.max_batch_samples = 5;
  for (int round = 0; round < 50; ++round) {
    Make();
    PushTimes(1, round);
    if (round % 10 == 3) server_.Stop();
    if (round % 10 == 7) server_.Start();
    pusher_.reset();
  }
}

TEST_F(PusherTest, MayGoInItsOwnCallback) {
  std::atomic<bool> gone = false;
  options_.on_ack = [&](int64_t) {
    if (!gone.exchange(true)) pusher_.reset();
  };
  Make();
  ASSERT_TRUE(pusher_->Push(series_, 1, 1).ok());
  EXPECT_TRUE(Eventually([&] { return gone.load(); }));
}

TEST_F(PusherTest, KeepsTimesAndValuesBitForBit) {
  Make();
  const std::vector<PushSample> samples = {{series_, std::numeric_limits<int64_t>::max(), -0.0},
                                           {series_, std::numeric_limits<int64_t>::min(), 5e-324},
                                           {series_, 0, std::numeric_limits<double>::infinity()}};
  ASSERT_TRUE(pusher_->Push(samples).ok());
  ASSERT_TRUE(pusher_->WaitUntilAcked(seconds(10)).ok());
  const auto applied = server_.ingest.applied();
  ASSERT_EQ(applied.size(), 3U);
  EXPECT_TRUE(std::signbit(applied[0].value));
  EXPECT_EQ(applied[1].value, 5e-324);
  EXPECT_EQ(applied[1].time, std::numeric_limits<int64_t>::min());
}

}  // namespace
}  // namespace pulseboard::client

#include "common/client/subscriber.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <vector>

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
using testing::Eventually;
using testing::FakeServer;
using testing::WireError;

// Writes down what it is told.
class Recorder final : public SubscriptionConsumer {
 public:
  Flow OnEvent(SubscriberEvent event) override {
    MutexLock lock(&mu_);
    if (const auto* reset = std::get_if<ResetEvent>(&event)) {
      times_.clear();
      reset_causes_.push_back(reset->cause);
    } else if (const auto* backfill = std::get_if<BackfillEvent>(&event)) {
      Note(backfill->series);
    } else if (const auto* samples = std::get_if<SamplesEvent>(&event)) {
      Note(samples->series);
      last_times_ = samples->times;
      if (pause_) {
        paused_ = true;
        return Flow::kPause;
      }
    } else if (const auto* state = std::get_if<StateEvent>(&event)) {
      states_.push_back(*state);
    } else if (const auto* definitions = std::get_if<DefinitionsEvent>(&event)) {
      definitions_.insert(definitions_.end(), definitions->definitions.begin(), definitions->definitions.end());
    }
    return Flow::kContinue;
  }

  void Pause(bool on) {
    MutexLock lock(&mu_);
    pause_ = on;
  }
  bool paused() const {
    MutexLock lock(&mu_);
    return paused_;
  }
  std::vector<int64_t> times() const {
    MutexLock lock(&mu_);
    return times_;
  }
  int64_t last_time() const {
    MutexLock lock(&mu_);
    return times_.empty() ? 0 : times_.back();
  }
  std::vector<absl::Status> reset_causes() const {
    MutexLock lock(&mu_);
    return reset_causes_;
  }
  std::vector<StateEvent> states() const {
    MutexLock lock(&mu_);
    return states_;
  }
  bool ended() const {
    MutexLock lock(&mu_);
    return !states_.empty() && states_.back().state == SubscriberState::kEnded;
  }
  std::vector<DefinitionsEvent::Definition> definitions() const {
    MutexLock lock(&mu_);
    return definitions_;
  }
  FrameTimes last_times() const {
    MutexLock lock(&mu_);
    return last_times_;
  }

 private:
  void Note(const std::vector<SeriesSamples>& all) PB_REQUIRES(mu_) {
    for (const SeriesSamples& series : all) {
      EXPECT_EQ(series.series, 77U);
      times_.insert(times_.end(), series.samples.times.begin(), series.samples.times.end());
    }
  }

  mutable Mutex mu_;
  bool pause_ PB_GUARDED_BY(mu_) = false;
  bool paused_ PB_GUARDED_BY(mu_) = false;
  std::vector<int64_t> times_ PB_GUARDED_BY(mu_);
  std::vector<absl::Status> reset_causes_ PB_GUARDED_BY(mu_);
  std::vector<StateEvent> states_ PB_GUARDED_BY(mu_);
  std::vector<DefinitionsEvent::Definition> definitions_ PB_GUARDED_BY(mu_);
  FrameTimes last_times_ PB_GUARDED_BY(mu_);
};

class SubscriberTest : public ::testing::Test {
 protected:
  SubscriberTest() {
    server_.Start();
    options_.queries = {{"q", "m", std::chrono::minutes(5), 0}};
    options_.backoff = {milliseconds(5), milliseconds(50)};
  }
  ~SubscriberTest() override { subscriber_.reset(); }

  std::shared_ptr<grpc::Channel> Open() { return *OpenChannel(server_.address(), ServerTrust{}); }
  void Make() { subscriber_ = std::make_unique<Subscriber>(Open(), tokens_, options_, &recorder_); }
  // The (empty) backfill is over: what is committed from now on comes live.
  void MakeLive() {
    Make();
    ASSERT_TRUE(Eventually([&] { return subscriber_->resume_token() == "0"; }));
  }
  bool Received(int64_t last) {
    return Eventually([&] { return recorder_.last_time() == last; });
  }
  // Since the last reset: 1, 2, 3 … `last`, each once.
  void ExpectNoHoleNoDouble(int64_t last) {
    ASSERT_TRUE(Received(last)) << recorder_.last_time();
    const auto times = recorder_.times();
    ASSERT_EQ(static_cast<int64_t>(times.size()), last);
    for (int64_t i = 0; i < last; ++i) ASSERT_EQ(times[static_cast<size_t>(i)], i + 1);
  }

  FakeServer server_;
  SubscriberOptions options_;
  std::shared_ptr<TokenSource> tokens_ = std::make_shared<FixedToken>("t");
  Recorder recorder_;
  std::unique_ptr<Subscriber> subscriber_;
};

TEST_F(SubscriberTest, DeliversBackfillAndLiveInOrder) {
  server_.live.Commit(5);
  Make();
  ASSERT_TRUE(Received(5));
  server_.live.Commit(3);
  ExpectNoHoleNoDouble(8);
  ASSERT_EQ(recorder_.definitions().size(), 1U);
  EXPECT_EQ(recorder_.definitions()[0].series.key.metric, "m");
  EXPECT_EQ(recorder_.definitions()[0].query_ids, std::vector<std::string>{"q"});
  ASSERT_EQ(recorder_.reset_causes().size(), 1U);
  EXPECT_TRUE(recorder_.reset_causes()[0].ok());
  EXPECT_GT(recorder_.last_times().arrived, 0);
  EXPECT_GT(recorder_.last_times().pushed, 0);
  EXPECT_EQ(subscriber_->resume_token(), "8");
}

TEST_F(SubscriberTest, ResumesAfterTheServerEndsTheStream) {
  server_.live.Commit(5);
  Make();
  ASSERT_TRUE(Received(5));
  for (int round = 1; round <= 5; ++round) {
    server_.live.EndStreams(WireError("SHUTTING_DOWN"));
    server_.live.SetRefBase(static_cast<uint32_t>(round * 10));  // refs are not the same on the next stream
    server_.live.Commit(10);
    ExpectNoHoleNoDouble(5 + round * 10);
  }
  EXPECT_EQ(recorder_.reset_causes().size(), 1U);
  EXPECT_EQ(server_.live.tokens_seen().at(1), "5");
}

TEST_F(SubscriberTest, GoesOnAtOnceWhenTheStreamIsAsOldAsTheServerLetsItBecome) {
  server_.live.Commit(5);
  Make();
  ASSERT_TRUE(Received(5));
  server_.live.EndStreams(grpc::Status::OK);
  server_.live.Commit(5);
  ExpectNoHoleNoDouble(10);
  EXPECT_EQ(server_.live.tokens_seen().at(1), "5");
  EXPECT_EQ(recorder_.reset_causes().size(), 1U);
}

TEST_F(SubscriberTest, ResumesAfterRestartsOfTheServer) {
  Make();
  for (int round = 1; round <= 3; ++round) {
    server_.live.Commit(10);
    ASSERT_TRUE(Received(round * 20 - 10));
    server_.Stop();
    server_.live.Commit(10);
    server_.Start();
    ExpectNoHoleNoDouble(round * 20);
  }
  EXPECT_EQ(recorder_.reset_causes().size(), 1U);
}

TEST_F(SubscriberTest, BeginsAnewWhenTheTokenIsTooOld) {
  server_.live.Commit(5);
  Make();
  ASSERT_TRUE(Received(5));
  server_.live.ExpireBefore(100);
  server_.live.EndStreams(WireError("SHUTTING_DOWN"));
  server_.live.Commit(200);
  ExpectNoHoleNoDouble(205);
  ASSERT_EQ(recorder_.reset_causes().size(), 2U);
  EXPECT_TRUE(HasReason(recorder_.reset_causes()[1], ErrorReason::kResumeTokenExpired));
  EXPECT_EQ(subscriber_->stats().resets, 1);
}

TEST_F(SubscriberTest, BeginsAnewWhenTheBackfillIsCutOff) {
  server_.live.Commit(5);
  server_.live.FailNextStream({grpc::StatusCode::UNAVAILABLE, "cut"}, 2);  // definitions and backfill, no token yet
  Make();
  ASSERT_TRUE(Eventually([&] { return recorder_.reset_causes().size() == 2; }));
  ExpectNoHoleNoDouble(5);
}

TEST_F(SubscriberTest, GoesOnFromATokenOfAnEarlierRun) {
  server_.live.Commit(5);
  Make();
  ASSERT_TRUE(Received(5));
  ASSERT_TRUE(Eventually([&] { return subscriber_->resume_token() == "5"; }));
  options_.resume_token = subscriber_->resume_token();
  subscriber_.reset();
  server_.live.Commit(5);
  Make();
  ExpectNoHoleNoDouble(10);
  EXPECT_EQ(recorder_.reset_causes().size(), 1U) << "the second run knows where it stands";
}

TEST_F(SubscriberTest, ReadsNoFurtherWhilePausedAndLosesNothing) {
  MakeLive();
  recorder_.Pause(true);
  server_.live.Commit(1);
  ASSERT_TRUE(Eventually([&] { return recorder_.paused(); }));
  for (int i = 0; i < 20; ++i) server_.live.Commit(5);
  EXPECT_EQ(recorder_.last_time(), 1);
  const int64_t messages = subscriber_->stats().messages;
  recorder_.Pause(false);
  EXPECT_EQ(subscriber_->stats().messages, messages) << "nothing is read before Resume";
  subscriber_->Resume();
  ExpectNoHoleNoDouble(101);
}

TEST_F(SubscriberTest, GoesOnAfterABreakThatHappenedWhilePaused) {
  MakeLive();
  recorder_.Pause(true);
  server_.live.Commit(1);
  ASSERT_TRUE(Eventually([&] { return recorder_.paused(); }));
  server_.Stop();
  server_.Start();
  server_.live.Commit(9);
  recorder_.Pause(false);
  subscriber_->Resume();
  ExpectNoHoleNoDouble(10);
}

TEST_F(SubscriberTest, TakesSilenceForADeadConnection) {
  options_.silence_limit = milliseconds(60);
  server_.live.Commit(1);
  Make();
  ASSERT_TRUE(Received(1));
  server_.live.Mute(true);
  EXPECT_TRUE(Eventually([&] { return server_.live.tokens_seen().size() >= 2; }));
  server_.live.Mute(false);
  server_.live.Commit(1);
  ExpectNoHoleNoDouble(2);
}

TEST_F(SubscriberTest, EndsWhenTheServerWillNeverTakeIt) {
  for (const std::string reason : {"BAD_SELECTOR", "ROLE_TOO_LOW", "QUERY_TOO_BROAD", "BAD_FIELD"}) {
    Recorder recorder;
    server_.live.FailNextStream(WireError(reason));
    const Subscriber subscriber(Open(), tokens_, options_, &recorder);
    ASSERT_TRUE(Eventually([&] { return recorder.ended(); })) << reason;
    EXPECT_EQ(GetErrorReasonInfo(GetErrorDetail(recorder.states().back().status)->reason).name, reason);
  }
}

TEST_F(SubscriberTest, ComesBackWhenItWasTooSlowOrTooMany) {
  for (const std::string reason : {"SLOW_CONSUMER", "TOO_MANY_SUBSCRIPTIONS"}) {
    server_.live.FailNextStream(WireError(reason));
    Recorder recorder;
    server_.live.Commit(1);
    const Subscriber subscriber(Open(), tokens_, options_, &recorder);
    EXPECT_TRUE(Eventually([&] { return recorder.last_time() > 0; })) << reason;
  }
}

TEST_F(SubscriberTest, FetchesAFreshTokenWhenTheOldOneEnds) {
  server_.tokens.Require(true);
  auto session = std::make_shared<Session>(Open(), SessionOptions{});
  ASSERT_TRUE(session->LoginAndWait({"ada", "correct horse", ""}).ok());
  tokens_ = session;
  server_.live.Commit(5);
  Make();
  ASSERT_TRUE(Received(5));
  server_.tokens.RevokeAll();
  server_.live.EndStreams(WireError("TOKEN_EXPIRED"));
  server_.live.Commit(5);
  ExpectNoHoleNoDouble(10);
  EXPECT_EQ(server_.auth.refreshes(), 1);
}

TEST_F(SubscriberTest, EndsWhenTheSessionIsOver) {
  server_.tokens.Require(true);
  Make();  // with a token nobody issued
  ASSERT_TRUE(Eventually([&] { return recorder_.ended(); }));
  EXPECT_EQ(recorder_.states().back().status.code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(SubscriberTest, DistrustsAServerThatSendsUndefinedRefs) {
  server_.live.Commit(5);
  server_.live.SendUndefinedRefOnce();
  Make();
  ExpectNoHoleNoDouble(5);
  ASSERT_EQ(recorder_.reset_causes().size(), 2U);
  EXPECT_EQ(recorder_.reset_causes()[1].code(), absl::StatusCode::kInternal);
}

TEST_F(SubscriberTest, MayGoAtAnyMoment) {
  for (int round = 0; round < 50; ++round) {
    Make();
    server_.live.Commit(round);
    if (round % 10 == 3) server_.Stop();
    if (round % 10 == 7) server_.Start();
    subscriber_.reset();
  }
}

TEST_F(SubscriberTest, MayGoWhilePaused) {
  MakeLive();
  recorder_.Pause(true);
  server_.live.Commit(1);
  ASSERT_TRUE(Eventually([&] { return recorder_.paused(); }));
  subscriber_.reset();
  EXPECT_TRUE(Eventually([&] { return server_.live.open_streams() == 0; }));
}

TEST_F(SubscriberTest, MayGoInItsOwnEvent) {
  struct Leaver final : SubscriptionConsumer {
    Flow OnEvent(SubscriberEvent event) override {
      if (std::holds_alternative<SamplesEvent>(event)) {
        subscriber.reset();
        gone = true;
      }
      return Flow::kContinue;
    }
    std::unique_ptr<Subscriber> subscriber;
    std::atomic<bool> gone = false;
  } leaver;
  leaver.subscriber = std::make_unique<Subscriber>(Open(), tokens_, options_, &leaver);
  // Live or backfill, as it happens: commits come until one is delivered live.
  EXPECT_TRUE(Eventually([&] {
    server_.live.Commit(1);
    return leaver.gone.load();
  }));
}

}  // namespace
}  // namespace pulseboard::client

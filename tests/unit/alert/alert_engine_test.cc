#include "server/alert/alert_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "common/base/errors.h"
#include "tests/support/eventually.h"
#include "tests/support/test_store.h"

namespace pulseboard {
namespace {

using ::testing::ElementsAre;
using testing::Eventually;
using testing::TestStore;

constexpr int64_t kStart = 1'800'000'000 * kNanosPerSecond;
constexpr int64_t kSecond = kNanosPerSecond;

class RecordingObserver final : public TransitionObserver {
 public:
  void OnTransitions(std::span<const AlertTransition> transitions) noexcept override {
    MutexLock lock(&mu_);
    told_.insert(told_.end(), transitions.begin(), transitions.end());
  }
  std::vector<AlertTransition> told() const {
    MutexLock lock(&mu_);
    return told_;
  }

 private:
  mutable Mutex mu_;
  std::vector<AlertTransition> told_ PB_GUARDED_BY(mu_);
};

// The store tells whichever engine there is: a restart makes another.
class Relay final : public CommitObserver {
 public:
  void OnCommit(const CommittedBatch& batch) noexcept override {
    if (engine != nullptr) engine->OnCommit(batch);
  }
  AlertEngine* engine = nullptr;
};

class AlertEngineTest : public ::testing::Test {
 protected:
  AlertEngineTest() : store_(&relay_, clock_) { Start(); }
  ~AlertEngineTest() override { End(); }

  void Start() {
    AlertOptions options;
    options.progress_interval_ns = kNanosPerMilli;  // so that the thread looks at the moved clock soon
    engine_ = std::make_unique<AlertEngine>(clock_, options);
    engine_->AddObserver(observer_);
    const absl::Status opened = engine_->Open(*store_);
    ASSERT_TRUE(opened.ok()) << opened;
    relay_.engine = engine_.get();
  }
  void End() {
    relay_.engine = nullptr;
    engine_.reset();
  }
  void Restart() {
    End();
    store_.Reopen(&relay_);
    Start();
  }

  static AlertRule Above(double bound) {
    AlertRule rule;
    rule.name = "cpu busy";
    rule.condition.selector = "cpu";
    rule.condition.comparison = AlertComparison::kAbove;
    rule.condition.critical = AlertBounds{.high = bound};
    return rule;
  }
  RulePtr Create(const AlertRule& rule) {
    auto made = engine_->rules().Create(kDefaultTenant, rule, "anna");
    EXPECT_TRUE(made.ok()) << made.status();
    return *made;
  }
  // Commits one sample of now and waits until it was judged.
  void Push(double value, const Labels& labels = {{"host", "a"}}, int64_t age = 0) {
    const int64_t judged = engine_->Stats().judged_samples;
    store_.Append({{store_.Series("cpu", labels), clock_.NowUnixNanos() - age, value}});
    EXPECT_TRUE(Eventually([&] { return engine_->Stats().judged_samples > judged; }));
  }
  // Waits until the rule is taken over.
  void AwaitRules(const std::function<bool(const AlertStats&)>& is_there) {
    EXPECT_TRUE(Eventually([&] { return is_there(engine_->Stats()); }));
  }
  std::vector<AlertState> Told() const {
    std::vector<AlertState> states;
    for (const AlertTransition& t : observer_.told()) states.push_back(t.to);
    return states;
  }
  bool EventuallyTold(size_t count) {
    return Eventually([&] { return observer_.told().size() >= count; });
  }
  std::vector<AlertTransition> Ledger() const {
    auto page = engine_->ledger().List(kDefaultTenant, {});
    EXPECT_TRUE(page.ok()) << page.status();
    return page->transitions;
  }

  ManualClock clock_{kStart};
  RecordingObserver observer_;
  Relay relay_;
  TestStore store_;
  std::unique_ptr<AlertEngine> engine_;
};

TEST_F(AlertEngineTest, FiresWhenASampleCommitsAndTellsWhatIsInTheLedger) {
  const RulePtr rule = Create(Above(90));
  Push(50);
  Push(95, {{"host", "b"}});
  ASSERT_TRUE(EventuallyTold(1));
  const AlertTransition t = observer_.told()[0];
  EXPECT_EQ(t.sequence, 1);
  EXPECT_EQ(t.rule_id, rule->id);
  EXPECT_EQ(t.rule_name, "cpu busy");
  EXPECT_EQ(t.series.Format(), "cpu{host=\"b\"}");
  EXPECT_EQ(t.to, AlertState::kFiring);
  EXPECT_EQ(t.severity, AlertSeverity::kCritical);
  EXPECT_EQ(t.cause, AlertCause::kSample);
  EXPECT_EQ(t.value, 95);
  EXPECT_EQ(t.time_unix_nanos, kStart);
  EXPECT_THAT(Ledger(), ElementsAre(t));
  const AlertPage firing = *engine_->List(kDefaultTenant, {.states = {AlertState::kFiring}});
  ASSERT_EQ(firing.alerts.size(), 1U);
  EXPECT_EQ(firing.alerts[0].series->key, t.series);
  EXPECT_EQ(engine_->List(kDefaultTenant, {})->alerts.size(), 2U);
  EXPECT_TRUE(engine_->List(kSystemTenant, {})->alerts.empty());
}

TEST_F(AlertEngineTest, KeepsThePendingClockOverARestart) {
  AlertRule rule = Above(90);
  rule.timing.for_ns = 60 * kSecond;
  Create(rule);
  Push(95);
  clock_.Advance(40 * kSecond);
  Push(96);
  ASSERT_TRUE(EventuallyTold(1));
  Restart();
  clock_.StepWall(7'200 * kSecond);  // while the server was down, or a wrong clock set right: nobody watched
  Push(97);
  EXPECT_THAT(Told(), ElementsAre(AlertState::kPending));
  clock_.Advance(19 * kSecond);
  Push(98);
  EXPECT_THAT(Told(), ElementsAre(AlertState::kPending));
  clock_.Advance(kSecond);
  ASSERT_TRUE(EventuallyTold(2));
  EXPECT_EQ(observer_.told()[1].to, AlertState::kFiring);
  EXPECT_EQ(observer_.told()[1].cause, AlertCause::kTime);
  EXPECT_EQ(observer_.told()[1].sequence, 2);
}

TEST_F(AlertEngineTest, DoesNotResolveWhenThePusherDies) {
  AlertRule rule = Above(90);
  rule.timing.keep_firing_for_ns = 5 * kSecond;
  Create(rule);
  for (int i = 0; i < 6; ++i) {
    Push(95);
    clock_.Advance(kSecond);
  }
  ASSERT_TRUE(EventuallyTold(1));
  clock_.Advance(3'600 * kSecond);
  ASSERT_TRUE(EventuallyTold(2));
  EXPECT_THAT(Told(), ElementsAre(AlertState::kFiring, AlertState::kUnknown));
  EXPECT_EQ(observer_.told()[1].severity, AlertSeverity::kCritical);
  EXPECT_EQ(observer_.told()[1].cause, AlertCause::kMissing);
  Restart();
  Push(96);
  ASSERT_TRUE(EventuallyTold(3));
  EXPECT_THAT(Told(), ElementsAre(AlertState::kFiring, AlertState::kUnknown, AlertState::kFiring));
}

TEST_F(AlertEngineTest, JudgesAfterARestartWhatWasCommittedButNotJudged) {
  Create(Above(90));
  Push(50);
  AwaitRules([](const AlertStats& s) { return s.alerts == 1; });
  End();  // as if killed: what commits now was judged by nobody
  clock_.Advance(kSecond);
  const SeriesId series = store_.Series("cpu", {{"host", "a"}});
  store_.Append({{series, clock_.NowUnixNanos(), 99}});
  clock_.Advance(kSecond);
  store_.Append({{series, clock_.NowUnixNanos(), 10}});
  Start();
  ASSERT_TRUE(EventuallyTold(2));
  EXPECT_THAT(Told(), ElementsAre(AlertState::kFiring, AlertState::kOk));
  Restart();  // and not twice
  Push(99);
  ASSERT_TRUE(EventuallyTold(3));
  EXPECT_EQ(observer_.told().size(), 3U);
}

TEST_F(AlertEngineTest, EndsTheAlertsOfARuleThatGoes) {
  const RulePtr rule = Create(Above(90));
  Push(95);
  ASSERT_TRUE(EventuallyTold(1));
  ASSERT_TRUE(engine_->rules().Delete(kDefaultTenant, rule->id, 0).ok());
  ASSERT_TRUE(EventuallyTold(2));
  EXPECT_EQ(observer_.told()[1].to, AlertState::kOk);
  EXPECT_EQ(observer_.told()[1].cause, AlertCause::kRule);
  AwaitRules([](const AlertStats& s) { return s.alerts == 0; });
  Restart();
  EXPECT_EQ(engine_->Stats().alerts, 0);
  EXPECT_EQ(observer_.told().size(), 2U);
}

TEST_F(AlertEngineTest, KeepsAlertsWhenOnlyThePatienceOfTheirRuleChanges) {
  AlertRule rule = Above(90);
  rule.timing.for_ns = 600 * kSecond;
  AlertRule changed = *Create(rule);
  Push(95);
  ASSERT_TRUE(EventuallyTold(1));
  clock_.Advance(30 * kSecond);
  changed.timing.for_ns = 10 * kSecond;
  ASSERT_TRUE(engine_->rules().Update(kDefaultTenant, changed, "ben").ok());
  ASSERT_TRUE(EventuallyTold(2));
  EXPECT_THAT(Told(), ElementsAre(AlertState::kPending, AlertState::kFiring));
}

TEST_F(AlertEngineTest, SaysThatASeriesFellSilentByItsOwnCadence) {
  AlertRule rule;
  rule.name = "host gone";
  rule.condition.selector = "cpu";
  rule.condition.signal = AlertSignal::kAbsence;
  Create(rule);
  for (int i = 0; i < 6; ++i) {
    Push(1, {{"host", "slow"}});
    clock_.Advance(60 * kSecond);
  }
  EXPECT_TRUE(observer_.told().empty());
  clock_.Advance(121 * kSecond);
  ASSERT_TRUE(EventuallyTold(1));
  EXPECT_EQ(observer_.told()[0].to, AlertState::kFiring);
  EXPECT_EQ(observer_.told()[0].cause, AlertCause::kTime);
  Push(1, {{"host", "slow"}});
  ASSERT_TRUE(EventuallyTold(2));
  EXPECT_EQ(observer_.told()[1].to, AlertState::kOk);
}

TEST_F(AlertEngineTest, JudgesARateByTheSamplesOfBeforeTheRestart) {
  AlertRule rule = Above(10);
  rule.condition.signal = AlertSignal::kRate;
  rule.condition.window_ns = 60 * kSecond;
  Create(rule);
  for (int i = 0; i < 10; ++i) {
    Push(i);
    clock_.Advance(10 * kSecond);
  }
  EXPECT_TRUE(observer_.told().empty());
  Restart();
  Push(10'000);
  ASSERT_TRUE(EventuallyTold(1));
  EXPECT_EQ(observer_.told()[0].to, AlertState::kFiring);
}

TEST_F(AlertEngineTest, LetsLateDataOfANewestSampleFlipTheEdgeAndOlderOnesNot) {
  Create(Above(90));
  Push(50);
  const int64_t newest = clock_.NowUnixNanos();
  clock_.Advance(kSecond);
  const SeriesId series = store_.Series("cpu", {{"host", "a"}});
  store_.Append({{series, newest - kSecond, 99}});  // the past: no edge now
  store_.Append({{series, newest, 95}});            // a new value for what is newest
  ASSERT_TRUE(EventuallyTold(1));
  EXPECT_EQ(observer_.told().size(), 1U);
  EXPECT_EQ(observer_.told()[0].value, 95);
}

TEST_F(AlertEngineTest, TakesImportedHistoryForNoNews) {
  Create(Above(90));
  Push(50);
  const SeriesId series = store_.Series("cpu", {{"host", "old"}});
  store_.Append({{series, clock_.NowUnixNanos() - 86'400 * kSecond, 99}});
  Push(95, {{"host", "new"}});
  ASSERT_TRUE(EventuallyTold(1));
  EXPECT_EQ(observer_.told()[0].series.Get("host"), "new");
}

}  // namespace
}  // namespace pulseboard

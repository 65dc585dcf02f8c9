#include "server/alert/alert_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <random>

#include "tests/unit/alert/slow_alert_model.h"

namespace pulseboard {

// For gtest.
void PrintTo(const AlertChange& c, std::ostream* out) {
  *out << c.time << ": " << AlertStateName(c.from) << "/" << static_cast<int>(c.from_severity) << " -> "
       << AlertStateName(c.to) << "/" << static_cast<int>(c.severity) << " cause " << static_cast<int>(c.cause)
       << " since " << c.since;
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::SlowAlertModel;

std::vector<AlertState> States(const std::vector<AlertChange>& changes) {
  std::vector<AlertState> states;
  for (const AlertChange& change : changes) states.push_back(change.to);
  return states;
}

void Restart(AlertMachine* machine, int64_t now) {
  AlertMachine again;
  ASSERT_TRUE(AlertMachine::Decode(machine->Encode(), now, &again));
  EXPECT_EQ(again.Encode(), machine->Encode());
  EXPECT_EQ(again.state(), machine->state());
  EXPECT_EQ(again.severity(), machine->severity());
  *machine = again;
}

struct History {
  AlertTiming timing;
  std::vector<std::pair<int64_t, Judgement>> judgements;  // ascending; times may repeat
  int64_t end = 0;
};

History RandomHistory(std::mt19937_64& random) {
  const auto pick = [&](int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(random);
  };
  History h;
  h.timing.for_ns = pick(0, 2) == 0 ? 0 : pick(0, 12);
  h.timing.keep_firing_for_ns = pick(0, 2) == 0 ? 0 : pick(0, 12);
  h.timing.missing = static_cast<MissingDataPolicy>(pick(1, 4));
  h.timing.missing_for_ns = pick(0, 1) == 0 ? 0 : pick(0, 9);
  h.timing.missing_severity = static_cast<AlertSeverity>(pick(1, 2));
  int64_t time = 0;
  const int64_t calm = pick(0, 10);
  for (int64_t i = pick(1, 60); i > 0; --i) {
    time += pick(0, 3) == 0 ? 0 : pick(0, 1 + calm);
    h.judgements.emplace_back(time, static_cast<Judgement>(pick(0, 3)));
  }
  h.end = time + pick(0, 40);
  return h;
}

std::vector<AlertChange> BySlowModel(const History& h) {
  SlowAlertModel model(h.timing);
  size_t next = 0;
  for (int64_t now = 0; now <= h.end; ++now) {
    if (now > 0) model.Tick();
    for (; next < h.judgements.size() && h.judgements[next].first == now; ++next) {
      model.Judge(h.judgements[next].second);
    }
  }
  return model.changes();
}

// `restart_every`: 0 never, 1 at every step.
std::vector<AlertChange> ByMachine(const History& h, int64_t restart_every, std::mt19937_64& random) {
  std::vector<AlertChange> changes;
  AlertMachine machine(0);
  int64_t now = 0;
  int64_t steps = 0;
  const auto maybe_restart = [&] {
    if (restart_every > 0 && ++steps % restart_every == 0) Restart(&machine, now);
  };
  for (const auto& [time, judgement] : h.judgements) {
    while (random() % 3 == 0 && now < time) {  // idle wake-ups change nothing
      now += static_cast<int64_t>(random() % static_cast<uint64_t>(time - now + 1));
      machine.Advance(h.timing, now, &changes);
      maybe_restart();
    }
    now = time;
    machine.Judge(h.timing, now, judgement, &changes);
    maybe_restart();
  }
  machine.Advance(h.timing, h.end, &changes);
  return changes;
}

TEST(AlertMachine, EqualsAPlainTallyOverRandomHistoriesWithRestartsAtEveryStep) {
  std::mt19937_64 random(5);
  std::array<int64_t, 6> seen = {};
  for (int run = 0; run < 20'000; ++run) {
    const History h = RandomHistory(random);
    const std::vector<AlertChange> expected = BySlowModel(h);
    ASSERT_EQ(ByMachine(h, 0, random), expected) << "run " << run;
    ASSERT_EQ(ByMachine(h, 1, random), expected) << "run " << run << " with restarts";
    for (const AlertChange& change : expected) ++seen[static_cast<size_t>(change.to)];
  }
  // The histories reach every state, often.
  for (size_t state = 1; state < seen.size(); ++state) EXPECT_GT(seen[state], 1'000) << state;
}

TEST(AlertMachine, SaysWhenTimeAloneChangesIt) {
  std::mt19937_64 random(6);
  for (int run = 0; run < 5'000; ++run) {
    const History h = RandomHistory(random);
    AlertMachine machine(0);
    std::vector<AlertChange> changes;
    for (const auto& [time, judgement] : h.judgements) {
      machine.Judge(h.timing, time, judgement, &changes);
      const int64_t edge = machine.NextEdge(h.timing);
      if (edge == AlertMachine::kNever) continue;
      ASSERT_GT(edge, time);
      AlertMachine early = machine;
      const size_t before = changes.size();
      early.Advance(h.timing, edge - 1, &changes);
      ASSERT_EQ(changes.size(), before);
      ASSERT_EQ(early.Encode(), machine.Encode());
      early.Advance(h.timing, edge, &changes);
      ASSERT_NE(early.Encode(), machine.Encode());
      changes.resize(before);
    }
  }
}

TEST(AlertMachine, DoesNotResolveWhenThePusherDies) {
  const AlertTiming timing = {.keep_firing_for_ns = 10, .missing = MissingDataPolicy::kUnknown, .missing_for_ns = 5};
  std::vector<AlertChange> changes;
  AlertMachine machine(0);
  machine.Judge(timing, 1, Judgement::kCritical, &changes);
  machine.Judge(timing, 2, Judgement::kUnknown, &changes);
  machine.Advance(timing, 1'000, &changes);
  EXPECT_THAT(States(changes), ElementsAre(AlertState::kFiring, AlertState::kUnknown));
  EXPECT_EQ(changes.back().time, 7);
  EXPECT_EQ(changes.back().severity, AlertSeverity::kCritical);
  machine.Judge(timing, 1'001, Judgement::kCritical, &changes);
  EXPECT_EQ(machine.state(), AlertState::kFiring);
}

TEST(AlertMachine, DoesNotFireOnTimeThatNobodySaw) {
  const AlertTiming timing = {.for_ns = 10, .missing = MissingDataPolicy::kKeep};
  std::vector<AlertChange> changes;
  AlertMachine machine(0);
  machine.Judge(timing, 0, Judgement::kWarning, &changes);
  machine.Judge(timing, 4, Judgement::kUnknown, &changes);
  machine.Advance(timing, 500, &changes);
  EXPECT_EQ(machine.state(), AlertState::kPending);
  // Back with the same: the four ticks before count.
  machine.Judge(timing, 500, Judgement::kWarning, &changes);
  machine.Advance(timing, 505, &changes);
  EXPECT_EQ(machine.state(), AlertState::kPending);
  machine.Advance(timing, 506, &changes);
  EXPECT_EQ(machine.state(), AlertState::kFiring);
  EXPECT_EQ(machine.since(), 506);
}

TEST(AlertMachine, FlapsNotWhileKeepFiringForRuns) {
  const AlertTiming timing = {.for_ns = 3, .keep_firing_for_ns = 10};
  std::vector<AlertChange> changes;
  AlertMachine machine(0);
  for (int64_t now = 0; now < 1'000; now += 2) {
    machine.Judge(timing, now, now % 8 == 0 ? Judgement::kClear : Judgement::kCritical, &changes);
  }
  int resolved = 0;
  for (const AlertChange& change : changes)
    resolved += change.from != AlertState::kPending && change.to == AlertState::kOk;
  EXPECT_EQ(resolved, 0);
  machine.Judge(timing, 1'000, Judgement::kClear, &changes);
  machine.Advance(timing, 1'009, &changes);
  EXPECT_EQ(machine.state(), AlertState::kRecovering);
  machine.Advance(timing, 1'010, &changes);
  EXPECT_EQ(machine.state(), AlertState::kOk);
}

TEST(AlertMachine, StandsStillWhenItsClockGoesBack) {
  const AlertTiming timing = {.for_ns = 10};
  std::vector<AlertChange> changes;
  AlertMachine machine(100);
  machine.Judge(timing, 100, Judgement::kWarning, &changes);
  machine.Judge(timing, 50, Judgement::kWarning, &changes);
  machine.Advance(timing, 10, &changes);
  EXPECT_EQ(machine.state(), AlertState::kPending);
  machine.Advance(timing, 110, &changes);
  EXPECT_EQ(machine.state(), AlertState::kFiring);
  EXPECT_EQ(changes.back().time, 110);
}

TEST(AlertMachine, RisesAndFallsOneSeverityAtATime) {
  const AlertTiming timing = {.for_ns = 5, .keep_firing_for_ns = 5};
  std::vector<AlertChange> changes;
  AlertMachine machine(0);
  machine.Judge(timing, 0, Judgement::kWarning, &changes);
  machine.Judge(timing, 3, Judgement::kCritical, &changes);
  machine.Judge(timing, 20, Judgement::kWarning, &changes);
  machine.Judge(timing, 22, Judgement::kClear, &changes);
  machine.Advance(timing, 100, &changes);
  std::vector<std::pair<int64_t, AlertSeverity>> severities;
  for (const AlertChange& change : changes) severities.emplace_back(change.time, change.severity);
  using enum AlertSeverity;
  using Pair = std::pair<int64_t, AlertSeverity>;
  EXPECT_THAT(severities, ElementsAre(Pair{0, kNone}, Pair{5, kWarning}, Pair{8, kCritical}, Pair{22, kCritical},
                                      Pair{25, kWarning}, Pair{27, kNone}));
  EXPECT_EQ(changes.back().to, AlertState::kOk);
}

TEST(AlertMachine, RefusesBytesThatAreNone) {
  AlertMachine machine;
  const std::string good = AlertMachine(7).Encode();
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(AlertMachine::Decode(good.substr(0, size), 9, &machine)) << size;
  }
  EXPECT_FALSE(AlertMachine::Decode(good + "x", 9, &machine));
  std::string wrong = good;
  wrong[0] = 99;
  EXPECT_FALSE(AlertMachine::Decode(wrong, 9, &machine));
}

}  // namespace
}  // namespace pulseboard

#include "server/query/fair_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/eventually.h"

namespace pulseboard {
namespace {

using testing::Eventually;

bool Never() { return false; }

// Opens once; whoever waits goes on.
class Gate {
 public:
  void Open() {
    MutexLock lock(&mu_);
    open_ = true;
    opened_.NotifyAll();
  }
  void Wait() {
    MutexLock lock(&mu_);
    while (!open_) opened_.Wait(&mu_);
  }

 private:
  Mutex mu_;
  CondVar opened_;
  bool open_ PB_GUARDED_BY(mu_) = false;
};

class Order {
 public:
  void Add(const std::string& who) {
    MutexLock lock(&mu_);
    who_.push_back(who);
  }
  std::vector<std::string> Take() {
    MutexLock lock(&mu_);
    return std::move(who_);
  }

 private:
  Mutex mu_;
  std::vector<std::string> who_ PB_GUARDED_BY(mu_);
};

TEST(FairPool, RunsHereOnlyWhenNobodyHasToWaitForIt) {
  ManualClock clock{0};
  FairPool pool(clock, {1, kNanosPerMilli, 0});
  const auto customer = pool.Enter(1);
  int here = 0;
  EXPECT_TRUE(pool.TryHere(customer.get(), [&] {
    ++here;
    EXPECT_FALSE(pool.TryHere(customer.get(), [&] { here += 100; })) << "the only permit is taken";
    // Waits for the permit, on a thread of the pool.
    EXPECT_TRUE(pool.Submit(pool.Enter(2), [&] { here += 10; }));
  }));
  Gate gate;
  EXPECT_TRUE(pool.Submit(customer, [&] { gate.Wait(); }));
  EXPECT_FALSE(pool.TryHere(customer.get(), [&] { here += 100; })) << "another runs";
  gate.Open();
  pool.Stop();
  EXPECT_EQ(here, 11);
  EXPECT_FALSE(pool.TryHere(customer.get(), [&] { here += 100; })) << "stopped";
}

TEST(FairPool, StopsOnlyWhenTheJobHereIsDone) {
  ManualClock clock{0};
  FairPool pool(clock, {2, kNanosPerMilli, 0});
  const auto customer = pool.Enter(1);
  Gate begun, end;
  std::atomic<bool> over = false;
  std::thread here([&] {
    EXPECT_TRUE(pool.TryHere(customer.get(), [&] {
      begun.Open();
      end.Wait();
      over = true;
    }));
  });
  begun.Wait();
  std::thread opener([&] { end.Open(); });
  pool.Stop();
  EXPECT_TRUE(over);
  here.join();
  opener.join();
}

TEST(FairPool, RunsAsManyAsThereArePermits) {
  ManualClock clock{0};
  FairPool pool(clock, {2, kNanosPerMilli, 0});
  std::atomic<int> running{0}, most{0}, done{0};
  Gate gate;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(pool.Submit(pool.Enter(1), [&] {
      const int now = ++running;
      int seen = most;
      while (seen < now && !most.compare_exchange_weak(seen, now)) {
      }
      gate.Wait();
      --running;
      ++done;
    }));
  }
  EXPECT_TRUE(Eventually([&] { return running == 2; }));
  EXPECT_EQ(pool.waiting(), 18U);
  gate.Open();
  pool.Stop();
  EXPECT_EQ(done, 20) << "what was queued runs";
  EXPECT_EQ(most, 2);
  EXPECT_FALSE(pool.Submit(nullptr, [] {}));
}

TEST(FairPool, TenantsTakeTurnsWhoeverAsksMore) {
  ManualClock clock{0};
  FairPool pool(clock, {1, kNanosPerMilli, 0});
  const auto greedy = pool.Enter(1);
  const auto modest = pool.Enter(2);
  Gate gate;
  Order order;
  ASSERT_TRUE(pool.Submit(pool.Enter(3), [&] { gate.Wait(); }));
  const auto job = [&](const std::string& who) {
    return [&order, &clock, who] {
      order.Add(who);
      clock.Advance(kNanosPerMilli / 10);
    };
  };
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(pool.Submit(pool.Enter(1), job("greedy")));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pool.Submit(pool.Enter(2), job("modest")));
  gate.Open();
  pool.Stop();
  std::vector<std::string> all = order.Take();
  ASSERT_EQ(all.size(), 13U);
  // Each of the modest tenant's jobs waits for one of the other's at most.
  for (size_t i = 0; i < 6; i += 2) EXPECT_NE(all[i], all[i + 1]) << i;
}

TEST(FairPool, ACheapCallPassesAnExpensiveOneWithinASlice) {
  ManualClock clock{0};
  FairPool pool(clock, {1, 10 * kNanosPerMilli, 0});
  Gate begun, submitted;
  Order order;
  ASSERT_TRUE(pool.Submit(pool.Enter(1), [&] {
    begun.Open();
    submitted.Wait();
    for (int i = 0; i < 5; ++i) {
      order.Add("expensive");
      clock.Advance(11 * kNanosPerMilli);
      FairPool::Breathe(Never);
    }
  }));
  begun.Wait();
  ASSERT_TRUE(pool.Submit(pool.Enter(1), [&] { order.Add("cheap"); }));
  submitted.Open();
  pool.Stop();
  EXPECT_EQ(order.Take(),
            (std::vector<std::string>{"expensive", "cheap", "expensive", "expensive", "expensive", "expensive"}));
  EXPECT_EQ(pool.handovers(), 1);
}

TEST(FairPool, KeepsItsTurnBeforeTheSliceIsOver) {
  ManualClock clock{0};
  FairPool pool(clock, {1, 10 * kNanosPerMilli, 0});
  Gate begun, submitted;
  Order order;
  ASSERT_TRUE(pool.Submit(pool.Enter(1), [&] {
    begun.Open();
    submitted.Wait();
    clock.Advance(9 * kNanosPerMilli);
    FairPool::Breathe(Never);
    order.Add("first");
  }));
  begun.Wait();
  ASSERT_TRUE(pool.Submit(pool.Enter(2), [&] { order.Add("second"); }));
  submitted.Open();
  pool.Stop();
  EXPECT_EQ(order.Take(), (std::vector<std::string>{"first", "second"}));
}

TEST(FairPool, ACancelledCallThatStandsStillEnds) {
  ManualClock clock{0};
  FairPool pool(clock, {1, 10 * kNanosPerMilli, 0});
  Gate begun, submitted, hold;
  std::atomic<bool> cancelled{false}, ended{false};
  ASSERT_TRUE(pool.Submit(pool.Enter(1), [&] {
    begun.Open();
    submitted.Wait();
    clock.Advance(kNanosPerSecond);
    FairPool::Breathe([&] { return cancelled.load(); });
    ended = true;
  }));
  begun.Wait();
  ASSERT_TRUE(pool.Submit(pool.Enter(2), [&] { hold.Wait(); }));
  submitted.Open();
  EXPECT_TRUE(Eventually([&] { return pool.handovers() == 1; }));
  EXPECT_FALSE(ended) << "the other one has the permit";
  cancelled = true;
  EXPECT_TRUE(Eventually([&] { return ended.load(); }));
  hold.Open();
  pool.Stop();
}

TEST(FairPool, GetsThroughWhenAllStandStillAtOnce) {
  FairPool pool(SystemClock(), {2, 1'000, 0});
  std::atomic<int> done{0};
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(pool.Submit(pool.Enter(1 + static_cast<TenantId>(i % 3)), [&] {
      for (int round = 0; round < 200; ++round) FairPool::Breathe(Never);
      ++done;
    }));
  }
  pool.Stop();
  EXPECT_EQ(done, 40);
  FairPool::Breathe(Never);  // not a thread of a pool
}

}  // namespace
}  // namespace pulseboard

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <set>
#include <thread>
#include <vector>

#include "common/base/checksum.h"
#include "common/base/clock.h"
#include "common/base/endian.h"
#include "common/base/mutex.h"
#include "common/base/worker_pool.h"

namespace pulseboard {
namespace {

TEST(Crc32, MatchesThePublishedCheckValueAndContinues) {
  EXPECT_EQ(Crc32("123456789"), 0xcbf43926u);
  EXPECT_EQ(Crc32(Crc32("1234"), "56789"), Crc32("123456789"));
  EXPECT_EQ(Crc32(""), 0u);
}

TEST(Endian, BigEndianBytesOrderLikeTheNumbers) {
  std::string previous;
  for (const uint64_t v : {uint64_t{0}, uint64_t{1}, uint64_t{255}, uint64_t{256}, uint64_t{1} << 40, ~uint64_t{0}}) {
    std::string bytes;
    PutBigEndian(&bytes, v);
    EXPECT_EQ(GetBigEndian<uint64_t>(bytes), v);
    EXPECT_TRUE(v == 0 || previous < bytes);
    previous = bytes;
  }
  std::string bytes;
  PutBigEndian(&bytes, uint32_t{0x01020304});
  EXPECT_EQ(bytes, std::string("\x01\x02\x03\x04"));
  bytes.clear();
  PutLittleEndian(&bytes, uint32_t{0x01020304});
  EXPECT_EQ(bytes, std::string("\x04\x03\x02\x01"));
  EXPECT_EQ(GetLittleEndian<uint32_t>(bytes), 0x01020304u);
}

TEST(Endian, OrderedTimesKeepTheSign) {
  uint64_t previous = 0;
  for (const int64_t t : {std::numeric_limits<int64_t>::min(), int64_t{-1}, int64_t{0}, int64_t{1},
                          std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(OrderedToTime(TimeToOrdered(t)), t);
    EXPECT_TRUE(t == std::numeric_limits<int64_t>::min() || previous < TimeToOrdered(t));
    previous = TimeToOrdered(t);
  }
}

TEST(Clock, ManualTimeMovesOnlyWhenTold) {
  ManualClock clock(100);
  EXPECT_EQ(clock.NowUnixNanos(), 100);
  EXPECT_EQ(clock.MonotonicNanos(), 0);
  clock.Advance(5);
  clock.StepWall(-50);
  EXPECT_EQ(clock.NowUnixNanos(), 55);
  EXPECT_EQ(clock.MonotonicNanos(), 5);
}

TEST(Clock, TheMachinesClockIsInThisCenturyAndNeverGoesBack) {
  const Clock& clock = SystemClock();
  EXPECT_GT(clock.NowUnixNanos(), 1'600'000'000 * kNanosPerSecond);
  const int64_t before = clock.MonotonicNanos();
  EXPECT_GE(clock.MonotonicNanos(), before);
}

TEST(Mutex, CountsUnderContention) {
  Mutex mu;
  int count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10'000; ++i) {
        MutexLock lock(&mu);
        ++count;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(count, 40'000);
}

TEST(CondVar, WakesAWaiterAndTimesOutWithoutOne) {
  Mutex mu;
  CondVar changed;
  bool ready = false;
  std::thread setter([&] {
    MutexLock lock(&mu);
    ready = true;
    changed.NotifyAll();
  });
  {
    MutexLock lock(&mu);
    while (!ready) changed.Wait(&mu);
  }
  setter.join();
  MutexLock lock(&mu);
  const auto start = std::chrono::steady_clock::now();
  while (changed.WaitFor(&mu, std::chrono::milliseconds(5))) {
  }
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(4));
}

TEST(SharedMutex, LetsReadersInTogetherAndWritersAlone) {
  SharedMutex mu;
  int a = 0, b = 0;
  std::atomic<bool> torn = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        WriterLock lock(&mu);
        ++a;
        ++b;
      }
    });
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        ReaderLock lock(&mu);
        if (a != b) torn = true;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_FALSE(torn);
  EXPECT_EQ(a, 10'000);
}

TEST(WorkerPool, RunsEverythingItAcceptedAndRefusesTheRest) {
  std::atomic<int> ran = 0;
  int accepted = 0;
  Mutex gate;
  {
    WorkerPool pool(2, 10);
    {
      MutexLock lock(&gate);  // the workers wait behind it, so the queue fills
      for (int i = 0; i < 100; ++i) {
        accepted += pool.TrySubmit([&] {
          MutexLock inner(&gate);
          ++ran;
        });
      }
      EXPECT_LT(accepted, 100);
      EXPECT_GE(accepted, 10);
    }
    pool.Stop();
    EXPECT_EQ(ran, accepted);
    EXPECT_FALSE(pool.TrySubmit([] {}));
    pool.Stop();
  }
}

}  // namespace
}  // namespace pulseboard

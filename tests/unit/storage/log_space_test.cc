// What the log takes on the disk, whoever pushes how rarely.
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

class LogSpaceTest : public StoreTest {
 protected:
  static constexpr int64_t kFastSamples = 120;  // a minute
  static constexpr int kHours = 20;             // twenty times as much as is kept at most
  static constexpr int64_t kMostLog = 400 << 10;

  LogSpaceTest() {
    options_.wal_segment_bytes = 16 << 10;
    options_.wal_retain_bytes = 0;
    options_.wal_recovery_bytes = 1 << 20;  // a quarter is flushed; samples would be sealed early at a half
    options_.block_samples = 65'536;        // nothing is sealed because it is full: age has to do it
    options_.checkpoint_interval_ns = 5 * kNanosPerMilli;
    ack_mode_ = AckMode::kBuffered;
  }

  void PushMinute(SeriesId series, Points* pushed) {
    Points points;
    const int64_t now = clock_.NowUnixNanos();
    for (int64_t i = 0; i < kFastSamples; ++i) {
      points.emplace_back(now + i * 500 * kNanosPerMilli, static_cast<double>(i * i % 997));
    }
    ASSERT_TRUE(Push(series, points).ok());
    pushed->insert(pushed->end(), points.begin(), points.end());
  }
};

TEST_F(LogSpaceTest, ASlowSeriesAndASilentOneNeverPinIt) {
  Open();
  const SeriesId fast = Series("fast"), slow = Series("slow"), silent = Series("silent");
  const Points once = {{kStart, 1}};
  ASSERT_TRUE(Push(silent, once).ok());
  Points fast_points, slow_points;
  for (int hour = 0; hour < kHours; ++hour) {
    for (int minute = 0; minute < 60; ++minute) {
      // In the middle of an hour, so that it is never what was sealed just now.
      if (minute == 30) {
        slow_points.emplace_back(clock_.NowUnixNanos(), hour);
        ASSERT_TRUE(Push(slow, {slow_points.back()}).ok());
        // The log goes while this sample stays in the head.
        WaitUntil([this] { return store_->Stats().wal_bytes < kMostLog; });
      }
      PushMinute(fast, &fast_points);
      clock_.Advance(kNanosPerMinute);
    }
    if (HasFailure()) return;
  }
  Crash();
  Open();
  EXPECT_EQ(Read(fast), fast_points);
  EXPECT_EQ(Read(slow), slow_points);
  EXPECT_EQ(Read(silent), once);
}

}  // namespace
}  // namespace pulseboard

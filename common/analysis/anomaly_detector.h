// AnomalyDetector: says of each sample of a stream, from what came before it only, how improbable it is that the stream
// looks like this, so that one threshold fits all streams.
//
// What is looked at, each against its own history by a TailModel:
//   pattern  the last 32 samples are like no 32 of the last 2,048 (PatternNovelty)
//   jump     the mean of the last six samples, and the same less the average of the last hundred, are higher than ever
//   drop     they are lower than ever
//   level    the mean of the last 48 or 288 samples is higher or lower than ever
// The most improbable of them is the surprise, in orders of magnitude: 2 is one block of sixteen samples in a hundred.
// It turns into a score of 0..1 (1 - 10^-surprise) that stays below kThreshold for the kRest samples after an alarm and
// asks for a little more after each of the last alarms: an operator is told of the onset, not of every sample since,
// and a stream that often alarms has to show more.
//
// Counts samples, not time: an uneven cadence and missing samples shift nothing but the meaning of "the last six".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/analysis/pattern_novelty.h"
#include "common/analysis/tail_model.h"

namespace pulseboard {

// Not thread-safe. Bounded memory, whatever the stream: bytes(), of which nothing is allocated after construction.
class AnomalyDetector {
 public:
  // A score from here on is an alarm. One for all streams.
  static constexpr double kThreshold = 0.975;
  // Samples after an alarm in which there is no other.
  static constexpr int64_t kRest = 100;

  enum class Reason : uint8_t { kNone, kPattern, kJump, kDrop, kLevelHigh, kLevelLow };

  struct Verdict {
    double score = 0;  // 0..1
    bool alarm = false;
    Reason reason = Reason::kNone;  // what was most improbable
  };

  AnomalyDetector();

  // Takes the next sample. NaN and infinities are passed over: score 0.
  Verdict Observe(double value);

  size_t bytes() const;

 private:
  // The streams that are derived from the samples, each with its history.
  enum Feature : uint8_t {
    kNovelty,
    kShortMean,
    kShortTrend,
    kShortLow,
    kTrendLow,
    kMiddleHigh,
    kMiddleLow,
    kLongHigh,
    kLongLow,
    kFeatures
  };

  std::array<double, kFeatures> Derive(double value);
  Verdict Judge(const std::array<double, kFeatures>& features);
  // The mean of the last samples, at most Window::samples of them.
  struct Window {
    int64_t samples;
    double sum = 0;
    double Mean(int64_t count) const;
  };
  void Slide(double value);

  int64_t count_ = 0;
  double reference_ = 0;  // the first sample: floats hold what differs from it
  PatternNovelty novelty_;
  std::array<TailModel, kFeatures> tails_;
  std::vector<double> recent_;  // the samples of the longest window, by index modulo
  std::array<Window, 3> windows_;
  double fast_average_ = 0;
  double slow_average_ = 0;
  int64_t last_alarm_ = 0;
  double alarms_ = 0;  // recent ones, fading
};

}  // namespace pulseboard

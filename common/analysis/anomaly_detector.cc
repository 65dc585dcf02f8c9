#include "common/analysis/anomaly_detector.h"

#include <algorithm>
#include <cmath>

namespace pulseboard {
namespace {

constexpr int64_t kShort = 6;
constexpr int64_t kMiddle = 48;
constexpr int64_t kLong = 288;
// Of the exponential averages whose difference is the short trend.
constexpr double kFastShare = 1.0 / 6;
constexpr double kSlowShare = 1.0 / 72;
// The slower a derived stream, the longer one record lasts: blocks are no longer independent, and their maxima claim
// more than they know. Orders of magnitude that are taken off for it.
constexpr double kMiddleDiscount = 0.2;
constexpr double kLongDiscount = 0.4;
// How much more surprise each recent alarm asks for, and after how many samples 1/e of that is left.
constexpr double kAlarmFatigue = 0.1;
constexpr double kFatigueSamples = 500;
// What a sample that would be an alarm scores while the stream rests from the last one.
constexpr double kResting = 0.97;
static_assert(kResting < AnomalyDetector::kThreshold);
// Its square is still a float, and so is the sum of thousands.
constexpr double kFarthest = 1e16;

// The exponential average of what came so far; the plain one until there is enough for that.
void Average(double& average, double share, int64_t count, double value) {
  average += std::max(share, 1.0 / static_cast<double>(count)) * (value - average);
}

double ScoreOf(double surprise) { return 1 - std::pow(10.0, -std::max(0.0, surprise)); }

}  // namespace

AnomalyDetector::AnomalyDetector() : recent_(kLong), windows_{{{kShort}, {kMiddle}, {kLong}}} {}

double AnomalyDetector::Window::Mean(int64_t count) const {
  return sum / static_cast<double>(std::min(samples, count));
}

AnomalyDetector::Verdict AnomalyDetector::Observe(double value) {
  if (!std::isfinite(value)) return {};
  if (count_ == 0) reference_ = value;
  // Differences beyond a float's range are all equally far away.
  const double apart = std::clamp(value - reference_, -kFarthest, kFarthest);
  const std::array<double, kFeatures> features = Derive(apart);
  const Verdict verdict = Judge(features);
  for (size_t i = 0; i < kFeatures; ++i) tails_[i].Learn(features[i]);
  return verdict;
}

void AnomalyDetector::Slide(double value) {
  const auto at = [this](int64_t index) -> double& { return recent_[static_cast<size_t>(index % kLong)]; };
  for (Window& window : windows_) {
    const double gone = count_ >= window.samples ? at(count_ - window.samples) : 0;
    window.sum += value - gone;
  }
  at(count_++) = value;
  if (count_ % kLong != 0) return;
  // Once in a while from nothing, so that rounding does not add up.
  for (Window& window : windows_) {
    window.sum = 0;
    for (int64_t i = 1; i <= window.samples; ++i) window.sum += at(count_ - i);
  }
}

std::array<double, AnomalyDetector::kFeatures> AnomalyDetector::Derive(double value) {
  Slide(value);
  Average(fast_average_, kFastShare, count_, value);
  Average(slow_average_, kSlowShare, count_, value);
  std::array<double, kFeatures> features{};
  features[kNovelty] = novelty_.Observe(value);
  features[kShortMean] = windows_[0].Mean(count_);
  features[kShortTrend] = fast_average_ - slow_average_;
  features[kShortLow] = -features[kShortMean];
  features[kTrendLow] = -features[kShortTrend];
  features[kMiddleHigh] = windows_[1].Mean(count_);
  features[kMiddleLow] = -features[kMiddleHigh];
  features[kLongHigh] = windows_[2].Mean(count_);
  features[kLongLow] = -features[kLongHigh];
  return features;
}

AnomalyDetector::Verdict AnomalyDetector::Judge(const std::array<double, kFeatures>& features) {
  std::array<double, kFeatures> surprises{};
  for (size_t i = 0; i < kFeatures; ++i) surprises[i] = tails_[i].Surprise(features[i]);
  Verdict verdict;
  double surprise = 0;
  const auto consider = [&](double candidate, Reason reason) {
    if (candidate <= surprise) return;
    surprise = candidate;
    verdict.reason = reason;
  };
  consider(surprises[kNovelty], Reason::kPattern);
  consider((surprises[kShortMean] + surprises[kShortTrend]) / 2, Reason::kJump);
  consider((surprises[kShortLow] + surprises[kTrendLow]) / 2, Reason::kDrop);
  consider(surprises[kMiddleHigh] - kMiddleDiscount, Reason::kLevelHigh);
  consider(surprises[kMiddleLow] - kMiddleDiscount, Reason::kLevelLow);
  consider(surprises[kLongHigh] - kLongDiscount, Reason::kLevelHigh);
  consider(surprises[kLongLow] - kLongDiscount, Reason::kLevelLow);

  alarms_ *= 1 - 1 / kFatigueSamples;
  verdict.score = ScoreOf(surprise - kAlarmFatigue * alarms_);
  if (verdict.score < kThreshold) return verdict;
  verdict.alarm = last_alarm_ == 0 || count_ - last_alarm_ >= kRest;
  if (verdict.alarm) {
    last_alarm_ = count_;
    ++alarms_;
  } else {
    verdict.score = kResting;
  }
  return verdict;
}

size_t AnomalyDetector::bytes() const {
  return sizeof(*this) + novelty_.bytes() - sizeof(novelty_) + recent_.capacity() * sizeof(double);
}

}  // namespace pulseboard

#include "common/analysis/pattern_novelty.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>

namespace pulseboard {
namespace {

constexpr size_t kLanes = 16;
constexpr float kFar = std::numeric_limits<float>::max();

// The three least, in ascending order. Branchless by lanes, so that it compiles to vector instructions.
std::array<float, 3> ThreeLeast(std::span<const float> numbers) {
  std::array<float, kLanes> first;
  first.fill(kFar);
  std::array<float, kLanes> second = first;
  std::array<float, kLanes> third = first;
  size_t i = 0;
  for (; i + kLanes <= numbers.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float number = numbers[i + lane];
      const float above = number < first[lane] ? first[lane] : number;
      first[lane] = number < first[lane] ? number : first[lane];
      const float above_second = above < second[lane] ? second[lane] : above;
      second[lane] = above < second[lane] ? above : second[lane];
      third[lane] = above_second < third[lane] ? above_second : third[lane];
    }
  }
  std::array<float, 3 * kLanes + kLanes> left;
  left.fill(kFar);
  std::copy(first.begin(), first.end(), left.begin());
  std::copy(second.begin(), second.end(), left.begin() + kLanes);
  std::copy(third.begin(), third.end(), left.begin() + 2 * kLanes);
  std::copy(numbers.begin() + static_cast<ptrdiff_t>(i), numbers.end(), left.begin() + 3 * kLanes);
  std::partial_sort(left.begin(), left.begin() + 3, left.end());
  return {left[0], left[1], left[2]};
}

// What is left of a sum after a pair was taken from it is rounding when it is less than this share of the pair.
constexpr float kLeastShareLeft = 1e-3F;

// The squared distance of the newest stretch to the one at `place`, by definition.
float SquareAt(const float* newest, size_t place) {
  const float* other = newest - PatternNovelty::kHistory + place;
  float square = 0;
  for (size_t k = 0; k < PatternNovelty::kPattern; ++k) {
    const float apart = *(newest - k) - *(other - k);
    square += apart * apart;
  }
  return square;
}

}  // namespace

static_assert(PatternNovelty::kNeighbour == 3);

PatternNovelty::PatternNovelty()
    : values_(kHistory + kPattern + kSlack), squares_(kPlaces), end_(kHistory + kPattern) {}

double PatternNovelty::Observe(double value) {
  if (end_ == values_.size()) {
    std::copy(values_.end() - (kHistory + kPattern), values_.end(), values_.begin());
    end_ = kHistory + kPattern;
  }
  values_[end_] = static_cast<float>(value);
  const float* newest = &values_[end_++];
  ++count_;
  Slide(newest);
  Refresh(newest);
  // The oldest place whose stretch lies wholly in the stream ended count_ - kPattern numbers ago.
  const int64_t known = std::min<int64_t>(kHistory, count_ - static_cast<int64_t>(kPattern));
  if (known < static_cast<int64_t>(kPattern + kNeighbour - 1)) return 0;
  const float square = ThreeLeast(std::span(squares_).subspan(kHistory - static_cast<size_t>(known)))[kNeighbour - 1];
  return std::sqrt(std::max(0.0F, square) / static_cast<float>(kPattern));
}

// Each stretch gains the newest pair of numbers and loses the pair that left it.
void PatternNovelty::Slide(const float* newest) {
  const float* entered = newest - kHistory;
  const float* left = entered - kPattern;
  const float now = *newest;
  const float before = *(newest - kPattern);
  float* squares = squares_.data();
  int doubtful = 0;
  for (size_t place = 0; place < kPlaces; ++place) {
    const float gained = now - entered[place];
    const float lost = before - left[place];
    squares[place] += gained * gained - lost * lost;
    doubtful |= static_cast<int>(squares[place] < kLeastShareLeft * (lost * lost));
  }
  if (doubtful == 0) return;
  for (size_t place = 0; place < kPlaces; ++place) {
    const float lost = before - left[place];
    if (squares[place] < kLeastShareLeft * (lost * lost)) squares[place] = SquareAt(newest, place);
  }
}

void PatternNovelty::Refresh(const float* newest) {
  for (size_t i = 0; i < kRefreshed; ++i) {
    squares_[next_refreshed_] = SquareAt(newest, next_refreshed_);
    next_refreshed_ = (next_refreshed_ + 1) % kPlaces;
  }
}

}  // namespace pulseboard

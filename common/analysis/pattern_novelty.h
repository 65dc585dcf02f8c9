// PatternNovelty: how unlike everything before it the newest stretch of a stream is.
//
// The distance of the last kPattern numbers to their kNeighbour-th nearest equal among the stretches that ended at most
// kHistory numbers ago (root mean square, in the stream's own unit): a streamed left matrix profile (Yeh et al., ICDM
// 2016; Lu et al., "Matrix Profile XXIV: DAMP", KDD 2022), of plain instead of normalised distances, because for
// metrics the level is part of what is usual. It needs no period: whatever repeats, daily load or hourly jobs, is its
// own neighbour. The third nearest instead of the nearest, so that what was strange once before is strange again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pulseboard {

// Not thread-safe.
class PatternNovelty {
 public:
  static constexpr size_t kPattern = 32;
  static constexpr size_t kHistory = 2'048;
  static constexpr size_t kNeighbour = 3;

  PatternNovelty();

  // Takes the next number of the stream, finite, and returns the distance; 0 while fewer than kNeighbour stretches are
  // known. Numbers are narrowed to floats: subtract what they have in common first.
  double Observe(double value);

  size_t bytes() const { return sizeof(*this) + (values_.capacity() + squares_.capacity()) * sizeof(float); }

 private:
  // Stretches are known by their place: place p ended kHistory - p numbers before the newest one.
  static constexpr size_t kPlaces = kHistory - kPattern + 1;
  // Numbers between two moves of the window to the start of its buffer.
  static constexpr size_t kSlack = 256;
  // Places whose sum is formed anew with each number, so that rounding does not add up.
  static constexpr size_t kRefreshed = 4;

  void Slide(const float* newest);
  void Refresh(const float* newest);

  int64_t count_ = 0;
  std::vector<float> values_;   // the newest is at end_ - 1; zeros where there were none
  std::vector<float> squares_;  // by place: squared distance to the newest stretch
  size_t end_ = 0;
  size_t next_refreshed_ = 0;
};

}  // namespace pulseboard

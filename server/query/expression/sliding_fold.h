// SlidingFold: the fold of a moving range of items in amortised O(1) merges per item, without taking anything back:
// sums stay exact where subtracting what left the window would not.
//
// Two stacks: suffix folds of the older part, one running fold of the newer part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pulseboard::expression {

// State has `State Merge(const State& later) const`.
template <typename State>
class SlidingFold {
 public:
  // The fold of items [low, high), not empty. Neither bound may go back. `item(i)` gives the state of one item.
  template <typename Item>
  State Fold(uint64_t low, uint64_t high, const Item& item) {
    if (low >= middle_) {
      suffixes_.clear();
      for (uint64_t i = high; i-- > low;) {
        suffixes_.push_back(suffixes_.empty() ? item(i) : item(i).Merge(suffixes_.back()));
      }
      middle_ = newer_end_ = high;
    }
    for (; newer_end_ < high; ++newer_end_) {
      newer_ = newer_end_ == middle_ ? item(newer_end_) : newer_.Merge(item(newer_end_));
    }
    const State& older = suffixes_[middle_ - 1 - low];
    return newer_end_ == middle_ ? older : older.Merge(newer_);
  }

 private:
  std::vector<State> suffixes_;  // [k]: items [middle_ - 1 - k, middle_)
  uint64_t middle_ = 0;
  State newer_{};  // items [middle_, newer_end_)
  uint64_t newer_end_ = 0;
};

}  // namespace pulseboard::expression

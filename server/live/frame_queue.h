// FrameQueue: the frames that one subscription has not been sent yet, oldest first, bounded in bytes. What does not fit
// is first reduced to what the viewer's pixels can show, then dropped oldest first.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "server/live/live_sink.h"

namespace pulseboard {

// Width in nanoseconds of the pixel columns in which a series is drawn; 0: all its samples are wanted.
using PixelWidth = std::function<int64_t(uint32_t ref)>;

// One frame that holds what `frames` held, the samples of each series reduced to first, smallest, largest and last of
// each pixel column (common/analysis/m4.h). Late samples of the time that the frames cover are in it as if they had
// been in order; older ones stay amends, all of them. REQUIRES: not empty.
LiveFramePtr Conflate(const std::deque<LiveFramePtr>& frames, const PixelWidth& width, std::atomic<int64_t>& held);

// A value; not thread-safe.
class FrameQueue {
 public:
  struct Loss {
    int64_t dropped = 0;    // samples that are now in the gap
    int64_t conflated = 0;  // samples that were left out, but show in no pixel
  };

  // Adds a frame. When more than `max_bytes` would be held, all is conflated; when that does not do, the oldest samples
  // go into the gap.
  Loss Append(LiveFramePtr frame, int64_t max_bytes, const PixelWidth& width, std::atomic<int64_t>& held);
  // Adds a frame if it fits; false leaves all as it was.
  bool TryAppend(LiveFramePtr frame, int64_t max_bytes);
  // Forgets frames and gap.
  void Clear();

  bool empty() const { return frames_.empty(); }
  size_t size() const { return frames_.size(); }
  int64_t bytes() const { return bytes_; }
  // Everything dropped since the last call, as one gap. It comes before all frames held.
  std::optional<LiveGap> TakeGap();
  bool has_gap() const { return gap_.dropped_sample_count > 0; }
  // The oldest frames, whole ones, until there are `target_samples`. REQUIRES: !empty().
  std::vector<LiveFramePtr> Take(int64_t target_samples);

 private:
  void NoteDropped(const std::vector<LiveColumn>& columns);
  void NoteDropped(int64_t time);
  void DropOldestFrame();
  // Replaces the only frame by its newest samples, about `max_bytes` of them.
  void TrimTo(int64_t max_bytes, std::atomic<int64_t>& held);

  std::deque<LiveFramePtr> frames_;
  int64_t bytes_ = 0;
  LiveGap gap_;
};

}  // namespace pulseboard

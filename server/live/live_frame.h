// LiveFrame: what some commits brought to all subscriptions that ask alike. Made once, shared by reference, and encoded
// once by the transport.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "common/model/samples.h"

namespace pulseboard {

// Sorted samples of one series.
struct LiveColumn {
  uint32_t ref = 0;
  SampleColumns samples;
};

// Times of the oldest commit in a frame; see pulseboard.v1.FrameTimes.
struct LiveTimes {
  int64_t pushed_unix_nanos = 0;
  int64_t received_unix_nanos = 0;
  int64_t committed_unix_nanos = 0;
};

int64_t CountSamples(const std::vector<LiveColumn>& columns);
// Bytes that columns hold, and so much as they count against buffer limits.
int64_t HeldBytes(const std::vector<LiveColumn>& columns);

// Columns, and the bytes that the transport made of them: whoever needs them first makes them.
class SharedColumns {
 public:
  explicit SharedColumns(std::vector<LiveColumn> columns) : columns_(std::move(columns)) {}

  const std::vector<LiveColumn>& columns() const { return columns_; }
  bool empty() const { return columns_.empty(); }
  // What `encode` (a callable that returns shared_ptr<const T>) made of the columns on the first call; T must be the
  // same for all callers. Thread-safe.
  template <typename T, typename Encode>
  std::shared_ptr<const T> Encoded(const Encode& encode) const {
    std::call_once(once_, [&] { encoded_ = encode(columns_); });
    return std::static_pointer_cast<const T>(encoded_);
  }

 private:
  const std::vector<LiveColumn> columns_;
  mutable std::once_flag once_;
  mutable std::shared_ptr<const void> encoded_;
};

// Immutable. Its bytes are counted in `held` (which must outlive it) as long as it lives.
class LiveFrame {
 public:
  // What was left out of a frame that was reduced to pixel columns.
  struct Conflation {
    int64_t start_time_unix_nanos = 0;
    int64_t end_time_unix_nanos = 0;  // inclusive
    int64_t left_out_sample_count = 0;
  };

  // `samples` are in order, each newer than all of its series before; `amends` are late ones. Both sorted by ref, each
  // ref once. Commits `first_commit` to `last_commit`.
  LiveFrame(std::vector<LiveColumn> samples, std::vector<LiveColumn> amends, const LiveTimes& times,
            int64_t first_commit, int64_t last_commit, std::atomic<int64_t>& held);
  ~LiveFrame();
  LiveFrame(const LiveFrame&) = delete;
  LiveFrame& operator=(const LiveFrame&) = delete;

  const SharedColumns samples;
  const SharedColumns amends;
  const LiveTimes times;
  const int64_t first_commit;
  const int64_t last_commit;
  const int64_t sample_count;  // of `samples`
  const int64_t amend_count;
  const int64_t bytes;
  Conflation conflation;  // set before the frame is shared

 private:
  std::atomic<int64_t>& held_;
};
using LiveFramePtr = std::shared_ptr<const LiveFrame>;

}  // namespace pulseboard

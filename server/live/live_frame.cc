#include "server/live/live_frame.h"

#include <utility>

namespace pulseboard {
namespace {

constexpr int64_t kColumnBytes = sizeof(LiveColumn);
constexpr int64_t kSampleBytes = sizeof(int64_t) + sizeof(double);

}  // namespace

int64_t CountSamples(const std::vector<LiveColumn>& columns) {
  int64_t count = 0;
  for (const LiveColumn& column : columns) count += static_cast<int64_t>(column.samples.size());
  return count;
}

int64_t HeldBytes(const std::vector<LiveColumn>& columns) {
  return static_cast<int64_t>(columns.size()) * kColumnBytes + CountSamples(columns) * kSampleBytes;
}

LiveFrame::LiveFrame(std::vector<LiveColumn> in_order, std::vector<LiveColumn> late, const LiveTimes& frame_times,
                     int64_t first, int64_t last, std::atomic<int64_t>& held)
    : samples(std::move(in_order)),
      amends(std::move(late)),
      times(frame_times),
      first_commit(first),
      last_commit(last),
      sample_count(CountSamples(samples.columns())),
      amend_count(CountSamples(amends.columns())),
      bytes(static_cast<int64_t>(sizeof(LiveFrame)) + HeldBytes(samples.columns()) + HeldBytes(amends.columns())),
      held_(held) {
  held_ += bytes;
}

LiveFrame::~LiveFrame() { held_ -= bytes; }

}  // namespace pulseboard

#include "server/live/frame_queue.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "common/analysis/m4.h"
#include "server/live/pending_samples.h"

namespace pulseboard {
namespace {

// What the frames say of one series.
struct SeriesParts {
  SampleColumns samples;
  std::vector<PendingRow> amends;  // in commit order
};

std::map<uint32_t, SeriesParts> Gather(const std::deque<LiveFramePtr>& frames) {
  std::map<uint32_t, SeriesParts> series;
  for (const LiveFramePtr& frame : frames) {
    for (const LiveColumn& column : frame->samples.columns()) {
      SampleColumns& to = series[column.ref].samples;
      to.times.insert(to.times.end(), column.samples.times.begin(), column.samples.times.end());
      to.values.insert(to.values.end(), column.samples.values.begin(), column.samples.values.end());
    }
    for (const LiveColumn& column : frame->amends.columns()) {
      std::vector<PendingRow>& to = series[column.ref].amends;
      for (size_t i = 0; i < column.samples.size(); ++i) {
        to.push_back({column.ref, true, column.samples.times[i], column.samples.values[i]});
      }
    }
  }
  return series;
}

// `base` with `over` in between; where both have a time, `over` wins. Both sorted.
SampleColumns Overlay(const SampleColumns& base, const SampleColumns& over) {
  SampleColumns out;
  out.reserve(base.size() + over.size());
  size_t at = 0;
  for (size_t i = 0; i < over.size(); ++i) {
    for (; at < base.size() && base.times[at] < over.times[i]; ++at) out.push_back(base.times[at], base.values[at]);
    if (at < base.size() && base.times[at] == over.times[i]) ++at;
    out.push_back(over.times[i], over.values[i]);
  }
  for (; at < base.size(); ++at) out.push_back(base.times[at], base.values[at]);
  return out;
}

SampleColumns Reduce(SampleColumns samples, int64_t width) {
  if (width <= 0 || samples.size() < 2) return samples;
  // Columns begin at whole multiples of the width, so that those of one frame go on in the next.
  const int64_t first = samples.times.front() - ((samples.times.front() % width) + width) % width;
  M4Reducer reducer({first, first + width}, 1);
  reducer.StartReducing();
  reducer.Add(samples);
  return reducer.Finish();
}

// Adds the series to the frame's columns; what was left out is noted.
void AddConflated(uint32_t ref, SeriesParts parts, int64_t width, SplitColumns* out,
                  LiveFrame::Conflation* conflation) {
  const int64_t from = parts.samples.empty() ? std::numeric_limits<int64_t>::max() : parts.samples.times.front();
  const auto within = std::stable_partition(parts.amends.begin(), parts.amends.end(),
                                            [from](const PendingRow& row) { return row.time_unix_nanos < from; });
  std::vector<PendingRow> inside(within, parts.amends.end());
  parts.amends.erase(within, parts.amends.end());
  for (LiveColumn& column : ToColumns(&inside)) parts.samples = Overlay(parts.samples, column.samples);
  for (LiveColumn& column : ToColumns(&parts.amends)) out->amends.push_back(std::move(column));
  if (parts.samples.empty()) return;
  const int64_t before = static_cast<int64_t>(parts.samples.size());
  const int64_t last = parts.samples.times.back();
  SampleColumns reduced = Reduce(std::move(parts.samples), width);
  if (const int64_t left_out = before - static_cast<int64_t>(reduced.size()); left_out > 0) {
    const bool first_one = conflation->left_out_sample_count == 0;
    conflation->start_time_unix_nanos = first_one ? from : std::min(conflation->start_time_unix_nanos, from);
    conflation->end_time_unix_nanos = first_one ? last : std::max(conflation->end_time_unix_nanos, last);
    conflation->left_out_sample_count += left_out;
  }
  out->samples.push_back({ref, std::move(reduced)});
}

// Adds what earlier conflations left out.
void Add(const LiveFrame::Conflation& earlier, LiveFrame::Conflation* to) {
  if (earlier.left_out_sample_count == 0) return;
  const bool first_one = to->left_out_sample_count == 0;
  to->start_time_unix_nanos =
      first_one ? earlier.start_time_unix_nanos : std::min(to->start_time_unix_nanos, earlier.start_time_unix_nanos);
  to->end_time_unix_nanos =
      first_one ? earlier.end_time_unix_nanos : std::max(to->end_time_unix_nanos, earlier.end_time_unix_nanos);
  to->left_out_sample_count += earlier.left_out_sample_count;
}

std::vector<LiveColumn> From(const std::vector<LiveColumn>& columns, int64_t first_time) {
  std::vector<LiveColumn> out;
  for (const LiveColumn& column : columns) {
    const SampleColumns& in = column.samples;
    const auto at = std::lower_bound(in.times.begin(), in.times.end(), first_time) - in.times.begin();
    if (at == static_cast<ptrdiff_t>(in.size())) continue;
    out.push_back({column.ref, {{in.times.begin() + at, in.times.end()}, {in.values.begin() + at, in.values.end()}}});
  }
  return out;
}

}  // namespace

LiveFramePtr Conflate(const std::deque<LiveFramePtr>& frames, const PixelWidth& width, std::atomic<int64_t>& held) {
  SplitColumns columns;
  LiveFrame::Conflation conflation;
  for (const LiveFramePtr& frame : frames) Add(frame->conflation, &conflation);
  for (auto& [ref, parts] : Gather(frames)) AddConflated(ref, std::move(parts), width(ref), &columns, &conflation);
  auto out = std::make_shared<LiveFrame>(std::move(columns.samples), std::move(columns.amends), frames.front()->times,
                                         frames.front()->first_commit, frames.back()->last_commit, held);
  out->conflation = conflation;
  return out;
}

FrameQueue::Loss FrameQueue::Append(LiveFramePtr frame, int64_t max_bytes, const PixelWidth& width,
                                    std::atomic<int64_t>& held) {
  const int64_t dropped_before = gap_.dropped_sample_count;
  Loss loss;
  bytes_ += frame->bytes;
  frames_.push_back(std::move(frame));
  if (bytes_ <= max_bytes) return loss;
  int64_t left_out = 0;
  for (const LiveFramePtr& f : frames_) left_out -= f->conflation.left_out_sample_count;
  LiveFramePtr conflated = Conflate(frames_, width, held);
  left_out += conflated->conflation.left_out_sample_count;
  if (left_out > 0) {  // else the frames are as good, and still shared
    loss.conflated = left_out;
    frames_.assign(1, conflated);
    bytes_ = conflated->bytes;
    // To half of it: or the next frame would have all this done again.
    if (bytes_ > max_bytes / 2) TrimTo(max_bytes / 2, held);
  } else {
    while (bytes_ > max_bytes && frames_.size() > 1) DropOldestFrame();
    if (bytes_ > max_bytes) TrimTo(max_bytes, held);
  }
  loss.dropped = gap_.dropped_sample_count - dropped_before;
  return loss;
}

bool FrameQueue::TryAppend(LiveFramePtr frame, int64_t max_bytes) {
  if (bytes_ + frame->bytes > max_bytes) return false;
  bytes_ += frame->bytes;
  frames_.push_back(std::move(frame));
  return true;
}

void FrameQueue::Clear() {
  frames_.clear();
  bytes_ = 0;
  gap_ = {};
}

std::optional<LiveGap> FrameQueue::TakeGap() {
  if (!has_gap()) return std::nullopt;
  return std::exchange(gap_, {});
}

std::vector<LiveFramePtr> FrameQueue::Take(int64_t target_samples) {
  std::vector<LiveFramePtr> taken;
  int64_t samples = 0;
  while (!frames_.empty()) {
    const LiveFrame& next = *frames_.front();
    if (!taken.empty() && samples + next.sample_count + next.amend_count > target_samples) break;
    samples += next.sample_count + next.amend_count;
    bytes_ -= next.bytes;
    taken.push_back(std::move(frames_.front()));
    frames_.pop_front();
  }
  return taken;
}

void FrameQueue::NoteDropped(int64_t time) {
  if (gap_.dropped_sample_count == 0) {
    gap_.start_time_unix_nanos = gap_.end_time_unix_nanos = time;
  } else {
    gap_.start_time_unix_nanos = std::min(gap_.start_time_unix_nanos, time);
    gap_.end_time_unix_nanos = std::max(gap_.end_time_unix_nanos, time);
  }
  ++gap_.dropped_sample_count;
}

void FrameQueue::NoteDropped(const std::vector<LiveColumn>& columns) {
  for (const LiveColumn& column : columns) {
    for (const int64_t time : column.samples.times) NoteDropped(time);
  }
}

void FrameQueue::DropOldestFrame() {
  const LiveFramePtr frame = std::move(frames_.front());
  frames_.pop_front();
  bytes_ -= frame->bytes;
  NoteDropped(frame->samples.columns());
  NoteDropped(frame->amends.columns());
  if (frame->conflation.left_out_sample_count > 0) {
    NoteDropped(frame->conflation.start_time_unix_nanos);
    NoteDropped(frame->conflation.end_time_unix_nanos);
    gap_.dropped_sample_count += frame->conflation.left_out_sample_count - 2;
  }
}

void FrameQueue::TrimTo(int64_t max_bytes, std::atomic<int64_t>& held) {
  const LiveFramePtr frame = std::move(frames_.front());
  std::vector<int64_t> times;
  for (const SharedColumns* part : {&frame->samples, &frame->amends}) {
    for (const LiveColumn& column : part->columns()) {
      times.insert(times.end(), column.samples.times.begin(), column.samples.times.end());
    }
  }
  // Half of it for columns of few samples, at worst.
  const int64_t per_sample =
      std::max<int64_t>(1, frame->bytes / std::max<int64_t>(1, static_cast<int64_t>(times.size())));
  const auto keep = std::clamp<size_t>(static_cast<size_t>(max_bytes / per_sample), 1, times.size());
  const auto cut = times.end() - static_cast<ptrdiff_t>(keep);
  std::nth_element(times.begin(), cut, times.end());
  const int64_t first_kept = *cut;
  for (const int64_t time : times) {
    if (time < first_kept) NoteDropped(time);
  }
  auto trimmed =
      std::make_shared<LiveFrame>(From(frame->samples.columns(), first_kept), From(frame->amends.columns(), first_kept),
                                  frame->times, frame->first_commit, frame->last_commit, held);
  trimmed->conflation = frame->conflation;
  bytes_ = trimmed->bytes;
  frames_.assign(1, std::move(trimmed));
}

}  // namespace pulseboard

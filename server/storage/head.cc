#include "server/storage/head.h"

#include <algorithm>
#include <utility>

#include "server/storage/window.h"

namespace pulseboard {
namespace {

constexpr uint32_t kFirstCapacity = 4;  // a million new series are a million buffers
constexpr uint32_t kFastGrowth = 256;   // from here on twice as much, not four times: what is not used is much then

uint32_t NextCapacity(uint32_t capacity) {
  return std::max(kFirstCapacity, capacity * (capacity < kFastGrowth ? 4 : 2));
}

}  // namespace

int64_t Head::Apply(int64_t commit, int64_t now_monotonic_nanos, std::span<const SeriesId> series,
                    std::span<const int64_t> times, std::span<const double> values) {
  int64_t late = 0;
  for (size_t i = 0; i < series.size(); ++i) {
    Series& s = At(series[i]);
    const int64_t time = times[i];
    if (!s.has_latest || time >= s.latest.time_unix_nanos) {
      s.has_latest = true;
      s.latest = {time, values[i]};
    } else {
      ++late;
    }
    Add(&s, series[i], {series[i], commit, now_monotonic_nanos}, time, values[i]);
  }
  return late;
}

void Head::Add(Series* series, SeriesId id, const Opened& opened, int64_t time, double value) {
  if (series->open_count > 0) {
    const int64_t last = series->open->times[series->open_count - 1];
    if (time > last && DayOf(time) != DayOf(last)) Seal(series, id);
  }
  if (series->open_count == 0) {
    series->first_commit = opened.commit;
    opened_.push_back(opened);
  }
  const uint32_t count = series->open_count;
  const uint32_t capacity = series->open ? series->open->capacity : 0;
  if (count == capacity) Grow(series, std::min(block_samples_, NextCapacity(capacity)));
  if (count == 0 || time > series->open->times[count - 1]) {
    series->open->times[count] = time;
    series->open->values[count] = value;
    ++series->open_count;
    ++sample_count_;
  } else {
    Insert(series, time, value);
  }
  if (series->open_count == block_samples_) {
    Seal(series, id);
  } else if (series->open_count == LongSamples() && series->open_count > count) {
    while (!long_.empty() && !IsOpen(long_.front())) long_.pop_front();
    long_.push_back({id, series->first_commit, opened.monotonic_nanos});
  }
}

void Head::Insert(Series* series, int64_t time, double value) {
  if (series->shared) Grow(series, series->open->capacity);  // a copy of our own
  int64_t* times = series->open->times.get();
  double* values = series->open->values.get();
  const uint32_t count = series->open_count;
  const size_t at = static_cast<size_t>(std::lower_bound(times, times + count, time) - times);
  if (at < count && times[at] == time) {
    values[at] = value;
    return;
  }
  std::copy_backward(times + at, times + count, times + count + 1);
  std::copy_backward(values + at, values + count, values + count + 1);
  times[at] = time;
  values[at] = value;
  ++series->open_count;
  ++sample_count_;
}

void Head::Grow(Series* series, uint32_t capacity) {
  auto buffer = std::make_shared<SampleBuffer>(capacity);
  if (series->open) {
    std::copy_n(series->open->times.get(), series->open_count, buffer->times.get());
    std::copy_n(series->open->values.get(), series->open_count, buffer->values.get());
    bytes_ -= BufferBytes(series->open->capacity);
    open_bytes_ -= BufferBytes(series->open->capacity);
  }
  bytes_ += BufferBytes(capacity);
  open_bytes_ += BufferBytes(capacity);
  series->open = std::move(buffer);
  series->shared = false;
}

void Head::Seal(Series* series, SeriesId id) {
  open_bytes_ -= BufferBytes(series->open->capacity);
  auto chunk = std::make_shared<SealingChunk>();
  chunk->series = id;
  chunk->first_commit = series->first_commit;
  chunk->run = {std::move(series->open), series->open_count};
  series->open = nullptr;
  series->open_count = 0;
  series->shared = false;
  series->sealing.push_back(chunk);
  sealing_.push_back(std::move(chunk));
}

std::vector<SampleRun> Head::Runs(SeriesId series) {
  std::vector<SampleRun> runs;
  Series* found = series_.Find(series);
  if (found == nullptr) return runs;
  Series& s = *found;
  runs.reserve(s.sealing.size() + 1);
  for (const SealingChunkPtr& chunk : s.sealing) runs.push_back(chunk->run);
  if (s.open_count > 0) {
    runs.push_back({s.open, s.open_count});
    s.shared = true;
  }
  return runs;
}

bool Head::MayHaveBlocksFrom(SeriesId series, int64_t time) const {
  const Series* s = Find(series);
  return s == nullptr || !s->blocks_known || s->last_block_time >= time;
}

bool Head::HasSamples(SeriesId series) const {
  const Series* s = Find(series);
  return s != nullptr && (s->open_count > 0 || !s->sealing.empty());
}

std::optional<Sample> Head::Latest(SeriesId series, bool* known) const {
  const Series* s = Find(series);
  *known = s != nullptr && s->latest_known;
  if (s == nullptr || !s->has_latest) return std::nullopt;
  return s->latest;
}

void Head::SetLatestFromBlocks(SeriesId series, const std::optional<Sample>& latest) {
  Series& s = At(series);
  if (s.latest_known) return;
  s.latest_known = true;
  if (!latest || (s.has_latest && s.latest.time_unix_nanos >= latest->time_unix_nanos)) return;
  s.has_latest = true;
  s.latest = *latest;
}

void Head::ForgetLatest(SeriesId series, TimeRange range) {
  Series* s = series_.Find(series);
  if (s == nullptr || !s->has_latest || !range.Contains(s->latest.time_unix_nanos)) return;
  s->latest_known = s->has_latest = false;
  // What is still here came later.
  const auto consider = [s](const int64_t* times, const double* values, uint32_t count) {
    if (count == 0 || (s->has_latest && s->latest.time_unix_nanos > times[count - 1])) return;
    s->has_latest = true;
    s->latest = {times[count - 1], values[count - 1]};
  };
  for (const SealingChunkPtr& chunk : s->sealing) {
    consider(chunk->run.times().data(), chunk->run.values().data(), chunk->run.count);
  }
  if (s->open != nullptr) consider(s->open->times.get(), s->open->values.get(), s->open_count);
}

bool Head::IsOpen(const Opened& opened) const {
  const Series* found = Find(opened.series);
  if (found == nullptr) return false;
  const Series& s = *found;
  return s.open_count > 0 && s.first_commit == opened.commit;
}

void Head::SealOpenedBefore(int64_t monotonic_nanos) {
  while (!opened_.empty() && opened_.front().monotonic_nanos <= monotonic_nanos) {
    const Opened opened = opened_.front();
    opened_.pop_front();
    if (IsOpen(opened)) Seal(&At(opened.series), opened.series);
  }
}

void Head::SealLong(int64_t bytes) {
  while (!long_.empty() && open_bytes_ > bytes) {
    const Opened opened = long_.front();
    long_.pop_front();
    if (IsOpen(opened)) Seal(&At(opened.series), opened.series);
  }
}

void Head::SealOldestHalf() {
  for (size_t n = (opened_.size() + 1) / 2; n > 0; --n) {
    const Opened opened = opened_.front();
    opened_.pop_front();
    if (IsOpen(opened)) Seal(&At(opened.series), opened.series);
  }
}

void Head::SealWithin(SeriesId series, TimeRange range) {
  Series* s = series_.Find(series);
  if (s == nullptr || s->open_count == 0) return;
  if (IndicesWithin({s->open->times.get(), s->open_count}, range).count > 0) Seal(s, series);
}

std::vector<SealingChunkPtr> Head::Sealing(size_t max_chunks, int64_t max_samples) const {
  std::vector<SealingChunkPtr> out;
  int64_t samples = 0;
  for (const SealingChunkPtr& chunk : sealing_) {
    if (out.size() == max_chunks || samples >= max_samples) break;
    out.push_back(chunk);
    samples += chunk->run.count;
  }
  return out;
}

void Head::RemoveSealed(std::span<const SealingChunkPtr> chunks) {
  for (const SealingChunkPtr& chunk : chunks) {
    Series& s = At(chunk->series);
    s.last_block_time = std::max(s.last_block_time, chunk->run.times().back());
    std::erase(s.sealing, chunk);
    sample_count_ -= chunk->run.count;
    bytes_ -= BufferBytes(chunk->run.buffer->capacity);
  }
  sealing_.erase(sealing_.begin(), sealing_.begin() + static_cast<std::ptrdiff_t>(chunks.size()));
}

std::optional<int64_t> Head::OldestCommit() {
  while (!opened_.empty() && !IsOpen(opened_.front())) opened_.pop_front();
  std::optional<int64_t> oldest;
  if (!opened_.empty()) oldest = opened_.front().commit;
  for (const SealingChunkPtr& chunk : sealing_) {
    if (!oldest || chunk->first_commit < *oldest) oldest = chunk->first_commit;
  }
  return oldest;
}

void MergeRun(std::span<const int64_t> times, std::span<const double> values, SampleColumns* into) {
  if (times.empty()) return;
  if (into->empty() || into->times.back() < times.front()) {
    into->times.insert(into->times.end(), times.begin(), times.end());
    into->values.insert(into->values.end(), values.begin(), values.end());
    return;
  }
  SampleColumns merged;
  merged.reserve(into->size() + times.size());
  size_t old = 0;
  for (size_t i = 0; i < times.size(); ++i) {
    while (old < into->size() && into->times[old] < times[i]) {
      merged.push_back(into->times[old], into->values[old]);
      ++old;
    }
    if (old < into->size() && into->times[old] == times[i]) ++old;
    merged.push_back(times[i], values[i]);
  }
  for (; old < into->size(); ++old) merged.push_back(into->times[old], into->values[old]);
  *into = std::move(merged);
}

IndexRange IndicesWithin(std::span<const int64_t> times, TimeRange range) {
  const auto first = std::lower_bound(times.begin(), times.end(), range.start);
  const auto last = std::lower_bound(first, times.end(), range.end);
  return {static_cast<size_t>(first - times.begin()), static_cast<size_t>(last - first)};
}

}  // namespace pulseboard

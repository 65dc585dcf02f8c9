// Head: the samples that are durable in the log but not yet in sealed blocks, as sorted columns per series.
//
// Appending to the end of a series is the fast path; anything else is an ordered insert, and an equal time overwrites
// (last write wins). Readers take references, not copies: a buffer that a reader holds is only ever appended to behind
// what the reader saw; any other change first copies it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/model/labels.h"
#include "common/model/samples.h"
#include "server/storage/id_table.h"

namespace pulseboard {

// Fixed-capacity columns of one series.
struct SampleBuffer {
  explicit SampleBuffer(uint32_t room)
      : capacity(room), times(std::make_unique<int64_t[]>(room)), values(std::make_unique<double[]>(room)) {}
  const uint32_t capacity;
  const std::unique_ptr<int64_t[]> times;
  const std::unique_ptr<double[]> values;
};

// The first `count` samples of a buffer, sorted. Immutable.
struct SampleRun {
  std::shared_ptr<const SampleBuffer> buffer;
  uint32_t count = 0;
  std::span<const int64_t> times() const { return {buffer->times.get(), count}; }
  std::span<const double> values() const { return {buffer->values.get(), count}; }
};

// A run that waits to become blocks.
struct SealingChunk {
  SeriesId series = 0;
  int64_t first_commit = 0;  // of the oldest commit with samples in it
  SampleRun run;
};
using SealingChunkPtr = std::shared_ptr<const SealingChunk>;

// Not thread-safe: every call under the store's commit lock. Runs may be read without it.
class Head {
 public:
  // Memory that a sample may take here at most, for each byte of it in a batch.
  static constexpr int64_t kWorstGrowth = 20;

  explicit Head(int32_t block_samples) : block_samples_(static_cast<uint32_t>(block_samples)) {}

  // The series is new: it has no samples anywhere, so Latest and HasBlocksFrom are known from now on.
  void AddNewSeries(SeriesId series) { At(series).latest_known = At(series).blocks_known = true; }
  // Returns how many samples were older than the newest of their series.
  int64_t Apply(int64_t commit, int64_t now_monotonic_nanos, std::span<const SeriesId> series,
                std::span<const int64_t> times, std::span<const double> values);

  // Oldest first: a later run overwrites an earlier one. The runs stay readable without the lock.
  std::vector<SampleRun> Runs(SeriesId series);
  // False when no sealed block can hold a sample at or after `time`.
  bool MayHaveBlocksFrom(SeriesId series, int64_t time) const;

  // The newest sample; nothing when it is not known in memory or there is none. `known` tells which.
  std::optional<Sample> Latest(SeriesId series, bool* known) const;
  // What the blocks say after a restart; samples that came meanwhile win.
  void SetLatestFromBlocks(SeriesId series, const std::optional<Sample>& latest);
  // The series' samples within `range` are gone from the blocks: if its newest was one of them, it is not known any
  // more.
  void ForgetLatest(SeriesId series, TimeRange range);

  // Open or waiting for sealing.
  bool HasSamples(SeriesId series) const;
  // Forgets what it knows of a series. REQUIRES: it has no samples.
  void Erase(SeriesId series) { series_.Erase(series); }

  // Moves open samples to sealing: those opened at or before the given monotonic time.
  void SealOpenedBefore(int64_t monotonic_nanos);
  // The same for chunks that have grown long, the first to do so first, until the open ones take no more than `bytes`.
  void SealLong(int64_t bytes);
  // It would do something.
  bool HasLongBeyond(int64_t bytes) const { return open_bytes_ > bytes && !long_.empty(); }
  // The same for the older half of the open chunks, to free memory or log.
  void SealOldestHalf();
  // The same for one series, if what it has open reaches into `range`.
  void SealWithin(SeriesId series, TimeRange range);
  // The oldest chunks that wait for sealing: at least one, and no more when they have `max_samples` together.
  std::vector<SealingChunkPtr> Sealing(size_t max_chunks, int64_t max_samples) const;
  size_t sealing_count() const { return sealing_.size(); }
  // They are in blocks now. REQUIRES: the result of Sealing, unchanged.
  void RemoveSealed(std::span<const SealingChunkPtr> chunks);

  // Oldest commit with a sample in the head; nothing when empty.
  std::optional<int64_t> OldestCommit();
  int64_t sample_count() const { return sample_count_; }
  // Memory of all buffers.
  int64_t bytes() const { return bytes_; }

 private:
  struct Series {
    std::shared_ptr<SampleBuffer> open;
    uint32_t open_count = 0;
    bool shared = false;  // a reader may hold `open`
    bool latest_known = false;
    bool has_latest = false;
    bool blocks_known = false;  // last_block_time is right
    int64_t first_commit = 0;   // of `open`
    int64_t last_block_time = std::numeric_limits<int64_t>::min();
    Sample latest;
    std::vector<SealingChunkPtr> sealing;
  };
  struct Opened {
    SeriesId series;
    int64_t commit;
    int64_t monotonic_nanos;
  };

  Series& At(SeriesId series) { return series_.At(series); }
  const Series* Find(SeriesId series) const { return series_.Find(series); }
  bool IsOpen(const Opened& opened) const;
  void Add(Series* series, SeriesId id, const Opened& opened, int64_t time, double value);
  void Insert(Series* series, int64_t time, double value);
  void Grow(Series* series, uint32_t capacity);
  void Seal(Series* series, SeriesId id);
  static constexpr int64_t kBufferOverheadBytes = 192;  // three allocations, and the chunk it becomes
  static int64_t BufferBytes(uint32_t capacity) {
    return kBufferOverheadBytes +
           static_cast<int64_t>(capacity) * static_cast<int64_t>(sizeof(int64_t) + sizeof(double));
  }

  // Chunks are long from here on: sealed now and merged with what follows, a sample is encoded some two times more.
  uint32_t LongSamples() const { return std::max(block_samples_ / 4, 1U); }

  const uint32_t block_samples_;
  IdTable<Series> series_;
  std::deque<Opened> opened_;  // every opening of a chunk, oldest first; some are sealed since
  std::deque<Opened> long_;    // those that became long, in that order; some are sealed since
  std::deque<SealingChunkPtr> sealing_;
  int64_t sample_count_ = 0;
  int64_t bytes_ = 0;
  int64_t open_bytes_ = 0;  // of it, what is open
};

// Merges a sorted run into sorted columns; at equal times the run wins.
void MergeRun(std::span<const int64_t> times, std::span<const double> values, SampleColumns* into);
// The part of a sorted column within [from, to): first index and count.
struct IndexRange {
  size_t first;
  size_t count;
};
IndexRange IndicesWithin(std::span<const int64_t> times, TimeRange range);

}  // namespace pulseboard

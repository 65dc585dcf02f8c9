// Keeps the span blocks of all rollup tiers. The rule that readers rely on: what a span block says of a bucket is exact
// for all sealed samples; where it says nothing, the bucket is derived from the next finer tier. So whatever is not yet
// written costs speed only, and one write at a time keeps the rule:
//   - sealing punches the buckets it touches out of the blocks that are there, in its own batch (Punch);
//   - stretches that are over, and punched ones, are filled later, a slice at a time (Work);
//   - before samples (or a finer tier) are dropped, everything coarser is filled over their window (Sweep).
// What is wanted is kept in memory only: after a restart a sweep of the window finds what was lost.
#pragma once

#include <rocksdb/write_batch.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/storage/block_store.h"
#include "server/storage/series_index.h"
#include "server/storage/tier_reader.h"
#include "server/storage/tiers.h"

namespace pulseboard {

struct RollupStats {
  int64_t written_spans = 0;
  int64_t written_bytes = 0;
  int64_t punched_spans = 0;
  int64_t dropped_wants = 0;  // more was wanted than is remembered: a sweep will find it
};

// Not thread-safe: all calls under the store's maintenance lock, as all writing of blocks. Pointees must outlive it.
class RollupKeeper {
 public:
  // Samples per bucket, on average, from which on a span pays while samples are there: below, reading them is as cheap.
  static constexpr int64_t kMinSamplesPerBucket = 50;
  // The same of a span as a whole, but for the first tier: two or three blocks of samples are read as fast, and a few
  // rollups in a block of their own take as much space as all the samples of some hours.
  static constexpr int64_t kMinSamplesPerSpan = 4'096;
  // Stretches to fill that are remembered, at most (about 100 bytes each).
  static constexpr size_t kMaxWanted = 400'000;

  RollupKeeper(BlockStore* blocks, const SeriesIndex* index, const std::vector<Tier>* tiers);

  // Sealing writes these samples (sorted) of the series: adds to `batch` that no span block speaks for their buckets
  // any more. Once per series and batch.
  absl::Status Punch(const StoredSeries& series, std::span<const int64_t> times, rocksdb::WriteBatch* batch);
  // These were sealed, the newest sample before them was at `before` (nothing: not known): what is over may be filled.
  void NotePassed(const StoredSeries& series, std::optional<int64_t> before, std::span<const int64_t> times);
  // Adds to `batch` that no tier holds anything of the series in whole buckets within `range`, and that buckets at its
  // edges are derived. For deleting; the samples themselves are the caller's.
  absl::Status Erase(const StoredSeries& series, TimeRange range, rocksdb::WriteBatch* batch);

  // Fills all coarser tiers over the window for every series that has blocks in it; `force`: also where few samples
  // make a span not pay, as must be before the window is dropped. Done in Work, after what is wanted.
  void Sweep(const PartitionPtr& partition, bool force);
  // Done, and nothing was written into the window since.
  bool IsSwept(const Window& window, bool force) const { return swept_.contains({window, force}); }
  void ForgetSweeps(const Window& window);

  bool HasWork() const { return !wanted_.empty() || !sweeps_.empty(); }
  // Punched buckets are filled only from now on: late samples come in crowds.
  void FillPunched();
  // Works for about `budget_ns` and writes what was done.
  absl::Status Work(int64_t budget_ns);

  const RollupStats& stats() const { return stats_; }

 private:
  // One span block to be brought up to date.
  struct Wanted {
    size_t tier;
    SeriesId series;
    int64_t span_start;
    auto operator<=>(const Wanted&) const = default;
  };
  struct Sweeping {
    PartitionPtr partition;
    size_t tier;
    bool force;
    std::string next_key;
  };

  absl::StatusOr<std::optional<std::string>> ReadBlock(const Tier& tier, const StoredSeries& series, int64_t time,
                                                       TimeRange* span, PartitionPtr* partition) const;
  std::optional<StoredSeries> Find(SeriesId id) const;
  void Want(const Wanted& wanted, int64_t until, std::map<Wanted, int64_t>* into);
  int64_t& ClaimedUntil(SeriesId series);
  absl::Status ResolveClaims(const StoredSeries& series, int64_t from);
  absl::Status PunchSpan(const StoredSeries& series, size_t tier, int64_t time, std::span<const int64_t> times,
                         rocksdb::WriteBatch* batch);
  absl::Status EraseFromSpan(const Partition& partition, const std::string& key, TimeRange range, RollupSpan span,
                             const RollupColumns& columns, rocksdb::WriteBatch* batch);
  // Brings the span up to `until`. Errors of reading are logged, and the span is left as it is.
  absl::Status Fill(const StoredSeries& series, size_t tier, int64_t time, int64_t until, bool force,
                    TierReader* reader, rocksdb::WriteBatch* batch);
  absl::Status FillWanted(int64_t deadline, TierReader* reader, rocksdb::WriteBatch* batch);
  // True when the first sweep is done.
  absl::StatusOr<bool> SweepSome(int64_t deadline, TierReader* reader, rocksdb::WriteBatch* batch);

  BlockStore* const blocks_;
  const SeriesIndex* const index_;
  const std::vector<Tier>* const tiers_;
  // By series id: no span block speaks for any time from here on. kNotKnown until it is asked for.
  std::vector<int64_t> claimed_until_;
  std::map<Wanted, int64_t> wanted_;   // -> until when
  std::map<Wanted, int64_t> punched_;  // wanted later
  std::deque<Sweeping> sweeps_;
  std::set<std::pair<Window, bool>> swept_;
  RollupStats stats_;
};

}  // namespace pulseboard

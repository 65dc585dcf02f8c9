// DecodedBlocks: the samples of blocks that are read again and again, decoded once.
//
// What is kept is a pure function of the block's bytes, and it is found by them, all of them: a block that late data or
// a deletion has changed is another block, an old one is found by nobody and ages out. So nothing has to be told here
// of what is written, and readers find their block by RocksDB as ever.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/mutex.h"
#include "common/model/samples.h"

namespace pulseboard {

// Immutable.
class DecodedBlock {
 public:
  // All samples of the block that `bytes` are.
  DecodedBlock(std::string_view bytes, std::span<const int64_t> times, std::span<const double> values);

  std::string_view bytes() const { return bytes_; }
  // Appends the samples within `range` and returns how many.
  size_t AppendWithin(TimeRange range, SampleColumns* out) const;
  int64_t memory_bytes() const;

 private:
  const std::string bytes_;
  const std::vector<double> values_;
  std::vector<int64_t> times_;  // empty: evenly spaced
  int64_t first_time_ = 0;
  int64_t last_time_ = 0;
  uint64_t step_ = 1;
};

struct DecodedBlocksStats {
  int64_t bytes = 0;
  int64_t hits = 0;
  int64_t misses = 0;
};

// Thread-safe.
class DecodedBlocks {
 public:
  // Keeps nothing with a limit of 0.
  explicit DecodedBlocks(int64_t max_bytes);

  // Null: not kept. Sets `wanted` when it was asked for of late and should be offered once it is decoded: a walk
  // through all of history leaves what others read again in place.
  std::shared_ptr<const DecodedBlock> Find(std::string_view bytes, bool* wanted);
  void Offer(std::shared_ptr<const DecodedBlock> block);
  DecodedBlocksStats Stats() const;

 private:
  using Order = std::list<std::shared_ptr<const DecodedBlock>>;

  const int64_t max_bytes_;
  mutable Mutex mu_;
  Order order_ PB_GUARDED_BY(mu_);  // most recently used first
  std::unordered_map<uint64_t, Order::iterator> by_hash_ PB_GUARDED_BY(mu_);
  std::vector<uint32_t> asked_ PB_GUARDED_BY(mu_);  // of late, by hash; some forget each other
  DecodedBlocksStats stats_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard

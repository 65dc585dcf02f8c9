// PointHistory: when distributions that come as points were last heard of, by a hash of their series, in a table of
// fixed size: what is pushed out is unknown again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/base/mutex.h"

namespace pulseboard {

// Thread-safe.
class PointHistory {
 public:
  static constexpr size_t kEntries = size_t{1} << 16;  // of 16 bytes, taken when first needed

  // Notes a point and returns the time of the newest one before; nothing when none is known.
  std::optional<int64_t> Exchange(uint64_t series_hash, int64_t unix_nanos) {
    Shard& shard = shards_[series_hash % kShards];
    MutexLock lock(&shard.mu);
    if (shard.entries.empty()) shard.entries.resize(kEntries / kShards);
    Entry& entry = shard.entries[series_hash / kShards % shard.entries.size()];
    const Entry before = entry;
    const bool known = before.unix_nanos > 0 && before.series_hash == series_hash;
    // A late point says nothing new.
    if (!known || unix_nanos > before.unix_nanos) entry = {series_hash, unix_nanos};
    return known ? std::optional<int64_t>(before.unix_nanos) : std::nullopt;
  }

 private:
  static constexpr size_t kShards = 16;
  struct Entry {
    uint64_t series_hash = 0;
    int64_t unix_nanos = 0;  // 0: not used
  };
  struct Shard {
    Mutex mu;
    std::vector<Entry> entries PB_GUARDED_BY(mu);
  };
  std::array<Shard, kShards> shards_;
};

}  // namespace pulseboard

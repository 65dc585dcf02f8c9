// How one memory limit (StoreOptions::memory_bytes, `storage.memory`) is shared out. What a series costs by itself (its
// entry in the index and in the head, some hundred bytes) and the append queue have limits of their own.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pulseboard {

struct MemoryShares {
  int64_t head = 0;   // samples not sealed yet: at half of it they are sealed early, at three quarters appends wait
  int64_t cache = 0;  // RocksDB's cache: blocks, and write buffers
  int64_t write_buffers = 0;  // of the cache, at most
};

inline constexpr int64_t kMinMemoryBytes = 32 << 20;
// Of the head, at most half of it: with more in open chunks those that have grown long are sealed though they are not
// full. What their blocks lose is won back when the rest is merged into them.
inline constexpr int64_t kMaxOpenBytes = 48 << 20;
inline constexpr int64_t kMaxDefaultMemoryBytes = int64_t{1} << 30;

constexpr MemoryShares ShareMemory(int64_t memory_bytes) {
  const int64_t memory = std::max(memory_bytes, kMinMemoryBytes);
  return {memory / 2, memory - memory / 2, memory / 8};
}

// A quarter of what the machine, or the container, has; not more than kMaxDefaultMemoryBytes.
int64_t DefaultMemoryBytes();

}  // namespace pulseboard

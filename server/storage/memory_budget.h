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
  int64_t decoded = 0;        // blocks that are read often, decoded
};

inline constexpr int64_t kMinMemoryBytes = 32 << 20;
// Of the head, at most half of it: with more in open chunks those that have grown long are sealed though they are not
// full. What their blocks lose is won back when the rest is merged into them.
inline constexpr int64_t kMaxOpenBytes = 48 << 20;
inline constexpr int64_t kMaxDefaultMemoryBytes = int64_t{1} << 30;

inline constexpr int64_t kDefaultDecodedBytes = 32 << 20;

// `decoded_bytes`: StoreOptions::decoded_bytes, cut to a sixteenth of the whole.
constexpr MemoryShares ShareMemory(int64_t memory_bytes, int64_t decoded_bytes = kDefaultDecodedBytes) {
  const int64_t memory = std::max(memory_bytes, kMinMemoryBytes);
  const int64_t decoded = std::min(decoded_bytes, memory / 16);
  return {memory / 2, memory - memory / 2 - decoded, memory / 8, decoded};
}

// A quarter of what the machine, or the container, has; not more than kMaxDefaultMemoryBytes.
int64_t DefaultMemoryBytes();

}  // namespace pulseboard

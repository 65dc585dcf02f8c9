// MemoryReads: reads that must be over soon. For threads that may neither wait for a disk nor decode for long.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace pulseboard {

// While it lives, what its thread reads of a Store comes from memory (the head, RocksDB's write buffers and cache) and
// decodes at most `max_samples` samples and rollups together. A read that would need more fails, with whatever error,
// and `failed` says that this was why: it has to be made again on a thread that may. Views opened meanwhile stay so: do
// not keep them. At most one per thread.
class MemoryReads {
 public:
  explicit MemoryReads(int64_t max_samples);
  ~MemoryReads();
  MemoryReads(const MemoryReads&) = delete;
  MemoryReads& operator=(const MemoryReads&) = delete;

  bool failed() const { return failed_; }

  // For the store: the one of this thread; null when it may read what it likes.
  static MemoryReads* Current();
  void Fail() { failed_ = true; }
  // Before so many samples and rollups are decoded on this thread: ABORTED, and failed, when that is too much.
  static absl::Status MayDecode(int64_t samples);

 private:
  int64_t samples_left_;
  bool failed_ = false;
};

}  // namespace pulseboard

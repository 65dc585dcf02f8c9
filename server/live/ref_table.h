// RefTable: the numbers by which streams name series. A series has the same ref in all streams as long as some topic
// knows it, so frames can be shared; a ref means one thing at a time, whatever the series' id is.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>

#include "common/base/mutex.h"
#include "common/model/labels.h"

namespace pulseboard {

// Thread-safe; its lock is a leaf.
class RefTable {
 public:
  // `first`: the first ref given out.
  explicit RefTable(uint32_t first = 1) : next_(first) {}

  // The series' ref, which it has until everybody who held it has released it.
  uint32_t Hold(SeriesId series);
  void Release(SeriesId series);
  // A ref for something else (a line of an aggregated query), until Free.
  uint32_t Take();
  void Free(uint32_t ref);
  size_t size() const;

 private:
  struct Held {
    uint32_t ref = 0;
    int64_t holders = 0;
  };
  uint32_t TakeLocked() PB_REQUIRES(mu_);

  mutable Mutex mu_;
  uint32_t next_ PB_GUARDED_BY(mu_);
  std::unordered_map<SeriesId, Held> series_ PB_GUARDED_BY(mu_);
  std::unordered_set<uint32_t> used_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard

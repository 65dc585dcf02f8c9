// UnflushedKeys: which rows were written since the last flush. When RocksDB has to be opened again, what it had of them
// in memory only is read from the old instance and written into the new one.
#pragma once

#include <rocksdb/write_batch.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/mutex.h"

namespace pulseboard {

// Keys only, values stay where they are: 8 bytes and the key for each. Thread-safe.
class UnflushedKeys {
 public:
  // The batch has been written, or may have been in part. To be called before anybody can take it for unwritten.
  void Note(const rocksdb::WriteBatch& batch);

  // A flush begins: of all that was noted before. EndFlush: that is on the disk now, or it is not for certain.
  void BeginFlush();
  void EndFlush(bool flushed);

  using VisitKey = std::function<void(uint32_t family, std::string_view key)>;
  using VisitRange = std::function<void(uint32_t family, std::string_view from, std::string_view to)>;
  // Deleted ranges first, then keys, some of them repeatedly.
  void Visit(const VisitRange& range, const VisitKey& key) const;

  int64_t bytes() const;

 private:
  struct Range {
    uint32_t family;
    std::string from;
    std::string to;
  };
  struct Noted {
    std::deque<std::string> keys;  // each some thousand: family, length, bytes
    std::deque<Range> ranges;
    int64_t bytes = 0;
    void Add(uint32_t family, std::string_view key);
    void Append(Noted later);
  };
  class Reader;

  mutable Mutex mu_;
  Noted noted_ PB_GUARDED_BY(mu_);
  Noted flushing_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard

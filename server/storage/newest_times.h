// NewestTimes: the newest time of every series as the committer sees it, to tell late samples before they are written.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "common/model/labels.h"
#include "server/storage/id_table.h"

namespace pulseboard {

// A sample is late when it is not newer than the newest of its series: it comes out of order, or replaces a value.
//
// After a restart the newest of a series is known for what is replayed; of the others only that it is not newer than
// `ceiling`, the newest time of the whole store before. A sample above it needs no look; for one below it the blocks
// are asked, once per series. Not thread-safe: the committer's own. 16 bytes per series that has data.
class NewestTimes {
 public:
  // Newest sealed time of a series; the lowest int64 for none.
  using LookUp = std::function<int64_t(SeriesId)>;
  static constexpr int64_t kNone = std::numeric_limits<int64_t>::min();

  // `ceiling`: nothing sealed is newer.
  void SetCeiling(int64_t ceiling) { ceiling_ = ceiling; }
  // The series has nothing sealed and nothing replayed.
  void AddNew(SeriesId series) { newest_.At(series) = {kNone, true}; }
  // The series has no data any more.
  void Forget(SeriesId series) { newest_.Erase(series); }
  // Samples read back from the log at start.
  void Replay(std::span<const SeriesId> series, std::span<const int64_t> times);

  // Appends the indices of late samples and takes the batch into account.
  void Judge(std::span<const SeriesId> series, std::span<const int64_t> times, const LookUp& look_up,
             std::vector<uint32_t>* late);
  // The batches judged since the last Accept were written …
  void Accept() { undo_.clear(); }
  // … or were not.
  void Reject();

 private:
  struct Newest {
    int64_t time = kNone;  // of what came by here
    bool known = false;    // and of everything
  };
  struct Change {
    SeriesId series;
    Newest before;
  };

  int64_t ceiling_ = std::numeric_limits<int64_t>::max();
  IdTable<Newest> newest_;
  std::vector<Change> undo_;
};

}  // namespace pulseboard

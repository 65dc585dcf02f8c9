// Which series have blocks in which window: one bitmap per window, so that a series without any data can be forgotten
// and a read need not look where nothing is.
//
// A bitmap may name a series whose blocks are gone, never miss one that has some. It is saved in the `meta` family with
// each checkpoint that follows a change; the first change after that removes the saved row in the same write as the
// blocks. So a row that is there is right, and a window without row is read through when its bitmap is needed.
#pragma once

#include <rocksdb/write_batch.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "server/storage/postings.h"
#include "server/storage/rocks.h"
#include "server/storage/window.h"

namespace pulseboard {

// Thread-safe; all but the questions are for the thread that seals.
class Presence {
 public:
  explicit Presence(Rocks* rocks) : rocks_(rocks) {}

  // For each window found at open: reads its row.
  absl::Status Load(const Window& window);
  // A window was created: nothing is in it.
  void AddNew(const Window& window);
  // Before the window is dropped: removes its row.
  absl::Status Remove(const Window& window);

  // These series get blocks in the window by `batch`, which is about to be written.
  absl::Status Add(const Window& window, const SeriesSet& series, rocksdb::WriteBatch* batch);
  // These have none any more, by `batch`.
  absl::Status Subtract(const Window& window, const SeriesSet& series, rocksdb::WriteBatch* batch);
  // Rows of what changed since they were saved. Call Unsave when the batch is not written after all.
  absl::StatusOr<std::vector<Window>> Save(rocksdb::WriteBatch* batch);
  void Unsave(const std::vector<Window>& windows);
  // The batch of an Add or Subtract was not written: rows that it was to remove may be there.
  void NoteUnwritten();
  bool has_unsaved() const;

  // Windows whose bitmap is not known: their keys have to be read (ReadSeries) and given to Set.
  std::vector<Window> Unknown() const;
  void Set(const Window& window, SeriesSet series);
  // All series with a block anywhere. REQUIRES: Unknown() is empty.
  SeriesSet All() const;
  // The series of one window; nothing when not known.
  std::optional<SeriesSet> Of(const Window& window) const;
  // False when the window certainly has no block of any of these.
  bool MayHaveAny(const Window& window, const SeriesSet& series) const;
  // False when the window certainly has no block of the series.
  bool MayHave(const Window& window, SeriesId series) const;

 private:
  struct Entry {
    Window window;
    SeriesSet series;
    bool known = false;
    bool changed = true;   // since the row was written
    bool has_row = false;  // or may have
  };
  absl::Status Change(const Window& window, rocksdb::WriteBatch* batch, Entry* entry) PB_REQUIRES(mu_);

  Rocks* const rocks_;
  mutable Mutex mu_;
  std::map<std::string, Entry> entries_ PB_GUARDED_BY(mu_);  // by family name
};

// The series that have keys in a window, by jumping from one to the next.
absl::StatusOr<SeriesSet> ReadSeries(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family);

}  // namespace pulseboard

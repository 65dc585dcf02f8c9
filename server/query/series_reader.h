// SeriesReader: one series of a view in pieces of a day, reduced to pixel columns where asked, so that memory is
// bounded by a day of one series and not by the range.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "common/analysis/m4.h"
#include "common/model/labels.h"
#include "common/model/samples.h"
#include "server/storage/store.h"

namespace pulseboard {

// Thread-compatible. The view must outlive it.
class SeriesReader {
 public:
  // Reads `readable`, which may be smaller than `columns`, the range that max_points counts in. max_points 0: raw. From
  // `sparse_from` on (well ahead of the clock) next to nothing is expected: the rest is one piece.
  SeriesReader(ReadView& view, SeriesId series, TimeRange readable, TimeRange columns, int32_t max_points,
               int64_t sparse_from);

  bool done() const { return done_; }
  // The next piece, possibly empty; a reduced series comes with the last one. REQUIRES: !done().
  absl::StatusOr<SampleColumns> Next();
  // Raw samples read so far, as the view counts them.
  int64_t scanned_samples() const { return scanned_samples_; }

 private:
  ReadView& view_;
  const SeriesId series_;
  const TimeRange readable_;
  const int64_t sparse_from_;
  int64_t read_up_to_;
  int64_t scanned_samples_ = 0;
  bool done_;
  std::unique_ptr<M4Reducer> reducer_;
};

}  // namespace pulseboard

// RangeCursor: one range query, read chunk by chunk from one consistent view of the store.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/samples.h"
#include "server/query/chunk_source.h"
#include "server/query/line_plan.h"
#include "server/query/query_engine.h"
#include "server/query/query_estimate.h"
#include "server/query/series_reader.h"
#include "server/storage/store.h"

namespace pulseboard {

// Thread-compatible. Holds a ReadView: do not keep longer than the call. Its engine must outlive it.
class RangeCursor final : public ChunkSource {
 public:
  RangeCursor(const RangeCursor&) = delete;
  RangeCursor& operator=(const RangeCursor&) = delete;
  // The next chunk; the last one carries the summary, none may be asked for after it. A single series is read in pieces
  // (series_reader.h), so that memory is bounded by those and the answer's own chunk. Errors as for QueryEngine.
  absl::StatusOr<RangeChunk> Next() override;
  absl::StatusOr<QueryEstimate> Estimate() const;

 private:
  friend class QueryEngine;
  RangeCursor(QueryEngine& engine, QueryContext context, RangeRequest request, std::vector<SeriesId> series,
              std::unique_ptr<ReadView> view);

  bool at_end() const { return next_series_ == series_.size(); }
  absl::Status ReadPiece();
  void StartSeries();
  // Moves up to the chunk's room from `ready_` to the chunk.
  void Emit(RangeChunk* chunk, size_t* room);

  QueryEngine& engine_;
  const QueryContext context_;
  const RangeRequest request_;
  const std::vector<SeriesId> series_;
  const std::unique_ptr<ReadView> view_;
  const std::shared_ptr<const LinePlan> plan_;  // of every series

  size_t next_series_ = 0;
  uint32_t last_ref_ = 0;
  std::unique_ptr<SeriesReader> reader_;  // of the open series
  bool series_defined_ = false;           // its definition was sent
  SampleColumns ready_;                   // of the open series, not sent yet
  size_t ready_at_ = 0;
  RangeSummary summary_;
};

}  // namespace pulseboard

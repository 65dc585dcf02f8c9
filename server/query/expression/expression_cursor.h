// ExpressionCursor: one evaluation of an expression, read chunk by chunk from one consistent view of the store.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/query/chunk_source.h"
#include "server/query/expression/ast.h"
#include "server/query/expression/evaluation.h"
#include "server/query/query_engine.h"
#include "server/query/query_estimate.h"

namespace pulseboard {

// Thread-compatible. Holds a ReadView: do not keep longer than the call. Its engine must outlive it.
class ExpressionCursor final : public ChunkSource {
 public:
  ExpressionCursor(const ExpressionCursor&) = delete;
  ExpressionCursor& operator=(const ExpressionCursor&) = delete;
  ~ExpressionCursor() override;

  // The next chunk; the last one carries the summary, none may be asked for after it. Errors as for QueryEngine.
  absl::StatusOr<RangeChunk> Next() override;
  absl::StatusOr<QueryEstimate> Estimate() const;
  const expression::Grid& grid() const { return grid_; }

 private:
  friend class QueryEngine;
  class StoreSource;

  ExpressionCursor(QueryEngine& engine, QueryContext context, ExpressionRequest request, expression::NodePtr root,
                   const expression::Grid& grid);
  // Parses nothing, reads nothing: makes the streams, selects the series and opens the view.
  absl::Status Open();
  absl::Status StartSeries();
  void Emit(RangeChunk* chunk, size_t* room);

  QueryEngine& engine_;
  const QueryContext context_;
  const ExpressionRequest request_;
  const expression::NodePtr root_;
  const expression::Grid grid_;
  std::unique_ptr<StoreSource> source_;
  expression::VectorStreamPtr stream_;

  bool at_end_ = false;
  bool series_open_ = false;     // series_ has values that were not sent yet
  bool series_defined_ = false;  // its definition was sent
  expression::EvaluatedSeries series_;
  size_t next_value_ = 0;
  uint32_t last_ref_ = 0;
  std::set<SeriesKey> seen_;  // names of the series answered
  RangeSummary summary_;
};

}  // namespace pulseboard

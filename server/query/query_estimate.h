// What a query would cost, told before it runs.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "server/query/chunk_source.h"
#include "server/query/line_plan.h"
#include "server/query/query_engine.h"

namespace pulseboard {

// Series are counted; what is read of them is judged by a few of them, so it is exact for series that are alike.
struct QueryEstimate {
  int64_t series_count = 0;
  int64_t scanned_sample_count = 0;
  int64_t scanned_rollup_count = 0;
  int64_t answer_point_count = 0;  // at most
  int64_t answer_bytes = 0;        // at most, about

  void Add(const QueryEstimate& other);
  // Adds an answer of so many points in so many lines.
  void AddAnswer(int64_t lines, int64_t points);
};

// Reading `ids` as `plan` says. Looks at kEstimateSeries of them, by their coarsest rollups. Errors as for QueryEngine.
inline constexpr size_t kEstimateSeries = 8;
absl::StatusOr<QueryEstimate> EstimateRead(QueryEngine& engine, const QueryContext& context,
                                           std::span<const SeriesId> ids, const LinePlan& plan);

// A dry run's answer: the estimate and a summary of nothing.
class EstimateSource final : public ChunkSource {
 public:
  explicit EstimateSource(const QueryEstimate& estimate) : estimate_(estimate) {}
  absl::StatusOr<RangeChunk> Next() override;

 private:
  const QueryEstimate estimate_;
};

}  // namespace pulseboard

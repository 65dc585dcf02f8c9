// ColumnCursor: series over columns of time, a value of each aggregate per column, read chunk by chunk.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/query/chunk_source.h"
#include "server/query/columns/aggregates.h"
#include "server/query/columns/column_query.h"
#include "server/query/columns/grouping.h"
#include "server/query/columns/time_columns.h"
#include "server/query/query_engine.h"

namespace pulseboard {

// What a column without a value is told as. Columns that begin after now are never filled.
enum class FillPolicy : uint8_t {
  kGap,       // not at all
  kNull,      // NaN
  kPrevious,  // the value of the column before; none before the first one
  kZero,
};

inline constexpr size_t kMaxAggregates = 16;

struct ColumnsRequest {
  std::string selector;
  TimeRange range;
  ColumnStep step;
  std::vector<Aggregate> aggregates;  // 1 to kMaxAggregates
  Grouping group;
  FillPolicy fill = FillPolicy::kGap;
  PeriodOffset compare;
};

// Thread-compatible. Holds one series and its values, of groups all of them. Its engine must outlive it.
class ColumnCursor final : public ChunkSource {
 public:
  // Samples are at the beginnings of their columns; those of an earlier period at the columns they are compared with.
  absl::StatusOr<RangeChunk> Next() override;
  absl::StatusOr<QueryEstimate> Estimate() const;

 private:
  friend class QueryEngine;
  // Values of one series, aggregate and period, all columns.
  struct Line {
    std::shared_ptr<const SeriesInfo> series;
    int32_t aggregate = 0;
    bool earlier = false;
    std::vector<double> values;
  };
  struct GroupKey {
    SeriesKey key;
    bool earlier = false;
    size_t aggregate = 0;
    auto operator<=>(const GroupKey&) const = default;
  };

  ColumnCursor(std::unique_ptr<ColumnQuery> query, ColumnsRequest request);
  // Reads the next series into lines, or into its groups.
  absl::Status ReadSeries();
  absl::Status AddToGroups(const SeriesInfo& info, bool earlier, std::vector<std::vector<double>> values);
  void FinishGroups();
  void Fill(std::vector<double>* values) const;
  void Emit(RangeChunk* chunk, size_t* room);

  const std::unique_ptr<ColumnQuery> query_;
  const ColumnsRequest request_;
  const std::vector<int64_t>& bounds_;
  bool bounds_sent_ = false;
  size_t next_series_ = 0;
  std::map<GroupKey, GroupValues> groups_;
  std::deque<Line> lines_;
  size_t next_value_ = 0;  // of the front line
  bool line_defined_ = false;
  uint32_t last_ref_ = 0;
  RangeSummary summary_;
};

}  // namespace pulseboard

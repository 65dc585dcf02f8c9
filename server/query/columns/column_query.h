// ColumnQuery: what every question about columns of time begins with: some series, one view of them, and the plans to
// read the range and the period it is compared with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/query/columns/column_reader.h"
#include "server/query/columns/time_columns.h"
#include "server/query/query_engine.h"
#include "server/query/query_estimate.h"

namespace pulseboard {

struct ColumnQuerySpec {
  std::string selector;
  TimeRange range;
  TimeColumns columns;
  PeriodOffset compare;  // none: the range alone
  AggregateNeeds needs;
};

// Thread-compatible. Holds a ReadView: do not keep longer than the call. Its engine must outlive it.
class ColumnQuery {
 public:
  // Errors as for QueryEngine.
  static absl::StatusOr<std::unique_ptr<ColumnQuery>> Open(QueryEngine& engine, const QueryContext& context,
                                                           ColumnQuerySpec spec);

  // 1, or 2 with a period to compare with, which is number 1.
  size_t periods() const { return plans_.size(); }
  const ColumnPlan& plan(size_t period) const { return *plans_[period]; }
  const std::vector<std::shared_ptr<const SeriesInfo>>& series() const { return series_; }

  // One series in one period; see ColumnReader. CANCELLED, QUERY_TOO_BROAD, BLOCK_CORRUPT.
  absl::Status Read(const SeriesInfo& info, size_t period, const ColumnReader::Visit& visit,
                    std::function<void(size_t column, double value)> value_visit = nullptr);
  // Accounts for values held until the end of the call; QUERY_TOO_BROAD above `max_held_values`.
  absl::Status Hold(size_t values);
  // What reading all of it would cost; the answer is the caller's to add.
  absl::StatusOr<QueryEstimate> Estimate() const;
  absl::Status CheckAlive() const { return engine_.CheckAlive(context_); }

  QueryEngine& engine() const { return engine_; }
  const QueryContext& context() const { return context_; }
  int64_t commit_sequence() const { return view_->commit_sequence(); }
  int64_t scanned_samples() const { return scanned_samples_; }
  int64_t scanned_rollups() const { return scanned_rollups_; }

 private:
  ColumnQuery(QueryEngine& engine, QueryContext context) : engine_(engine), context_(std::move(context)) {}

  QueryEngine& engine_;
  const QueryContext context_;
  std::vector<std::unique_ptr<const ColumnPlan>> plans_;
  std::vector<std::shared_ptr<const SeriesInfo>> series_;
  std::unique_ptr<ReadView> view_;
  int64_t scanned_samples_ = 0;
  int64_t scanned_rollups_ = 0;
  int64_t held_ = 0;
};

}  // namespace pulseboard

#include "server/query/columns/table_query.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "common/base/errors.h"
#include "server/query/columns/column_query.h"
#include "server/query/expression/evaluation.h"

namespace pulseboard {
namespace {

using expression::IsAbsent;
using expression::kNoValue;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kMaxFilters = 32;

absl::Status CheckRequest(const TableRequest& request) {
  if (request.range.end < request.range.start) {
    return BadField("end_time", std::to_string(request.range.end),
                    "a time not before start_time (" + std::to_string(request.range.start) + ")");
  }
  if (request.columns.empty() || request.columns.size() > kMaxAggregates) {
    return BadField("columns", std::to_string(request.columns.size()) + " columns",
                    "1 to " + std::to_string(kMaxAggregates));
  }
  if (request.limit < 0)
    return BadField("limit", std::to_string(request.limit), "0 to " + std::to_string(kMaxTableRows));
  const std::string last = std::to_string(request.columns.size() - 1);
  if (request.sort_column >= request.columns.size()) {
    return BadField("sort_column", std::to_string(request.sort_column), "0 to " + last);
  }
  if (request.filters.size() > kMaxFilters) {
    return BadField("filters", std::to_string(request.filters.size()) + " filters",
                    "at most " + std::to_string(kMaxFilters));
  }
  for (size_t i = 0; i < request.filters.size(); ++i) {
    const std::string path = "filters[" + std::to_string(i) + "].";
    if (request.filters[i].column >= request.columns.size()) {
      return BadField(path + "column", std::to_string(request.filters[i].column), "0 to " + last);
    }
    if (std::isnan(request.filters[i].value)) return BadField(path + "value", "NaN", "a number");
  }
  for (size_t i = 0; i < request.columns.size(); ++i) {
    if (!request.columns[i].earlier || !request.compare.none()) continue;
    return BadField("columns[" + std::to_string(i) + "].earlier", "true", "a period to compare with, in `compare`,");
  }
  return CheckGrouping("group", request.group);
}

bool Passes(const TableFilter& filter, const std::vector<double>& values) {
  const double value = values[filter.column];
  if (std::isnan(value)) return false;
  switch (filter.comparison) {
    case TableComparison::kEqual:
      return value == filter.value;
    case TableComparison::kNotEqual:
      return value != filter.value;
    case TableComparison::kLess:
      return value < filter.value;
    case TableComparison::kLessEqual:
      return value <= filter.value;
    case TableComparison::kGreater:
      return value > filter.value;
    case TableComparison::kGreaterEqual:
      return value >= filter.value;
  }
  return false;
}

// Reads the rows, before filters.
class RowReader {
 public:
  RowReader(const TableRequest& request, ColumnQuery& query) : request_(request), query_(query) {}

  absl::StatusOr<std::vector<TableRow>> Read() {
    for (const auto& info : query_.series()) {
      std::vector<double> values(request_.columns.size(), kNoValue);
      PB_RETURN_IF_ERROR(ReadSeries(*info, &values));
      if (std::all_of(values.begin(), values.end(), IsAbsent)) continue;
      PB_RETURN_IF_ERROR(Add(info, std::move(values)));
    }
    for (auto& [key, group] : groups_) {
      auto info = std::make_shared<const SeriesInfo>(SeriesInfo{0, query_.context().tenant, key, {}});
      rows_.push_back({std::move(info), group.Take()});
    }
    for (TableRow& row : rows_) {
      for (double& value : row.values) {
        if (IsAbsent(value)) value = kNan;
      }
    }
    return std::move(rows_);
  }
  double max_quantile_error() const { return max_quantile_error_; }

 private:
  absl::Status ReadSeries(const SeriesInfo& info, std::vector<double>* values) {
    for (size_t period = 0; period < query_.periods(); ++period) {
      PB_RETURN_IF_ERROR(query_.Read(info, period, [&](size_t /*column*/, const ColumnState& state) {
        for (size_t i = 0; i < values->size(); ++i) {
          const TableColumn& column = request_.columns[i];
          if (column.earlier == (period == 1)) (*values)[i] = ValueOf(column.aggregate, state);
        }
        if (state.sketch == nullptr) return;
        max_quantile_error_ = std::max(max_quantile_error_, state.sketch->relative_error());
      }));
    }
    return absl::OkStatus();
  }
  absl::Status Add(const std::shared_ptr<const SeriesInfo>& info, std::vector<double> values) {
    if (request_.group.function == GroupFunction::kNone) {
      PB_RETURN_IF_ERROR(query_.Hold(values.size()));
      rows_.push_back({info, std::move(values)});
      return absl::OkStatus();
    }
    const size_t size = values.size();
    const auto [group, is_new] = groups_.try_emplace(GroupOf(info->key, request_.group), request_.group, size);
    PB_RETURN_IF_ERROR(query_.Hold((is_new ? GroupValues::HeldPerGroup(request_.group, size) : 0) +
                                   GroupValues::HeldPerSeries(request_.group, size)));
    group->second.Add(values);
    return absl::OkStatus();
  }

  const TableRequest& request_;
  ColumnQuery& query_;
  std::vector<TableRow> rows_;
  std::map<SeriesKey, GroupValues> groups_;
  double max_quantile_error_ = 0;
};

void SortAndCut(const TableRequest& request, TableAnswer* answer) {
  std::erase_if(answer->rows, [&](const TableRow& row) {
    return !std::all_of(request.filters.begin(), request.filters.end(),
                        [&](const TableFilter& filter) { return Passes(filter, row.values); });
  });
  answer->row_count = static_cast<int64_t>(answer->rows.size());
  const size_t limit =
      static_cast<size_t>(request.limit == 0 ? kDefaultTableRows : std::min(request.limit, kMaxTableRows));
  const auto kept = answer->rows.begin() + static_cast<ptrdiff_t>(std::min(limit, answer->rows.size()));
  std::partial_sort(answer->rows.begin(), kept, answer->rows.end(), [&](const TableRow& a, const TableRow& b) {
    const double x = a.values[request.sort_column], y = b.values[request.sort_column];
    if (std::isnan(x) != std::isnan(y)) return std::isnan(y);
    if (!std::isnan(x) && x != y) return request.ascending ? x < y : x > y;
    return a.series->key < b.series->key;
  });
  if (request.with_rest && kept != answer->rows.end()) {
    Grouping sum;
    sum.function = GroupFunction::kSum;
    GroupValues rest(sum, request.columns.size());
    for (auto row = kept; row != answer->rows.end(); ++row) {
      std::vector<double> values = row->values;
      for (double& value : values) {
        if (std::isnan(value)) value = kNoValue;
      }
      rest.Add(values);
    }
    answer->rest = rest.Take();
    for (double& value : answer->rest) {
      if (IsAbsent(value)) value = kNan;
    }
  }
  answer->rows.erase(kept, answer->rows.end());
}

}  // namespace

absl::StatusOr<TableAnswer> QueryTable(QueryEngine& engine, const QueryContext& context, const TableRequest& request,
                                       bool dry_run) {
  PB_RETURN_IF_ERROR(CheckRequest(request));
  std::vector<Aggregate> aggregates;
  for (const TableColumn& column : request.columns) aggregates.push_back(column.aggregate);
  PB_RETURN_IF_ERROR(CheckAggregates("columns", aggregates));
  ColumnQuerySpec spec;
  spec.selector = request.selector;
  spec.range = request.range;
  spec.columns = SingleColumn(request.range);
  spec.compare = request.compare;
  spec.needs = NeedsOf(aggregates);
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<ColumnQuery> query, ColumnQuery::Open(engine, context, std::move(spec)));
  TableAnswer answer;
  if (dry_run) {
    PB_ASSIGN_OR_RETURN(QueryEstimate estimate, query->Estimate());
    const int64_t rows =
        std::min<int64_t>(estimate.series_count, request.limit == 0 ? kDefaultTableRows : request.limit);
    estimate.AddAnswer(rows, rows * static_cast<int64_t>(request.columns.size()));
    answer.estimate = std::make_shared<const QueryEstimate>(estimate);
    return answer;
  }
  RowReader reader(request, *query);
  PB_ASSIGN_OR_RETURN(answer.rows, reader.Read());
  SortAndCut(request, &answer);
  answer.summary.series_count = static_cast<int64_t>(query->series().size());
  answer.summary.sample_count = static_cast<int64_t>(answer.rows.size() * request.columns.size());
  answer.summary.scanned_sample_count = query->scanned_samples();
  answer.summary.scanned_rollup_count = query->scanned_rollups();
  answer.summary.bucket_ns = query->plan(0).bucket_ns();
  answer.summary.commit_sequence = query->commit_sequence();
  answer.summary.max_quantile_error = reader.max_quantile_error();
  return answer;
}

}  // namespace pulseboard

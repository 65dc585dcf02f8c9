#include "server/query/columns/column_cursor.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/errors.h"
#include "server/query/expression/evaluation.h"

namespace pulseboard {
namespace {

using expression::IsAbsent;
using expression::kNoValue;

// Limits of what is tried on an RPC thread.
constexpr size_t kMostAggregatesHere = 4;
constexpr size_t kMostColumnsHere = 2'000;

}  // namespace

ColumnCursor::ColumnCursor(std::unique_ptr<ColumnQuery> query, ColumnsRequest request)
    : query_(std::move(query)), request_(std::move(request)), bounds_(query_->plan(0).columns().bounds) {
  summary_.commit_sequence = query_->commit_sequence();
  summary_.bucket_ns = query_->plan(0).bucket_ns();
}

absl::Status ColumnCursor::ReadSeries() {
  const std::shared_ptr<const SeriesInfo>& info = query_->series()[next_series_++];
  const size_t size = query_->plan(0).columns().size();
  for (size_t period = 0; period < query_->periods(); ++period) {
    std::vector<std::vector<double>> values(request_.aggregates.size(), std::vector<double>(size, kNoValue));
    bool any = false;
    PB_RETURN_IF_ERROR(query_->Read(*info, period, [&](size_t column, const ColumnState& state) {
      for (size_t i = 0; i < values.size(); ++i) {
        values[i][column] = ValueOf(request_.aggregates[i], state);
        any |= !IsAbsent(values[i][column]);
      }
      if (state.sketch == nullptr) return;
      summary_.max_quantile_error = std::max(summary_.max_quantile_error, state.sketch->relative_error());
    }));
    if (!any) continue;
    if (request_.group.function != GroupFunction::kNone) {
      PB_RETURN_IF_ERROR(AddToGroups(*info, period == 1, std::move(values)));
      continue;
    }
    for (size_t i = 0; i < values.size(); ++i) {
      lines_.push_back({info, static_cast<int32_t>(i), period == 1, std::move(values[i])});
    }
  }
  return absl::OkStatus();
}

absl::Status ColumnCursor::AddToGroups(const SeriesInfo& info, bool earlier, std::vector<std::vector<double>> values) {
  const SeriesKey key = GroupOf(info.key, request_.group);
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t size = values[i].size();
    const auto [group, is_new] = groups_.try_emplace(GroupKey{key, earlier, i}, request_.group, size);
    if (is_new) PB_RETURN_IF_ERROR(query_->Hold(GroupValues::HeldPerGroup(request_.group, size)));
    PB_RETURN_IF_ERROR(query_->Hold(GroupValues::HeldPerSeries(request_.group, size)));
    group->second.Add(values[i]);
  }
  return absl::OkStatus();
}

void ColumnCursor::FinishGroups() {
  std::shared_ptr<const SeriesInfo> info;
  for (auto& [key, group] : groups_) {
    if (info == nullptr || info->key != key.key) {
      info = std::make_shared<const SeriesInfo>(SeriesInfo{0, query_->context().tenant, key.key, {}});
    }
    lines_.push_back({info, static_cast<int32_t>(key.aggregate), key.earlier, group.Take()});
  }
  groups_.clear();
}

void ColumnCursor::Fill(std::vector<double>* values) const {
  if (request_.fill == FillPolicy::kGap) return;
  const int64_t now = query_->engine().clock().NowUnixNanos();
  for (size_t i = 0; i < values->size() && bounds_[i] <= now; ++i) {
    double& value = (*values)[i];
    if (!IsAbsent(value)) continue;
    switch (request_.fill) {
      case FillPolicy::kNull:
        value = std::numeric_limits<double>::quiet_NaN();
        break;
      case FillPolicy::kPrevious:
        if (i > 0) value = (*values)[i - 1];
        break;
      default:
        value = 0;
    }
  }
}

void ColumnCursor::Emit(RangeChunk* chunk, size_t* room) {
  Line& line = lines_.front();
  if (next_value_ == 0) {
    line_defined_ = false;
    // A line without any value is not filled either.
    if (std::all_of(line.values.begin(), line.values.end(), IsAbsent)) {
      lines_.pop_front();
      return;
    }
    Fill(&line.values);
  }
  RangeColumn column;
  for (; next_value_ < line.values.size() && *room > 0; ++next_value_) {
    const double value = line.values[next_value_];
    if (IsAbsent(value)) continue;
    column.samples.push_back(bounds_[next_value_], value);
    --*room;
  }
  if (!column.samples.empty()) {
    if (!std::exchange(line_defined_, true)) {
      chunk->definitions.push_back({++last_ref_, line.series, line.aggregate, line.earlier});
      ++summary_.series_count;
    }
    column.ref = last_ref_;
    summary_.sample_count += static_cast<int64_t>(column.samples.size());
    chunk->columns.push_back(std::move(column));
  }
  if (next_value_ < line.values.size()) return;
  next_value_ = 0;
  lines_.pop_front();
}

absl::StatusOr<RangeChunk> ColumnCursor::Next() {
  RangeChunk chunk;
  if (!std::exchange(bounds_sent_, true)) chunk.bounds = bounds_;
  auto room = static_cast<size_t>(std::max(1, query_->engine().options().chunk_samples));
  while (true) {
    while (!lines_.empty() && room > 0) Emit(&chunk, &room);
    if (room == 0) return chunk;
    if (next_series_ < query_->series().size()) {
      PB_RETURN_IF_ERROR(ReadSeries());
    } else if (!groups_.empty()) {
      FinishGroups();
    } else {
      break;
    }
  }
  summary_.scanned_sample_count = query_->scanned_samples();
  summary_.scanned_rollup_count = query_->scanned_rollups();
  chunk.summary = summary_;
  return chunk;
}

absl::StatusOr<QueryEstimate> ColumnCursor::Estimate() const {
  PB_ASSIGN_OR_RETURN(QueryEstimate estimate, query_->Estimate());
  const auto lines = estimate.series_count * static_cast<int64_t>(request_.aggregates.size() * query_->periods());
  const auto columns = static_cast<int64_t>(query_->plan(0).columns().size());
  estimate.AddAnswer(lines, lines * columns);
  return estimate;
}

absl::StatusOr<std::unique_ptr<ChunkSource>> QueryEngine::EstimateColumns(const QueryContext& context,
                                                                          const ColumnsRequest& request) {
  PB_ASSIGN_OR_RETURN(const auto cursor, OpenColumns(context, request));
  PB_ASSIGN_OR_RETURN(const QueryEstimate estimate, cursor->Estimate());
  return std::make_unique<EstimateSource>(estimate);
}

absl::StatusOr<std::unique_ptr<ColumnCursor>> QueryEngine::OpenColumns(const QueryContext& context,
                                                                       const ColumnsRequest& request) {
  if (request.range.end < request.range.start) {
    return BadField("end_time", std::to_string(request.range.end),
                    "a time not before start_time (" + std::to_string(request.range.start) + ")");
  }
  if (request.aggregates.empty() || request.aggregates.size() > kMaxAggregates) {
    return BadField("aggregates", std::to_string(request.aggregates.size()) + " aggregates",
                    "1 to " + std::to_string(kMaxAggregates));
  }
  PB_RETURN_IF_ERROR(CheckAggregates("aggregates", request.aggregates));
  PB_RETURN_IF_ERROR(CheckGrouping("group", request.group));
  // Time zones may have to be read from the disk.
  PB_RETURN_IF_ERROR(NotHere(context, request.step.step_ns <= 0 || !request.compare.none() ||
                                          request.aggregates.size() > kMostAggregatesHere));
  ColumnQuerySpec spec;
  spec.selector = request.selector;
  spec.range = request.range;
  PB_ASSIGN_OR_RETURN(spec.columns, CutIntoColumns(request.range, request.step));
  PB_RETURN_IF_ERROR(NotHere(context, spec.columns.size() > kMostColumnsHere));
  spec.compare = request.compare;
  spec.needs = NeedsOf(request.aggregates);
  PB_ASSIGN_OR_RETURN(std::unique_ptr<ColumnQuery> query, ColumnQuery::Open(*this, context, std::move(spec)));
  return std::unique_ptr<ColumnCursor>(new ColumnCursor(std::move(query), request));
}

}  // namespace pulseboard

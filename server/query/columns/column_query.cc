#include "server/query/columns/column_query.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

// The range moved as the columns were: of a calendar its ends move by themselves.
absl::StatusOr<TimeRange> EarlierRange(TimeRange range, const PeriodOffset& offset) {
  PB_ASSIGN_OR_RETURN(const TimeColumns ends, Earlier({{range.start, range.end}}, offset));
  return TimeRange{ends.bounds[0], ends.bounds[1]};
}

}  // namespace

absl::StatusOr<std::unique_ptr<ColumnQuery>> ColumnQuery::Open(QueryEngine& engine, const QueryContext& context,
                                                               ColumnQuerySpec spec) {
  std::unique_ptr<ColumnQuery> query(new ColumnQuery(engine, context));
  ColumnRequest request;
  request.needs = spec.needs;
  request.now_unix_nanos = engine.clock().NowUnixNanos();
  const std::vector<TierOptions> tiers = engine.store().Tiers(context.tenant);
  request.raw_retention_ns = engine.store().RawRetention(context.tenant);
  request.longest_retention_ns = LongestRetention(tiers, request.raw_retention_ns);
  request.lookback_ns = engine.options().lookback_ns;
  request.columns = spec.columns;
  request.range = spec.range;
  query->plans_.push_back(std::make_unique<const ColumnPlan>(request, tiers));
  if (!spec.compare.none()) {
    PB_ASSIGN_OR_RETURN(request.columns, Earlier(spec.columns, spec.compare));
    PB_ASSIGN_OR_RETURN(request.range, EarlierRange(spec.range, spec.compare));
    query->plans_.push_back(std::make_unique<const ColumnPlan>(request, tiers));
  }
  PB_ASSIGN_OR_RETURN(const std::vector<SeriesId> ids, engine.Select(context, spec.selector));
  PB_RETURN_IF_ERROR(engine.CheckSeriesCount(context, spec.selector, ids.size()));
  PB_RETURN_IF_ERROR(engine.Charge(context, UsageKind::kSeries, static_cast<int64_t>(ids.size())));
  query->series_.reserve(ids.size());
  for (const SeriesId id : ids) {
    if (auto info = engine.store().GetSeries(id); info != nullptr) query->series_.push_back(std::move(info));
  }
  TimeRange hull = query->plans_[0]->readable();
  for (const auto& plan : query->plans_) {
    hull = {std::min(hull.start, plan->readable().start), std::max(hull.end, plan->readable().end)};
  }
  PB_ASSIGN_OR_RETURN(query->view_, engine.store().OpenView(ids, hull, nullptr));
  return query;
}

absl::Status ColumnQuery::Read(const SeriesInfo& info, size_t period, const ColumnReader::Visit& visit,
                               std::function<void(size_t column, double value)> value_visit) {
  PB_RETURN_IF_ERROR(CheckAlive());
  ColumnReader reader(*view_, *plans_[period], info);
  reader.SetValueVisit(std::move(value_visit));
  return reader.Read(visit, [this](int64_t samples, int64_t rollups) {
    scanned_samples_ += samples;
    scanned_rollups_ += rollups;
    PB_RETURN_IF_ERROR(engine_.NoteScanned(context_, samples, rollups));
    PB_RETURN_IF_ERROR(engine_.CheckScanned(scanned_samples_ + scanned_rollups_));
    return CheckAlive();
  });
}

absl::StatusOr<QueryEstimate> ColumnQuery::Estimate() const {
  std::vector<SeriesId> by_tiers, by_samples;  // as their plans go
  for (const auto& info : series_) {
    const bool samples = &plans_[0]->StepsFor(info->metadata.kind) != &plans_[0]->StepsFor(MetricKind::kCounter);
    (samples ? by_samples : by_tiers).push_back(info->id);
  }
  QueryEstimate all;
  for (const auto& plan : plans_) {
    PB_ASSIGN_OR_RETURN(const QueryEstimate some,
                        EstimateRead(engine_, context_, by_tiers, plan->StepsFor(MetricKind::kCounter)));
    PB_ASSIGN_OR_RETURN(const QueryEstimate others,
                        EstimateRead(engine_, context_, by_samples, plan->StepsFor(MetricKind::kGauge)));
    all.Add(some);
    all.Add(others);
  }
  all.series_count = static_cast<int64_t>(series_.size());
  return all;
}

absl::Status ColumnQuery::Hold(size_t values) {
  held_ += static_cast<int64_t>(values);
  PB_RETURN_IF_ERROR(engine_.Charge(context_, UsageKind::kHeldValues, static_cast<int64_t>(values)));
  if (held_ <= engine_.options().max_held_values) return absl::OkStatus();
  const std::string limit = std::to_string(engine_.options().max_held_values);
  return MakeError(ErrorReason::kQueryTooBroad,
                   "the query has to hold more than " + limit +
                       " values at once (query.max_held_values); fewer groups or fewer columns would be accepted",
                   {{"limit", limit}, {"setting", "query.max_held_values"}});
}

}  // namespace pulseboard

#include "server/rpc/query_wire.h"

#include <string>
#include <utility>

#include "common/base/errors.h"
#include "common/wire/model.h"
#include "server/rpc/data_wire.h"

namespace pulseboard {
namespace {

constexpr int kMaxGroupLabels = 32;
constexpr int kCountsPerMessage = 8'000;

// Open enums: an unknown number arrives as it is.
absl::Status CheckEnum(std::string_view field, int value, int first, int last) {
  if (value >= first && value <= last) return absl::OkStatus();
  return BadField(field, std::to_string(value), std::to_string(first) + " to " + std::to_string(last));
}

template <typename Request>
absl::StatusOr<TimeRange> RangeOf(const Request& request, int64_t now_unix_nanos) {
  if (!request.has_start_time()) return BadField("start_time", "", "the first instant of the range");
  TimeRange range{0, now_unix_nanos};
  PB_ASSIGN_OR_RETURN(range.start, RequireTime("start_time", request.start_time()));
  if (request.has_end_time()) {
    PB_ASSIGN_OR_RETURN(range.end, RequireTime("end_time", request.end_time()));
  }
  return range;
}

absl::StatusOr<int64_t> DurationOf(std::string_view field, const google::protobuf::Duration& duration) {
  if (const auto nanos = ToNanos(duration)) return *nanos;
  return BadField(field, std::to_string(duration.seconds()) + " s + " + std::to_string(duration.nanos()) + " ns",
                  "a duration of less than 292 years");
}

absl::StatusOr<CalendarStep> FromProto(std::string_view field, const v1::CalendarStep& in) {
  PB_RETURN_IF_ERROR(CheckEnum(std::string(field) + ".unit", in.unit(), 1, 4));
  CalendarStep out;
  out.unit = static_cast<CalendarUnit>(in.unit());
  out.count = in.count() == 0 ? 1 : in.count();
  out.time_zone = in.time_zone();
  out.first_day_of_week = in.first_day_of_week() == 0 ? 1 : in.first_day_of_week();
  return out;
}

template <typename Request>
absl::StatusOr<ColumnStep> StepOf(const Request& request) {
  ColumnStep step;
  if (request.has_step()) {
    PB_ASSIGN_OR_RETURN(step.step_ns, DurationOf("step", request.step()));
    if (step.step_ns <= 0) return BadField("step", std::to_string(step.step_ns) + " ns", "a positive duration");
  }
  if (request.has_calendar()) {
    PB_ASSIGN_OR_RETURN(step.calendar, FromProto("calendar", request.calendar()));
  }
  return step;
}

absl::StatusOr<PeriodOffset> FromProto(const v1::EarlierPeriod& in) {
  PeriodOffset out;
  if (in.has_offset()) {
    PB_ASSIGN_OR_RETURN(out.offset_ns, DurationOf("compare.offset", in.offset()));
  }
  if (in.has_calendar()) {
    PB_ASSIGN_OR_RETURN(out.calendar, FromProto("compare.calendar", in.calendar()));
  }
  if (out.none()) return BadField("compare", "nothing", "an offset or a calendar");
  return out;
}

}  // namespace

absl::StatusOr<Aggregate> AggregateFromProto(std::string_view field, const v1::Aggregate& in) {
  PB_RETURN_IF_ERROR(CheckEnum(std::string(field) + ".function", in.function(), 0, kAggregateKinds));
  const int kind = in.function() == 0 ? 0 : in.function() - 1;  // the same order, beginning with AVG
  return Aggregate{static_cast<AggregateKind>(kind), in.quantile()};
}

absl::StatusOr<Grouping> GroupingFromProto(const v1::Grouping& in) {
  PB_RETURN_IF_ERROR(CheckEnum("group.function", in.function(), 0, 6));
  if (in.labels_size() > kMaxGroupLabels) {
    return BadField("group.labels", std::to_string(in.labels_size()) + " labels",
                    "at most " + std::to_string(kMaxGroupLabels));
  }
  Grouping out;
  out.function = in.function() == 0 ? GroupFunction::kSum : static_cast<GroupFunction>(in.function());
  out.quantile = in.quantile();
  out.without = in.without();
  out.labels.assign(in.labels().begin(), in.labels().end());
  return out;
}

bool HasTimeColumns(const v1::QueryRangeRequest& request) {
  // What makes no sense without is refused there.
  return request.has_step() || request.has_calendar() || request.aggregates_size() > 0 || request.has_group() ||
         request.fill() != 0 || request.has_compare();
}

absl::StatusOr<ColumnsRequest> ColumnsFromProto(const v1::QueryRangeRequest& request, int64_t now_unix_nanos) {
  ColumnsRequest out;
  out.selector = request.selector();
  PB_ASSIGN_OR_RETURN(out.range, RangeOf(request, now_unix_nanos));
  if (!request.has_step() && !request.has_calendar()) {
    return BadField("step", "none", "a step or a calendar, as aggregates, group, fill or compare are given");
  }
  if (request.max_points() != 0) {
    return BadField("max_points", std::to_string(request.max_points()), "none beside step or calendar");
  }
  PB_ASSIGN_OR_RETURN(out.step, StepOf(request));
  for (const v1::Aggregate& in : request.aggregates()) {
    PB_ASSIGN_OR_RETURN(const Aggregate aggregate,
                        AggregateFromProto("aggregates[" + std::to_string(out.aggregates.size()) + "]", in));
    out.aggregates.push_back(aggregate);
  }
  if (out.aggregates.empty()) out.aggregates.push_back({AggregateKind::kAvg, 0});
  if (request.has_group()) {
    PB_ASSIGN_OR_RETURN(out.group, GroupingFromProto(request.group()));
  }
  PB_RETURN_IF_ERROR(CheckEnum("fill", request.fill(), 0, 4));
  out.fill = request.fill() == 0 ? FillPolicy::kGap : static_cast<FillPolicy>(request.fill() - 1);
  if (request.has_compare()) {
    PB_ASSIGN_OR_RETURN(out.compare, FromProto(request.compare()));
  }
  return out;
}

absl::StatusOr<TableRequest> FromProto(const v1::QueryTableRequest& request, int64_t now_unix_nanos) {
  TableRequest out;
  out.selector = request.selector();
  PB_ASSIGN_OR_RETURN(out.range, RangeOf(request, now_unix_nanos));
  for (const v1::TableColumn& in : request.columns()) {
    PB_ASSIGN_OR_RETURN(
        const Aggregate aggregate,
        AggregateFromProto("columns[" + std::to_string(out.columns.size()) + "].aggregate", in.aggregate()));
    out.columns.push_back({aggregate, in.earlier()});
  }
  if (out.columns.empty()) out.columns.push_back({{AggregateKind::kAvg, 0}, false});
  if (request.has_group()) {
    PB_ASSIGN_OR_RETURN(out.group, GroupingFromProto(request.group()));
  }
  if (request.has_compare()) {
    PB_ASSIGN_OR_RETURN(out.compare, FromProto(request.compare()));
  }
  for (const v1::TableFilter& in : request.filters()) {
    const std::string path = "filters[" + std::to_string(out.filters.size()) + "].";
    PB_RETURN_IF_ERROR(CheckEnum(path + "comparison", in.comparison(), 1, 6));
    if (in.column() < 0) return BadField(path + "column", std::to_string(in.column()), "the number of a column");
    out.filters.push_back(
        {static_cast<size_t>(in.column()), static_cast<TableComparison>(in.comparison() - 1), in.value()});
  }
  if (request.sort_column() < 0) {
    return BadField("sort_column", std::to_string(request.sort_column()), "the number of a column");
  }
  out.sort_column = static_cast<size_t>(request.sort_column());
  out.ascending = request.ascending();
  out.limit = request.limit();
  out.with_rest = request.with_rest();
  return out;
}

absl::StatusOr<ForecastRequest> FromProto(const v1::ForecastRequest& request, int64_t now_unix_nanos) {
  ForecastRequest out;
  out.expression = request.expression();
  out.horizon_steps = request.horizon_steps() == 0 ? kDefaultForecastSteps : request.horizon_steps();
  out.end = now_unix_nanos;
  if (request.has_end_time()) {
    PB_ASSIGN_OR_RETURN(out.end, RequireTime("end_time", request.end_time()));
  }
  const std::optional<int64_t> step = request.has_step() ? ToNanos(request.step()) : std::nullopt;
  constexpr int64_t kLongestStep = 10 * 86'400 * kNanosPerSecond;
  if (!step || *step <= 0 || *step > kLongestStep) {
    return BadField("step", std::to_string(request.step().seconds()) + " s", "a positive duration, ten days at most");
  }
  out.step_ns = *step;
  out.start = out.end - (kDefaultForecastHistory - 1) * out.step_ns;
  if (request.has_start_time()) {
    PB_ASSIGN_OR_RETURN(out.start, RequireTime("start_time", request.start_time()));
  }
  return out;
}

absl::StatusOr<HistogramRequest> FromProto(const v1::QueryHistogramRequest& request, int64_t now_unix_nanos) {
  HistogramRequest out;
  out.selector = request.selector();
  PB_ASSIGN_OR_RETURN(out.range, RangeOf(request, now_unix_nanos));
  if (!request.has_step() && !request.has_calendar()) return BadField("step", "none", "a step or a calendar");
  PB_ASSIGN_OR_RETURN(out.step, StepOf(request));
  out.bounds.assign(request.bounds().begin(), request.bounds().end());
  out.bucket_count = request.bucket_count();
  PB_RETURN_IF_ERROR(CheckEnum("scale", request.scale(), 0, 2));
  out.scale = request.scale() == v1::BUCKET_SCALE_EXPONENTIAL ? BucketScale::kExponential : BucketScale::kLinear;
  out.quantiles.assign(request.quantiles().begin(), request.quantiles().end());
  return out;
}

void ToProto(const std::vector<int64_t>& bounds, v1::TimeColumns* out) {
  if (bounds.empty()) return;
  out->set_first_start_unix_nanos(bounds.front());
  for (size_t i = 1; i < bounds.size(); ++i) out->add_lengths_nanos(bounds[i] - bounds[i - 1]);
}

void ToProto(const QueryEstimate& estimate, v1::QueryEstimate* out) {
  out->set_series_count(estimate.series_count);
  out->set_scanned_sample_count(estimate.scanned_sample_count);
  out->set_scanned_rollup_count(estimate.scanned_rollup_count);
  out->set_answer_point_count(estimate.answer_point_count);
  out->set_answer_bytes(estimate.answer_bytes);
}

void ToProto(const RangeSummary& summary, v1::QueryRangeSummary* out) {
  out->set_series_count(summary.series_count);
  out->set_sample_count(summary.sample_count);
  out->set_scanned_sample_count(summary.scanned_sample_count);
  out->set_commit_sequence(summary.commit_sequence);
  out->set_scanned_rollup_count(summary.scanned_rollup_count);
  out->set_bucket_nanos(summary.bucket_ns);
  out->set_column_nanos(summary.column_ns);
  out->set_max_relative_quantile_error(summary.max_quantile_error);
}

void ToProto(const RangeSummary& summary, v1::QueryExpressionSummary* out) {
  out->set_series_count(summary.series_count);
  out->set_sample_count(summary.sample_count);
  out->set_scanned_sample_count(summary.scanned_sample_count);
  out->set_commit_sequence(summary.commit_sequence);
  out->mutable_step()->set_seconds(summary.step_ns / kNanosPerSecond);
  out->mutable_step()->set_nanos(static_cast<int32_t>(summary.step_ns % kNanosPerSecond));
  out->set_scanned_rollup_count(summary.scanned_rollup_count);
}

void ToProto(const TableAnswer& answer, v1::QueryTableResponse* out) {
  if (answer.estimate != nullptr) {
    ToProto(*answer.estimate, out->mutable_estimate());
    return;
  }
  for (const TableRow& row : answer.rows) {
    v1::TableRow* to = out->add_rows();
    ToProto(*row.series, to->mutable_series());
    to->mutable_values()->Add(row.values.begin(), row.values.end());
  }
  out->set_row_count(answer.row_count);
  out->mutable_rest()->Add(answer.rest.begin(), answer.rest.end());
  ToProto(answer.summary, out->mutable_summary());
}

void ToProto(const ForecastAnswer& answer, v1::ForecastResponse* out) {
  out->set_first_time_unix_nanos(answer.first_time);
  out->set_step_nanos(answer.step_ns);
  out->set_too_short_series_count(answer.too_short_count);
  out->set_commit_sequence(answer.summary.commit_sequence);
  for (const SeriesForecast& series : answer.forecasts) {
    v1::SeriesForecast* to = out->add_forecasts();
    ToProto(*series.series, to->mutable_series());
    const auto copy = [](const std::vector<double>& from, google::protobuf::RepeatedField<double>* into) {
      into->Add(from.begin(), from.end());
    };
    copy(series.forecast.point, to->mutable_values());
    copy(series.forecast.lower_80, to->mutable_lower_80());
    copy(series.forecast.upper_80, to->mutable_upper_80());
    copy(series.forecast.lower_95, to->mutable_lower_95());
    copy(series.forecast.upper_95, to->mutable_upper_95());
    for (const int period : series.forecast.periods) to->add_periods_nanos(period * answer.step_ns);
  }
}

void ToMessages(const HistogramAnswer& answer, std::deque<v1::QueryHistogramResponse>* out) {
  if (answer.estimate != nullptr) {
    ToProto(*answer.estimate, out->emplace_back().mutable_estimate());
  } else {
    v1::HistogramLayout* layout = out->emplace_back().mutable_layout();
    ToProto(answer.time_bounds, layout->mutable_time_columns());
    layout->mutable_bounds()->Add(answer.bounds.begin(), answer.bounds.end());
  }
  int room = 0;
  for (const HistogramColumn& column : answer.columns) {
    if (room <= 0) {
      out->emplace_back().mutable_columns();
      room = kCountsPerMessage;
    }
    v1::HistogramColumn* to = out->back().mutable_columns()->add_columns();
    to->set_start_unix_nanos(column.start);
    to->mutable_counts()->Add(column.counts.begin(), column.counts.end());
    to->mutable_quantiles()->Add(column.quantiles.begin(), column.quantiles.end());
    to->set_count(column.count);
    room -= static_cast<int>(column.counts.size() + column.quantiles.size());
  }
  ToProto(answer.summary, out->emplace_back().mutable_summary());
}

}  // namespace pulseboard

#include "server/query/forecast_query.h"

#include <cmath>
#include <limits>
#include <map>

#include "common/base/errors.h"
#include "server/query/expression/expression_cursor.h"

namespace pulseboard {
namespace {

struct History {
  std::shared_ptr<const SeriesInfo> series;
  std::vector<double> values;  // by instant; NaN: none
};

absl::Status CheckRequest(const ForecastRequest& request) {
  if (request.horizon_steps < 1 || request.horizon_steps > kMostForecastSteps) {
    return BadField("horizon_steps", std::to_string(request.horizon_steps),
                    "1 to " + std::to_string(kMostForecastSteps));
  }
  if (request.step_ns <= 0) return BadField("step", "none", "a positive duration");
  const int64_t instants = (request.end - request.start) / request.step_ns + 1;
  if (request.start >= request.end || instants > static_cast<int64_t>(kMostForecastSamples)) {
    return BadField(
        "start_time", std::to_string(request.start),
        "a time before end_time from which there are at most " + std::to_string(kMostForecastSamples) + " steps to it");
  }
  return absl::OkStatus();
}

absl::StatusOr<RangeSummary> ReadHistories(ExpressionCursor& cursor, const ForecastRequest& request,
                                           std::map<uint32_t, History>* histories) {
  const auto instants = static_cast<size_t>((request.end - request.start) / request.step_ns + 1);
  while (true) {
    PB_ASSIGN_OR_RETURN(const RangeChunk chunk, cursor.Next());
    for (const RangeSeries& definition : chunk.definitions) {
      History& history = (*histories)[definition.ref];
      history.series = definition.series;
      history.values.assign(instants, std::numeric_limits<double>::quiet_NaN());
    }
    if (histories->size() > kMostForecastSeries) {
      return MakeError(ErrorReason::kQueryTooBroad,
                       "'" + request.expression + "' gives more than " + std::to_string(kMostForecastSeries) +
                           " series, which is what one call forecasts; pick fewer, or aggregate them");
    }
    for (const RangeColumn& column : chunk.columns) {
      History& history = histories->at(column.ref);
      for (size_t i = 0; i < column.samples.size(); ++i) {
        // An infinite quotient says as little about what comes as none.
        if (!std::isfinite(column.samples.values[i])) continue;
        history.values[static_cast<size_t>((column.samples.times[i] - request.start) / request.step_ns)] =
            column.samples.values[i];
      }
    }
    if (chunk.summary) return *chunk.summary;
  }
}

}  // namespace

absl::StatusOr<ForecastAnswer> QueryForecast(QueryEngine& engine, const QueryContext& context,
                                             const ForecastRequest& request) {
  PB_RETURN_IF_ERROR(CheckRequest(request));
  const ExpressionRequest expression{.expression = request.expression,
                                     .start = request.start,
                                     .end = request.end,
                                     .step_ns = request.step_ns,
                                     .max_points = 0};
  std::map<uint32_t, History> histories;
  ForecastAnswer answer;
  answer.step_ns = request.step_ns;
  answer.first_time = request.start + ((request.end - request.start) / request.step_ns + 1) * request.step_ns;
  {
    PB_ASSIGN_OR_RETURN(const std::unique_ptr<ExpressionCursor> cursor, engine.OpenExpression(context, expression));
    PB_ASSIGN_OR_RETURN(answer.summary, ReadHistories(*cursor, request, &histories));
  }
  for (auto& [ref, history] : histories) {
    PB_RETURN_IF_ERROR(engine.CheckAlive(context));
    absl::StatusOr<Forecast> forecast = MakeForecast(history.values, request.horizon_steps);
    if (forecast.ok()) {
      answer.forecasts.push_back({std::move(history.series), *std::move(forecast)});
    } else {
      ++answer.too_short_count;
    }
  }
  return answer;
}

}  // namespace pulseboard

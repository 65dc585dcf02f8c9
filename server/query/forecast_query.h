// Forecasts of what an expression gives: each series of the answer continued beyond its end.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/analysis/forecaster.h"
#include "server/query/query_engine.h"

namespace pulseboard {

inline constexpr int32_t kDefaultForecastSteps = 48;
inline constexpr int64_t kDefaultForecastHistory = 1'000;  // instants
inline constexpr size_t kMostForecastSeries = 100;

struct ForecastRequest {
  std::string expression;
  int64_t start = 0;  // unix nanoseconds; instants of the history are start, start + step … up to and with end
  int64_t end = 0;
  int64_t step_ns = 0;
  int32_t horizon_steps = 0;  // 1 to kMostForecastSteps
};

struct SeriesForecast {
  std::shared_ptr<const SeriesInfo> series;
  Forecast forecast;
};

struct ForecastAnswer {
  int64_t first_time = 0;  // of the first step forecast, unix nanoseconds
  int64_t step_ns = 0;
  std::vector<SeriesForecast> forecasts;
  int64_t too_short_count = 0;  // series with too few values
  RangeSummary summary;
};

// On the calling thread; errors as for QueryEngine::OpenExpression. QUERY_TOO_BROAD above kMostForecastSeries series.
// Instants without a value are gaps.
absl::StatusOr<ForecastAnswer> QueryForecast(QueryEngine& engine, const QueryContext& context,
                                             const ForecastRequest& request);

}  // namespace pulseboard

#include "server/app/query_answers.h"

#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/base/units.h"
#include "common/wire/model.h"
#include "common/wire/status.h"

namespace pulseboard {
namespace {

using google::protobuf::util::TimeUtil;

// `avg`, `max`, …, or `p99` for a quantile.
absl::StatusOr<v1::Aggregate> AggregateOf(const std::string& name) {
  v1::Aggregate out;
  std::string spelled = "AGGREGATE_FUNCTION_" + name;
  for (char& c : spelled) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  v1::AggregateFunction function = v1::AGGREGATE_FUNCTION_UNSPECIFIED;
  if (v1::AggregateFunction_Parse(spelled, &function) && function != v1::AGGREGATE_FUNCTION_QUANTILE &&
      function != v1::AGGREGATE_FUNCTION_UNSPECIFIED) {
    out.set_function(function);
    return out;
  }
  double percent = 0;
  const char* const end = name.data() + name.size();
  if (name.size() > 1 && name[0] == 'p') {
    const auto parsed = std::from_chars(name.data() + 1, end, percent);
    if (parsed.ec == std::errc() && parsed.ptr == end && percent >= 0 && percent <= 100) {
      out.set_function(v1::AGGREGATE_FUNCTION_QUANTILE);
      out.set_quantile(percent / 100);
      return out;
    }
  }
  return BadField("--aggregate", name, "avg, sum, min, max, count, first, last, increase, rate or a percentile: p99");
}

// Numbers that JSON has no word for, as text.
nlohmann::json JsonNumber(double value) {
  if (std::isfinite(value)) return value;
  return QueryNumberText(value);
}

// Rows of cells in one of the formats.
class Rows {
 public:
  Rows(const std::string& format, std::vector<std::string> heading) : format_(format), heading_(std::move(heading)) {
    if (format_ != "json") Line(heading_);
  }
  void Add(const std::string& name, const std::vector<double>& values) const {
    if (format_ == "json") {
      nlohmann::json line = {{heading_[0], name}};
      for (size_t i = 0; i < values.size(); ++i) line[heading_[i + 1]] = JsonNumber(values[i]);
      std::printf("%s\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
      return;
    }
    std::vector<std::string> cells = {name};
    for (const double value : values) cells.push_back(QueryNumberText(value));
    Line(cells);
  }

 private:
  void Line(const std::vector<std::string>& cells) const {
    std::string line;
    for (const std::string& cell : cells) {
      line += (line.empty() ? "" : format_ == "csv" ? "," : "  ") + (format_ == "csv" ? QueryCsvText(cell) : cell);
    }
    std::printf("%s\n", line.c_str());
  }
  const std::string format_;
  const std::vector<std::string> heading_;
};

}  // namespace

std::string QueryTimeText(int64_t unix_nanos) {
  return TimeUtil::ToString(TimeUtil::NanosecondsToTimestamp(unix_nanos));
}

std::string QueryNumberText(double value) { return std::isnan(value) ? "NaN" : ShortestDecimal(value); }

std::string QueryCsvText(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

void PrintEstimate(const v1::QueryEstimate& estimate) {
  std::printf(
      "would read about %lld samples and %lld rollups of %lld series and answer at most about %lld points, %lld "
      "bytes\n",
      static_cast<long long>(estimate.scanned_sample_count()), static_cast<long long>(estimate.scanned_rollup_count()),
      static_cast<long long>(estimate.series_count()), static_cast<long long>(estimate.answer_point_count()),
      static_cast<long long>(estimate.answer_bytes()));
}

absl::Status RunTableQuery(const QueryCommandOptions& options, ApiConnection& connection, int64_t from, int64_t to) {
  v1::QueryTableRequest request;
  request.set_selector(options.table);
  *request.mutable_start_time() = TimeUtil::NanosecondsToTimestamp(from);
  *request.mutable_end_time() = TimeUtil::NanosecondsToTimestamp(to);
  std::vector<std::string> heading = {"series"};
  const std::vector<std::string> usual = {"avg", "min", "max", "last"};
  for (const std::string& name : options.aggregates.empty() ? usual : options.aggregates) {
    PB_ASSIGN_OR_RETURN(*request.add_columns()->mutable_aggregate(), AggregateOf(name));
    heading.push_back(name);
  }
  for (const std::string& label : options.by) request.mutable_group()->add_labels(label);
  request.set_limit(options.top);
  request.set_with_rest(options.top > 0);
  request.set_dry_run(options.dry_run);
  grpc::ClientContext context;
  connection.Prepare(&context, std::nullopt);
  v1::QueryTableResponse response;
  const auto stub = v1::QueryService::NewStub(connection.channel());
  PB_RETURN_IF_ERROR(FromGrpcStatus(stub->QueryTable(&context, request, &response)));
  if (options.dry_run) {
    PrintEstimate(response.estimate());
    return absl::OkStatus();
  }
  const Rows rows(options.format, heading);
  for (const v1::TableRow& row : response.rows()) {
    const std::string name = FromProto(row.series()).key.Format();
    rows.Add(name.empty() ? "{}" : name, {row.values().begin(), row.values().end()});
  }
  if (response.rest_size() > 0) {
    const int64_t count = response.row_count() - response.rows_size();
    rows.Add("sum of " + std::to_string(count) + " more", {response.rest().begin(), response.rest().end()});
  }
  return absl::OkStatus();
}

absl::Status RunHistogramQuery(const QueryCommandOptions& options, ApiConnection& connection, int64_t from,
                               int64_t to) {
  v1::QueryHistogramRequest request;
  request.set_selector(options.histogram);
  *request.mutable_start_time() = TimeUtil::NanosecondsToTimestamp(from);
  *request.mutable_end_time() = TimeUtil::NanosecondsToTimestamp(to);
  const std::optional<int64_t> step = ParseDuration(options.step.empty() ? "1h" : options.step);
  if (!step || *step <= 0) return BadField("--step", options.step, "a duration such as 30s");
  *request.mutable_step() = TimeUtil::NanosecondsToDuration(*step);
  request.set_bucket_count(options.buckets);
  for (const double quantile : options.quantiles) request.add_quantiles(quantile);
  request.set_dry_run(options.dry_run);
  grpc::ClientContext context;
  connection.Prepare(&context, std::nullopt);
  const auto stub = v1::QueryService::NewStub(connection.channel());
  const auto reader = stub->QueryHistogram(&context, request);
  std::optional<Rows> rows;
  v1::QueryHistogramResponse response;
  while (reader->Read(&response)) {
    if (response.has_estimate()) PrintEstimate(response.estimate());
    if (response.has_layout()) {
      std::vector<std::string> heading = {"time", "count"};
      for (const double quantile : options.quantiles) heading.push_back("q" + QueryNumberText(quantile));
      for (const double bound : response.layout().bounds()) heading.push_back("<=" + QueryNumberText(bound));
      heading.emplace_back("above");
      rows.emplace(options.format, heading);
    }
    for (const v1::HistogramColumn& column : response.columns().columns()) {
      std::vector<double> values = {static_cast<double>(column.count())};
      values.insert(values.end(), column.quantiles().begin(), column.quantiles().end());
      for (const int64_t count : column.counts()) values.push_back(static_cast<double>(count));
      rows->Add(QueryTimeText(column.start_unix_nanos()), values);
    }
  }
  return FromGrpcStatus(reader->Finish());
}

}  // namespace pulseboard

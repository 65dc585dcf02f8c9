#include "server/app/query_command.h"

#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/units.h"
#include "common/model/samples.h"
#include "common/wire/model.h"
#include "common/wire/status.h"
#include "pulseboard/v1/query.grpc.pb.h"
#include "server/app/exit_code.h"
#include "server/app/moment.h"
#include "server/app/query_answers.h"

namespace pulseboard {
namespace {

using google::protobuf::util::TimeUtil;

constexpr int32_t kInstants = 100;  // of a range without --step

void Print(const std::string& line) { std::printf("%s\n", line.c_str()); }

// Writes values as they come.
class Printer {
 public:
  explicit Printer(const QueryCommandOptions& options, bool instant) : format_(options.format), instant_(instant) {
    if (format_ == "csv") Print("time,series,value");
  }

  void Define(const v1::SeriesDefinition& definition) {
    const SeriesInfo info = FromProto(definition.series());
    Series& series = series_[definition.ref()];
    series.name = info.key.Format().empty() ? "{}" : info.key.Format();
    series.labels = nlohmann::json::object();
    if (!info.key.metric.empty()) series.labels[std::string(kMetricNameLabel)] = info.key.metric;
    for (const Label& label : info.key.labels) series.labels[label.name] = label.value;
  }

  void Values(const v1::SeriesColumns& column) {
    SampleColumns samples;
    if (!FromProto(column, &samples)) return;
    const Series& series = series_[column.ref()];
    if (format_ == "table" && !instant_ && column.ref() != last_ref_) Print(series.name);
    last_ref_ = column.ref();
    for (size_t i = 0; i < samples.size(); ++i) Value(series, samples.times[i], samples.values[i]);
  }

 private:
  struct Series {
    std::string name;
    nlohmann::json labels;
  };

  void Value(const Series& series, int64_t time, double value) const {
    if (format_ == "csv")
      return Print(QueryTimeText(time) + "," + QueryCsvText(series.name) + "," + QueryNumberText(value));
    if (format_ == "json") {
      nlohmann::json line = {{"time", QueryTimeText(time)}, {"labels", series.labels}};
      // JSON has no words for these.
      if (std::isfinite(value)) {
        line["value"] = value;
      } else {
        line["value"] = QueryNumberText(value);
      }
      return Print(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    }
    Print(instant_ ? series.name + "  " + QueryNumberText(value)
                   : "  " + QueryTimeText(time) + "  " + QueryNumberText(value));
  }

  const std::string format_;
  const bool instant_;
  std::map<uint32_t, Series> series_;
  uint32_t last_ref_ = 0;
};

struct Moments {
  int64_t from = 0;
  int64_t to = 0;
};

absl::StatusOr<Moments> MomentsOf(const QueryCommandOptions& options) {
  const int64_t now = SystemClock().NowUnixNanos();
  Moments out;
  PB_ASSIGN_OR_RETURN(out.to, ParseMoment("--to", options.to, now));
  out.from = out.to;
  if (!options.from.empty()) {
    PB_ASSIGN_OR_RETURN(out.from, ParseMoment("--from", options.from, now));
  }
  return out;
}

absl::StatusOr<v1::QueryExpressionRequest> MakeRequest(const QueryCommandOptions& options, Moments moments) {
  v1::QueryExpressionRequest request;
  request.set_expression(options.expression);
  request.set_dry_run(options.dry_run);
  *request.mutable_start_time() = TimeUtil::NanosecondsToTimestamp(moments.from);
  *request.mutable_end_time() = TimeUtil::NanosecondsToTimestamp(moments.to);
  if (!options.step.empty()) {
    const auto step = ParseDuration(options.step);
    if (!step || *step <= 0) return BadField("--step", options.step, "a duration such as 30s");
    *request.mutable_step() = TimeUtil::NanosecondsToDuration(*step);
  } else if (moments.from != moments.to) {
    request.set_max_points(kInstants);
  }
  return request;
}

absl::Status RunExpression(const QueryCommandOptions& options, ApiConnection& connection, Moments moments) {
  PB_ASSIGN_OR_RETURN(const v1::QueryExpressionRequest request, MakeRequest(options, moments));
  const auto stub = v1::QueryService::NewStub(connection.channel());
  grpc::ClientContext context;
  connection.Prepare(&context, std::nullopt);
  const auto reader = stub->QueryExpression(&context, request);
  std::optional<Printer> printer;
  if (!options.dry_run) printer.emplace(options, options.from.empty());
  v1::QueryExpressionResponse response;
  while (reader->Read(&response)) {
    if (response.has_estimate()) PrintEstimate(response.estimate());
    if (!printer) continue;
    if (response.has_definition()) printer->Define(response.definition());
    for (const v1::SeriesColumns& column : response.samples().columns()) printer->Values(column);
  }
  return FromGrpcStatus(reader->Finish());
}

absl::Status Run(const QueryCommandOptions& options) {
  PB_ASSIGN_OR_RETURN(const Moments moments, MomentsOf(options));
  PB_ASSIGN_OR_RETURN(const auto connection, ApiConnection::Connect(options.connection));
  if (options.table.empty() && options.histogram.empty()) return RunExpression(options, *connection, moments);
  if (options.from.empty()) return BadField("--from", "nothing", "the beginning of the range");
  return options.table.empty() ? RunHistogramQuery(options, *connection, moments.from, moments.to)
                               : RunTableQuery(options, *connection, moments.from, moments.to);
}

}  // namespace

void AddQueryCommand(CLI::App* app, QueryCommandOptions* options) {
  CLI::App* command = app->add_subcommand(
      "query", "Evaluates an expression (server/query/expression/LANGUAGE.md), or asks for a table or histogram");
  command->add_option("--server", options->connection.server, "The server")->type_name("HOST:PORT")->required();
  command->add_option("--user", options->connection.user, "Who asks")->type_name("NAME")->required();
  command->add_option("--password-file", options->connection.password_file, "Its first line is the asker's password")
      ->type_name("FILE")
      ->required();
  command->add_option("--pins", options->connection.pins_file, "Where the certificates of first visits are kept")
      ->type_name("FILE");
  CLI::Option_group* const what = command->add_option_group("what", "One of");
  what->add_option("--expression", options->expression, "What to evaluate")->type_name("TEXT");
  what->add_option("--table", options->table, "Series of which a range is told, a row each")->type_name("SELECTOR");
  what->add_option("--histogram", options->histogram, "Series whose values are counted")->type_name("SELECTOR");
  what->require_option(1);
  command->add_option("--aggregate", options->aggregates, "Columns of --table: avg, max, rate, p99 …")
      ->type_name("NAME");
  command->add_option("--by", options->by, "Labels by which --table sums series up to rows")->type_name("LABEL");
  command->add_option("--top", options->top, "Rows of --table; the rest is summed up")->type_name("COUNT");
  command->add_option("--quantile", options->quantiles, "Quantiles beside --histogram, 0 to 1")->type_name("NUMBER");
  command->add_option("--buckets", options->buckets, "Buckets of --histogram; default: 32")->type_name("COUNT");
  command->add_flag("--dry-run", options->dry_run, "Only says what it would cost");
  command->add_option("--from", options->from, "First instant: " + std::string(kMomentSpellings) + "; default: --to")
      ->type_name("TIME");
  command->add_option("--to", options->to, "Last instant")->type_name("TIME")->capture_default_str();
  command
      ->add_option("--step", options->step,
                   "From one instant to the next, default: 100 instants; a column of --histogram, default: 1h")
      ->type_name("DURATION");
  command->add_option("--format", options->format, "table, csv or json (a line per value)")
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->capture_default_str();
}

bool QueryCommandGiven(const CLI::App& app) { return app.got_subcommand("query"); }

int RunQueryCommand(const QueryCommandOptions& options) { return ExitCodeOf(Run(options)); }

}  // namespace pulseboard

#include "server/app/query_command.h"

#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/units.h"
#include "common/model/samples.h"
#include "common/wire/model.h"
#include "common/wire/status.h"
#include "pulseboard/v1/query.grpc.pb.h"
#include "server/app/exit_code.h"
#include "server/app/moment.h"

namespace pulseboard {
namespace {

using google::protobuf::util::TimeUtil;

constexpr int32_t kInstants = 100;  // of a range without --step

std::string TimeText(int64_t unix_nanos) { return TimeUtil::ToString(TimeUtil::NanosecondsToTimestamp(unix_nanos)); }

std::string NumberText(double value) {
  if (std::isnan(value)) return "NaN";
  char text[32];
  return {text, std::to_chars(text, text + sizeof(text), value).ptr};
}

std::string CsvText(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

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
    if (format_ == "csv") return Print(TimeText(time) + "," + CsvText(series.name) + "," + NumberText(value));
    if (format_ == "json") {
      nlohmann::json line = {{"time", TimeText(time)}, {"labels", series.labels}};
      // JSON has no words for these.
      if (std::isfinite(value)) {
        line["value"] = value;
      } else {
        line["value"] = NumberText(value);
      }
      return Print(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    }
    Print(instant_ ? series.name + "  " + NumberText(value) : "  " + TimeText(time) + "  " + NumberText(value));
  }

  const std::string format_;
  const bool instant_;
  std::map<uint32_t, Series> series_;
  uint32_t last_ref_ = 0;
};

absl::StatusOr<v1::QueryExpressionRequest> MakeRequest(const QueryCommandOptions& options) {
  const int64_t now = SystemClock().NowUnixNanos();
  PB_ASSIGN_OR_RETURN(const int64_t to, ParseMoment("--to", options.to, now));
  int64_t from = to;
  if (!options.from.empty()) {
    PB_ASSIGN_OR_RETURN(from, ParseMoment("--from", options.from, now));
  }
  v1::QueryExpressionRequest request;
  request.set_expression(options.expression);
  *request.mutable_start_time() = TimeUtil::NanosecondsToTimestamp(from);
  *request.mutable_end_time() = TimeUtil::NanosecondsToTimestamp(to);
  if (!options.step.empty()) {
    const auto step = ParseDuration(options.step);
    if (!step || *step <= 0) return BadField("--step", options.step, "a duration such as 30s");
    *request.mutable_step() = TimeUtil::NanosecondsToDuration(*step);
  } else if (from != to) {
    request.set_max_points(kInstants);
  }
  return request;
}

absl::Status Run(const QueryCommandOptions& options) {
  PB_ASSIGN_OR_RETURN(const v1::QueryExpressionRequest request, MakeRequest(options));
  PB_ASSIGN_OR_RETURN(const auto connection, ApiConnection::Connect(options.connection));
  const auto stub = v1::QueryService::NewStub(connection->channel());
  grpc::ClientContext context;
  connection->Prepare(&context, std::nullopt);
  const auto reader = stub->QueryExpression(&context, request);
  Printer printer(options, options.from.empty());
  v1::QueryExpressionResponse response;
  while (reader->Read(&response)) {
    if (response.has_definition()) printer.Define(response.definition());
    for (const v1::SeriesColumns& column : response.samples().columns()) printer.Values(column);
  }
  return FromGrpcStatus(reader->Finish());
}

}  // namespace

void AddQueryCommand(CLI::App* app, QueryCommandOptions* options) {
  CLI::App* command = app->add_subcommand("query", "Evaluates an expression (server/query/expression/LANGUAGE.md)");
  command->add_option("--server", options->connection.server, "The server")->type_name("HOST:PORT")->required();
  command->add_option("--user", options->connection.user, "Who asks")->type_name("NAME")->required();
  command->add_option("--password-file", options->connection.password_file, "Its first line is the asker's password")
      ->type_name("FILE")
      ->required();
  command->add_option("--pins", options->connection.pins_file, "Where the certificates of first visits are kept")
      ->type_name("FILE");
  command->add_option("--expression", options->expression, "What to evaluate")->type_name("TEXT")->required();
  command->add_option("--from", options->from, "First instant: " + std::string(kMomentSpellings) + "; default: --to")
      ->type_name("TIME");
  command->add_option("--to", options->to, "Last instant")->type_name("TIME")->capture_default_str();
  command->add_option("--step", options->step, "From one instant to the next; default: 100 instants")
      ->type_name("DURATION");
  command->add_option("--format", options->format, "table, csv or json (a line per value)")
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->capture_default_str();
}

bool QueryCommandGiven(const CLI::App& app) { return app.got_subcommand("query"); }

int RunQueryCommand(const QueryCommandOptions& options) { return ExitCodeOf(Run(options)); }

}  // namespace pulseboard

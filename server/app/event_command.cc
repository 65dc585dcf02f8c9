#include "server/app/event_command.h"

#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/wire/status.h"
#include "pulseboard/v1/events.grpc.pb.h"
#include "server/app/exit_code.h"
#include "server/app/moment.h"

namespace pulseboard {
namespace {

using google::protobuf::util::TimeUtil;
using Action = EventCommandOptions::Action;

const std::map<std::string, v1::EventSeverity>& Severities() {
  static const std::map<std::string, v1::EventSeverity> names = {{"debug", v1::EVENT_SEVERITY_DEBUG},
                                                                 {"info", v1::EVENT_SEVERITY_INFO},
                                                                 {"warning", v1::EVENT_SEVERITY_WARNING},
                                                                 {"error", v1::EVENT_SEVERITY_ERROR},
                                                                 {"critical", v1::EVENT_SEVERITY_CRITICAL}};
  return names;
}

std::string SeverityName(v1::EventSeverity severity) {
  for (const auto& [name, number] : Severities()) {
    if (number == severity) return name;
  }
  return "unknown";
}

void PrintEvent(const v1::Event& event, const std::string& format) {
  std::map<std::string, std::string> labels(event.labels().begin(), event.labels().end());
  if (format == "json") {
    const nlohmann::json line = {{"id", event.event_id()},
                                 {"time", TimeUtil::ToString(event.time())},
                                 {"severity", SeverityName(event.severity())},
                                 {"source", event.source()},
                                 {"labels", labels},
                                 {"text", event.text()}};
    std::printf("%s\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return;
  }
  std::string who = event.source();
  std::string separator = "{";
  for (const auto& [name, value] : labels) {
    who += separator + name + "=\"" + value + "\"";
    separator = ",";
  }
  if (!labels.empty()) who += "}";
  // Control bytes of a log line are not for the terminal.
  std::string text = event.text();
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  std::printf("%s %-8s %s: %s\n", TimeUtil::ToString(event.time()).c_str(), SeverityName(event.severity()).c_str(),
              who.c_str(), text.c_str());
}

absl::Status Push(const EventCommandOptions& options, ApiConnection* connection) {
  v1::PushEventsRequest request;
  request.set_request_id(options.request_id);
  v1::Event* event = request.add_events();
  event->set_source(options.source);
  event->set_text(options.text);
  if (!options.severity.empty()) event->set_severity(Severities().at(options.severity));
  for (const std::string& label : options.labels) {
    const size_t equals = label.find('=');
    if (equals == std::string::npos) return BadField("--label", label, "name=value");
    (*event->mutable_labels())[label.substr(0, equals)] = label.substr(equals + 1);
  }
  if (options.time != "now") {
    PB_ASSIGN_OR_RETURN(const int64_t time, ParseMoment("--time", options.time, SystemClock().NowUnixNanos()));
    *event->mutable_time() = TimeUtil::NanosecondsToTimestamp(time);
  }
  grpc::ClientContext context;
  connection->Prepare(&context);
  v1::PushEventsResponse response;
  PB_RETURN_IF_ERROR(
      FromGrpcStatus(v1::EventService::NewStub(connection->channel())->PushEvents(&context, request, &response)));
  std::printf("event %lld%s\n", static_cast<long long>(response.event_ids(0)),
              response.duplicate() ? " (pushed before)" : "");
  return absl::OkStatus();
}

v1::EventFilter Filter(const EventCommandOptions& options) {
  v1::EventFilter filter;
  filter.set_selector(options.selector);
  filter.set_text_contains(options.contains);
  if (!options.severity.empty()) filter.set_min_severity(Severities().at(options.severity));
  return filter;
}

// Prints what there is, and returns where following goes on.
absl::StatusOr<std::string> List(const EventCommandOptions& options, ApiConnection* connection) {
  const int64_t now = SystemClock().NowUnixNanos();
  v1::ListEventsRequest request;
  *request.mutable_filter() = Filter(options);
  PB_ASSIGN_OR_RETURN(const int64_t from, ParseMoment("--from", options.from, now));
  *request.mutable_start_time() = TimeUtil::NanosecondsToTimestamp(from);
  if (!options.to.empty()) {
    PB_ASSIGN_OR_RETURN(const int64_t to, ParseMoment("--to", options.to, now));
    *request.mutable_end_time() = TimeUtil::NanosecondsToTimestamp(to);
  }
  const auto stub = v1::EventService::NewStub(connection->channel());
  std::string position;
  request.set_page_size(1'000);
  for (int64_t left = options.limit; left > 0;) {
    grpc::ClientContext context;
    connection->Prepare(&context);
    v1::ListEventsResponse response;
    PB_RETURN_IF_ERROR(FromGrpcStatus(stub->ListEvents(&context, request, &response)));
    for (const v1::Event& event : response.events()) {
      if (left-- == 0) break;
      PrintEvent(event, options.format);
    }
    position = response.resume_token();
    if (response.next_page_token().empty()) break;
    if (left <= 0) std::fprintf(stderr, "pulseboardd: there are more events; see --limit\n");
    request.set_page_token(response.next_page_token());
  }
  return position;
}

absl::Status Watch(const EventCommandOptions& options, ApiConnection* connection) {
  v1::SubscribeEventsRequest request;
  *request.mutable_filter() = Filter(options);
  PB_ASSIGN_OR_RETURN(*request.mutable_resume_token(), List(options, connection));
  grpc::ClientContext context;
  connection->Prepare(&context, std::nullopt);
  const auto reader = v1::EventService::NewStub(connection->channel())->SubscribeEvents(&context, request);
  v1::SubscribeEventsResponse response;
  while (reader->Read(&response)) {
    for (const v1::Event& event : response.events()) PrintEvent(event, options.format);
    std::fflush(stdout);
  }
  return FromGrpcStatus(reader->Finish());
}

absl::Status Run(const EventCommandOptions& options) {
  PB_ASSIGN_OR_RETURN(const auto connection, ApiConnection::Connect(options.connection));
  if (options.action == Action::kPush) return Push(options, connection.get());
  if (options.action == Action::kWatch) return Watch(options, connection.get());
  return List(options, connection.get()).status();
}

CLI::App* AddAction(CLI::App* parent, const char* name, const char* help, Action action, EventCommandOptions* options) {
  CLI::App* command = parent->add_subcommand(name, help);
  command->callback([options, action] { options->action = action; });
  command->add_option("--server", options->connection.server, "The server")->type_name("HOST:PORT")->required();
  command->add_option("--user", options->connection.user, "Who asks")->type_name("NAME")->required();
  command->add_option("--password-file", options->connection.password_file, "Its first line is the asker's password")
      ->type_name("FILE")
      ->required();
  command->add_option("--pins", options->connection.pins_file, "Where the certificates of first visits are kept")
      ->type_name("FILE");
  std::vector<std::string> severities;
  for (const auto& [severity, number] : Severities()) severities.push_back(severity);
  command->add_option("--severity", options->severity, action == Action::kPush ? "Default: info" : "The least")
      ->check(CLI::IsMember(severities));
  return command;
}

void AddFilter(CLI::App* command, EventCommandOptions* options) {
  command->add_option("--selector", options->selector, "Sources and labels, as in deploy{service=\"api\"}");
  command->add_option("--contains", options->contains, "Part of the text, whatever the case")->type_name("TEXT");
  command->add_option("--from", options->from, std::string(kMomentSpellings))->type_name("TIME")->capture_default_str();
  command->add_option("--limit", options->limit, "Most events to list")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--format", options->format, "table or json (a line per event)")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
}

}  // namespace

void AddEventCommand(CLI::App* app, EventCommandOptions* options) {
  CLI::App* event = app->add_subcommand("event", "Pushes, lists or follows events: deploys, failures, log lines");
  event->require_subcommand(1);
  CLI::App* push = AddAction(event, "push", "Pushes one event", Action::kPush, options);
  push->add_option("--source", options->source, "What it comes from, spelled like a metric")->required();
  push->add_option("--text", options->text, "What happened")->required();
  push->add_option("--label", options->labels, "May be given again")->type_name("NAME=VALUE")->allow_extra_args(false);
  push->add_option("--time", options->time, std::string(kMomentSpellings))->type_name("TIME")->capture_default_str();
  push->add_option("--request-id", options->request_id, "Makes it harmless to push again")->type_name("TEXT");
  CLI::App* list = AddAction(event, "list", "Lists events of a time, oldest first", Action::kList, options);
  AddFilter(list, options);
  list->add_option("--to", options->to, "As --from; default: no end")->type_name("TIME");
  CLI::App* watch = AddAction(event, "watch", "Lists events and follows what comes", Action::kWatch, options);
  AddFilter(watch, options);
}

bool EventCommandGiven(const CLI::App& app) { return app.got_subcommand("event"); }

int RunEventCommand(const EventCommandOptions& options) { return ExitCodeOf(Run(options)); }

}  // namespace pulseboard

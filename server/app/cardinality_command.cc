#include "server/app/cardinality_command.h"

#include <cstdio>

#include "common/base/errors.h"
#include "common/wire/status.h"
#include "pulseboard/v1/query.grpc.pb.h"

namespace pulseboard {
namespace {

absl::StatusOr<v1::CardinalityOrder> ParseOrder(const std::string& text) {
  if (text == "series") return v1::CARDINALITY_ORDER_SERIES;
  if (text == "hour") return v1::CARDINALITY_ORDER_CREATED_LAST_HOUR;
  if (text == "day") return v1::CARDINALITY_ORDER_CREATED_LAST_DAY;
  return BadField("--order", text, "series, hour or day");
}

void PrintRow(const v1::SeriesCounts& counts, const std::string& values, const std::string& name) {
  std::printf("%12lld %14lld %14lld %10s  %s\n", static_cast<long long>(counts.series_count()),
              static_cast<long long>(counts.created_last_hour_count()),
              static_cast<long long>(counts.created_last_day_count()), values.c_str(), name.c_str());
}

void PrintHeading(const char* what) {
  std::printf("\n%12s %14s %14s %10s  %s\n", "series", "new in 1 h", "new in 24 h", "values", what);
}

absl::Status Run(const CardinalityCommandOptions& options) {
  v1::GetCardinalityRequest request;
  request.set_selector(options.selector);
  request.set_limit(options.limit);
  PB_ASSIGN_OR_RETURN(const v1::CardinalityOrder order, ParseOrder(options.order));
  request.set_order(order);
  PB_ASSIGN_OR_RETURN(const auto connection, ApiConnection::Connect(options.connection));
  grpc::ClientContext context;
  connection->Prepare(&context);
  v1::GetCardinalityResponse answer;
  const auto stub = v1::QueryService::NewStub(connection->channel());
  PB_RETURN_IF_ERROR(FromGrpcStatus(stub->GetCardinality(&context, request, &answer)));
  const v1::SeriesCounts& total = answer.total();
  std::printf("%lld series, %lld new in 1 h, %lld new in 24 h\n", static_cast<long long>(total.series_count()),
              static_cast<long long>(total.created_last_hour_count()),
              static_cast<long long>(total.created_last_day_count()));
  PrintHeading("metric");
  for (const v1::NameCardinality& metric : answer.metrics()) PrintRow(metric.counts(), "", metric.name());
  PrintHeading("label");
  for (const v1::NameCardinality& label : answer.labels()) {
    PrintRow(label.counts(), std::to_string(label.value_count()), label.name());
  }
  PrintHeading("label value");
  for (const v1::LabelValueCardinality& value : answer.label_values()) {
    PrintRow(value.counts(), "", value.label() + "=\"" + Printable(value.value(), 256) + "\"");
  }
  return absl::OkStatus();
}

}  // namespace

int RunCardinalityCommand(const CardinalityCommandOptions& options) {
  const absl::Status status = Run(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "pulseboardd cardinality: %s\n", StatusMessage(status).c_str());
  return 1;
}

}  // namespace pulseboard

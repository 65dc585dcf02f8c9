#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <utility>

#include "common/base/errors.h"
#include "common/wire/model.h"
#include "common/wire/status.h"
#include "pulseboard/v1/query.grpc.pb.h"
#include "server/query/columns/column_cursor.h"
#include "server/query/expression/expression_cursor.h"
#include "server/query/query_engine.h"
#include "server/query/range_cursor.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/data_wire.h"
#include "server/rpc/query_stream.h"
#include "server/rpc/query_wire.h"
#include "server/rpc/services.h"

namespace pulseboard {
namespace {

void ToProto(const MetricsPage& page, v1::ListMetricsResponse* out) {
  for (const MetricSummary& metric : page.metrics) {
    v1::MetricDescriptor* to = out->add_metrics();
    to->set_name(metric.name);
    to->set_kind(pulseboard::ToProto(metric.metadata.kind));
    to->set_unit(metric.metadata.unit);
    to->set_description(metric.metadata.description);
    to->set_series_count(metric.series_count);
  }
  out->set_next_page_token(page.next_page_token);
}

void ToProto(const SeriesPage& page, v1::ListSeriesResponse* out) {
  for (const auto& info : page.series) pulseboard::ToProto(*info, out->add_series());
  out->set_next_page_token(page.next_page_token);
}

void ToProto(const LabelValuesPage& page, v1::ListLabelValuesResponse* out) {
  for (const LabelValueCount& value : page.values) {
    v1::LabelValue* to = out->add_values();
    to->set_value(value.value);
    to->set_series_count(value.series_count);
  }
  out->set_next_page_token(page.next_page_token);
}

void ToProto(const SeriesCounts& counts, v1::SeriesCounts* out) {
  out->set_series_count(counts.series);
  out->set_created_last_hour_count(counts.created_last_hour);
  out->set_created_last_day_count(counts.created_last_day);
}

void ToProto(const CardinalityReport& report, v1::GetCardinalityResponse* out) {
  ToProto(report.total, out->mutable_total());
  for (const CardinalityEntry& metric : report.metrics) {
    v1::NameCardinality* to = out->add_metrics();
    to->set_name(metric.value);
    ToProto(metric.counts, to->mutable_counts());
  }
  for (const CardinalityEntry& label : report.labels) {
    v1::NameCardinality* to = out->add_labels();
    to->set_name(label.label);
    to->set_value_count(label.value_count);
    ToProto(label.counts, to->mutable_counts());
  }
  for (const CardinalityEntry& value : report.label_values) {
    v1::LabelValueCardinality* to = out->add_label_values();
    to->set_label(value.label);
    to->set_value(value.value);
    ToProto(value.counts, to->mutable_counts());
  }
}

absl::StatusOr<CardinalityOrder> FromProto(v1::CardinalityOrder order) {
  switch (order) {
    case v1::CARDINALITY_ORDER_UNSPECIFIED:
    case v1::CARDINALITY_ORDER_SERIES:
      return CardinalityOrder::kSeries;
    case v1::CARDINALITY_ORDER_CREATED_LAST_HOUR:
      return CardinalityOrder::kCreatedLastHour;
    case v1::CARDINALITY_ORDER_CREATED_LAST_DAY:
      return CardinalityOrder::kCreatedLastDay;
    default:
      return BadField("order", std::to_string(static_cast<int>(order)), "a CardinalityOrder");
  }
}

void ToProto(const LatestSamples& latest, v1::QueryLatestResponse* out) {
  for (const LatestSample& sample : latest.samples) {
    v1::LatestSample* to = out->add_samples();
    pulseboard::ToProto(*sample.series, to->mutable_series());
    to->set_time_unix_nanos(sample.sample.time_unix_nanos);
    to->set_value(sample.sample.value);
  }
  out->set_commit_sequence(latest.commit_sequence);
}

template <typename Request>
PageRequest ToPageRequest(const Request& request) {
  return {request.selector(), request.page_size(), request.page_token()};
}

// One unary call: its work runs on the engine's pool and is cancelled with it. Owns itself until OnDone.
class QueryReactor final : public grpc::ServerUnaryReactor, public std::enable_shared_from_this<QueryReactor> {
 public:
  using Work = std::function<absl::Status(const QueryContext&)>;

  static QueryReactor* Start(grpc::CallbackServerContext* context, const Authenticator& authenticator,
                             QueryEngine& engine, Work work, bool may_be_quick = false) {
    auto self = std::make_shared<QueryReactor>();
    self->self_ = self;
    if (absl::Status status = self->Begin(*context, authenticator, engine, std::move(work), may_be_quick);
        !status.ok()) {
      self->Finish(ToGrpcStatus(status));
    }
    return self.get();
  }

  void OnCancel() override { cancellation_->Cancel(); }
  void OnDone() override { const auto keep = std::move(self_); }

 private:
  absl::Status Begin(const grpc::CallbackServerContext& context, const Authenticator& authenticator,
                     QueryEngine& engine, Work work, bool may_be_quick) {
    PB_ASSIGN_OR_RETURN(const Principal principal, authenticator.Authenticate(context, Right::kRead));
    PB_ASSIGN_OR_RETURN(auto ticket, engine.Admit(principal.tenant));
    QueryContext query{principal.tenant, engine.Deadline(RemainingNanos(context)), cancellation_, ticket->usage()};
    absl::Status status;
    const auto try_here = [&](QueryHere* here) {
      query.here = here;
      status = work(query);
      return true;
    };
    if (may_be_quick && ticket->TryHere(try_here)) {
      ticket = nullptr;
      Finish(ToGrpcStatus(status));
      return absl::OkStatus();
    }
    query.here = nullptr;
    // The ticket goes with the job: its place is free again as soon as the work is done.
    const bool queued = ticket->Run([self = shared_from_this(), ticket, query, work = std::move(work)] {
      self->Finish(ToGrpcStatus(work(query)));
    });
    if (!queued) return MakeError(ErrorReason::kShuttingDown, "the server is shutting down; ask again");
    return absl::OkStatus();
  }

  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
  std::shared_ptr<QueryReactor> self_;
};

class QueryService final : public v1::QueryService::CallbackService {
 public:
  QueryService(const Authenticator& authenticator, QueryEngine& engine, StreamRegistry& streams)
      : authenticator_(authenticator), engine_(engine), streams_(streams) {}

  grpc::ServerUnaryReactor* ListMetrics(grpc::CallbackServerContext* context, const v1::ListMetricsRequest* request,
                                        v1::ListMetricsResponse* response) override {
    return Run(context, response, [this, request](const QueryContext& query) {
      return engine_.ListMetrics(query, ToPageRequest(*request));
    });
  }

  grpc::ServerUnaryReactor* ListSeries(grpc::CallbackServerContext* context, const v1::ListSeriesRequest* request,
                                       v1::ListSeriesResponse* response) override {
    return Run(context, response, [this, request](const QueryContext& query) {
      return engine_.ListSeries(query, ToPageRequest(*request));
    });
  }

  grpc::ServerUnaryReactor* ListLabelValues(grpc::CallbackServerContext* context,
                                            const v1::ListLabelValuesRequest* request,
                                            v1::ListLabelValuesResponse* response) override {
    return Run(context, response, [this, request](const QueryContext& query) {
      return engine_.ListLabelValues(query, request->label(), ToPageRequest(*request));
    });
  }

  grpc::ServerUnaryReactor* GetCardinality(grpc::CallbackServerContext* context,
                                           const v1::GetCardinalityRequest* request,
                                           v1::GetCardinalityResponse* response) override {
    return Run(context, response, [this, request](const QueryContext& query) -> absl::StatusOr<CardinalityReport> {
      PB_ASSIGN_OR_RETURN(const CardinalityOrder order, FromProto(request->order()));
      return engine_.GetCardinality(query, {request->selector(), order, request->limit()});
    });
  }

  grpc::ServerUnaryReactor* QueryLatest(grpc::CallbackServerContext* context, const v1::QueryLatestRequest* request,
                                        v1::QueryLatestResponse* response) override {
    return Run(
        context, response,
        [this, request](const QueryContext& query) { return engine_.QueryLatest(query, request->selector()); },
        /*may_be_quick=*/true);
  }

  grpc::ServerWriteReactor<v1::QueryRangeResponse>* QueryRange(grpc::CallbackServerContext* context,
                                                               const v1::QueryRangeRequest* request) override {
    const int64_t now = engine_.clock().NowUnixNanos();
    const bool dry_run = request->dry_run(), join = request->join_small();
    if (HasTimeColumns(*request)) {
      return Stream<v1::QueryRangeResponse>(
          context, ColumnsFromProto(*request, now),
          [this, dry_run](const QueryContext& query, const ColumnsRequest& columns) -> Source {
            if (dry_run) return engine_.EstimateColumns(query, columns);
            return engine_.OpenColumns(query, columns);
          },
          join);
    }
    return Stream<v1::QueryRangeResponse>(
        context, pulseboard::FromProto(*request, now),
        [this, dry_run](const QueryContext& query, const RangeRequest& range) -> Source {
          if (dry_run) return engine_.EstimateRange(query, range);
          return engine_.OpenRange(query, range);
        },
        join);
  }

  grpc::ServerWriteReactor<v1::QueryExpressionResponse>* QueryExpression(
      grpc::CallbackServerContext* context, const v1::QueryExpressionRequest* request) override {
    const bool dry_run = request->dry_run();
    return Stream<v1::QueryExpressionResponse>(
        context, pulseboard::FromProto(*request, engine_.clock().NowUnixNanos()),
        [this, dry_run](const QueryContext& query, const ExpressionRequest& expression) -> Source {
          if (dry_run) return engine_.EstimateExpression(query, expression);
          return engine_.OpenExpression(query, expression);
        });
  }

  grpc::ServerUnaryReactor* QueryTable(grpc::CallbackServerContext* context, const v1::QueryTableRequest* request,
                                       v1::QueryTableResponse* response) override {
    return Run(context, response, [this, request](const QueryContext& query) -> absl::StatusOr<TableAnswer> {
      PB_ASSIGN_OR_RETURN(const TableRequest table, pulseboard::FromProto(*request, engine_.clock().NowUnixNanos()));
      return pulseboard::QueryTable(engine_, query, table, request->dry_run());
    });
  }

  grpc::ServerUnaryReactor* Forecast(grpc::CallbackServerContext* context, const v1::ForecastRequest* request,
                                     v1::ForecastResponse* response) override {
    return Run(context, response, [this, request](const QueryContext& query) -> absl::StatusOr<ForecastAnswer> {
      PB_ASSIGN_OR_RETURN(const ForecastRequest forecast,
                          pulseboard::FromProto(*request, engine_.clock().NowUnixNanos()));
      return QueryForecast(engine_, query, forecast);
    });
  }

  grpc::ServerWriteReactor<v1::QueryHistogramResponse>* QueryHistogram(
      grpc::CallbackServerContext* context, const v1::QueryHistogramRequest* request) override {
    using Reactor = AnswerStreamReactor<v1::QueryHistogramResponse>;
    absl::StatusOr<HistogramRequest> parsed = pulseboard::FromProto(*request, engine_.clock().NowUnixNanos());
    if (!parsed.ok()) return Reactor::Start(context, parsed.status(), authenticator_, engine_, streams_, ticker_);
    Reactor::Answer answer = [this, histogram = *std::move(parsed), dry_run = request->dry_run()](
                                 const QueryContext& query, std::deque<v1::QueryHistogramResponse>* out) {
      absl::StatusOr<HistogramAnswer> made = pulseboard::QueryHistogram(engine_, query, histogram, dry_run);
      if (made.ok()) ToMessages(*made, out);
      return made.status();
    };
    return Reactor::Start(context, std::move(answer), authenticator_, engine_, streams_, ticker_);
  }

 private:
  using Source = absl::StatusOr<std::unique_ptr<ChunkSource>>;

  // `read` gives a StatusOr of a value that ToProto turns into the response. Request and response live until the call
  // is finished, which is after the work.
  template <typename Response, typename Read>
  grpc::ServerUnaryReactor* Run(grpc::CallbackServerContext* context, Response* response, Read read,
                                bool may_be_quick = false) {
    const auto work = [response, read](const QueryContext& query) {
      const auto answer = read(query);
      response->Clear();
      if (answer.ok()) ToProto(*answer, response);
      return answer.status();
    };
    return QueryReactor::Start(context, authenticator_, engine_, work, may_be_quick);
  }

  // `open` makes a ChunkSource of the parsed request.
  template <typename Response, typename Request, typename Open>
  grpc::ServerWriteReactor<Response>* Stream(grpc::CallbackServerContext* context, absl::StatusOr<Request> request,
                                             Open open, bool join_small = false) {
    using Reactor = QueryStreamReactor<Response>;
    if (!request.ok()) {
      return Reactor::Start(context, request.status(), authenticator_, engine_, streams_, ticker_);
    }
    typename Reactor::Open opens = [open, parsed = *std::move(request)](
                                       const QueryContext& query) -> absl::StatusOr<std::unique_ptr<ChunkSource>> {
      return open(query, parsed);
    };
    return Reactor::Start(context, std::move(opens), authenticator_, engine_, streams_, ticker_, join_small);
  }

  const Authenticator& authenticator_;
  QueryEngine& engine_;
  StreamRegistry& streams_;
  StreamTicker ticker_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeQueryService(const Authenticator& authenticator, QueryEngine& engine,
                                                StreamRegistry& streams) {
  return std::make_unique<QueryService>(authenticator, engine, streams);
}

}  // namespace pulseboard

#include "server/rpc/query_stream.h"

#include <type_traits>
#include <utility>

#include "common/base/errors.h"
#include "common/wire/model.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/data_wire.h"
#include "server/rpc/query_wire.h"

namespace pulseboard {
namespace {

// What only ranges have.
void AddColumns(const RangeChunk& chunk, std::deque<v1::QueryRangeResponse>* out) {
  if (!chunk.bounds.empty()) ToProto(chunk.bounds, out->emplace_back().mutable_time_columns());
}
void AddColumns(const RangeChunk& /*chunk*/, std::deque<v1::QueryExpressionResponse>* /*out*/) {}

v1::SeriesDefinition* Define(const RangeSeries& definition, v1::QueryRangeResponse* out) {
  if (definition.aggregate < 0) return out->mutable_definition();
  out->mutable_aggregate_definition()->set_aggregate_index(definition.aggregate);
  out->mutable_aggregate_definition()->set_earlier(definition.earlier);
  return out->mutable_aggregate_definition()->mutable_definition();
}
v1::SeriesDefinition* Define(const RangeSeries& /*definition*/, v1::QueryExpressionResponse* out) {
  return out->mutable_definition();
}

template <typename Response>
void ToMessages(const RangeChunk& chunk, std::deque<Response>* out) {
  AddColumns(chunk, out);
  for (const RangeSeries& definition : chunk.definitions) {
    v1::SeriesDefinition* to = Define(definition, &out->emplace_back());
    to->set_ref(definition.ref);
    ToProto(*definition.series, to->mutable_series());
  }
  if (!chunk.columns.empty()) {
    v1::SampleFrame* frame = out->emplace_back().mutable_samples();
    for (const RangeColumn& column : chunk.columns) {
      ToProto(column.samples, 0, column.samples.size(), column.ref, frame->add_columns());
    }
  }
  if (chunk.estimate != nullptr) ToProto(*chunk.estimate, out->emplace_back().mutable_estimate());
  if (chunk.summary) ToProto(*chunk.summary, out->emplace_back().mutable_summary());
}

void Join(std::deque<v1::QueryRangeResponse>* messages) {
  v1::QueryRangeResponse joined;
  for (v1::QueryRangeResponse& message : *messages) *joined.mutable_joined()->add_chunks() = std::move(message);
  messages->clear();
  messages->push_back(std::move(joined));
}
void Join(std::deque<v1::QueryExpressionResponse>* /*messages*/) {}

}  // namespace

template <typename Response>
QueryStreamReactor<Response>* QueryStreamReactor<Response>::Start(grpc::CallbackServerContext* context,
                                                                  absl::StatusOr<Open> open,
                                                                  const Authenticator& authenticator,
                                                                  QueryEngine& engine, StreamRegistry& streams,
                                                                  StreamTicker& ticker, bool join_small) {
  auto self =
      std::shared_ptr<QueryStreamReactor>(new QueryStreamReactor(context, authenticator, engine, streams, ticker));
  self->join_small_ = join_small;
  self->Begin([&]() -> absl::StatusOr<TenantId> {
    PB_ASSIGN_OR_RETURN(const Principal principal, authenticator.Authenticate(*context, Right::kRead));
    PB_ASSIGN_OR_RETURN(self->open_, std::move(open));
    self->query_ = {principal.tenant, engine.Deadline(RemainingNanos(*context)), self->cancellation()};
    return principal.tenant;
  });
  return self.get();
}

template <typename Response>
absl::Status QueryStreamReactor<Response>::ReadChunk(const QueryContext& query, std::deque<Response>* out, bool* last) {
  if (source_ == nullptr) {
    PB_ASSIGN_OR_RETURN(source_, open_(query));
  }
  PB_ASSIGN_OR_RETURN(const RangeChunk chunk, source_->Next());
  ToMessages(chunk, out);
  *last = chunk.summary.has_value();
  int64_t bytes = 0;
  for (const Response& message : *out) bytes += static_cast<int64_t>(message.ByteSizeLong());
  if (std::exchange(first_piece_, false) && *last && join_small_ &&
      bytes < static_cast<int64_t>(this->kSmallAnswerBytes)) {
    Join(out);
  }
  return this->engine().Charge(query, UsageKind::kAnswerBytes, bytes);
}

template <typename Response>
absl::Status QueryStreamReactor<Response>::ReadMessages(std::deque<Response>* out, bool* last) {
  query_.usage = this->usage();
  return ReadChunk(query_, out, last);
}

template <typename Response>
bool QueryStreamReactor<Response>::ReadHere(QueryHere* here, std::deque<Response>* out, absl::Status* status) {
  if constexpr (!std::is_same_v<Response, v1::QueryRangeResponse>) return false;
  QueryContext query = query_;
  query.usage = this->usage();
  query.here = here;
  bool last = false;
  *status = ReadChunk(query, out, &last);
  source_ = nullptr;
  first_piece_ = true;
  return last || !status->ok();
}

template <typename Response>
AnswerStreamReactor<Response>* AnswerStreamReactor<Response>::Start(grpc::CallbackServerContext* context,
                                                                    absl::StatusOr<Answer> answer,
                                                                    const Authenticator& authenticator,
                                                                    QueryEngine& engine, StreamRegistry& streams,
                                                                    StreamTicker& ticker) {
  auto self =
      std::shared_ptr<AnswerStreamReactor>(new AnswerStreamReactor(context, authenticator, engine, streams, ticker));
  self->Begin([&]() -> absl::StatusOr<TenantId> {
    PB_ASSIGN_OR_RETURN(const Principal principal, authenticator.Authenticate(*context, Right::kRead));
    PB_ASSIGN_OR_RETURN(self->answer_, std::move(answer));
    self->query_ = {principal.tenant, engine.Deadline(RemainingNanos(*context)), self->cancellation()};
    return principal.tenant;
  });
  return self.get();
}

template class AnswerStreamReactor<v1::QueryHistogramResponse>;
template class QueryStreamReactor<v1::QueryRangeResponse>;
template class QueryStreamReactor<v1::QueryExpressionResponse>;

}  // namespace pulseboard

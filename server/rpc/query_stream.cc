#include "server/rpc/query_stream.h"

#include <utility>

#include "common/base/errors.h"
#include "common/wire/model.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/data_wire.h"

namespace pulseboard {
namespace {

// What only one of the two kinds of summary has.
void AddDetails(const RangeSummary& summary, v1::QueryRangeSummary* out) {
  out->set_scanned_rollup_count(summary.scanned_rollup_count);
  out->set_bucket_nanos(summary.bucket_ns);
  out->set_column_nanos(summary.column_ns);
}
void AddDetails(const RangeSummary& summary, v1::QueryExpressionSummary* out) {
  out->mutable_step()->set_seconds(summary.step_ns / kNanosPerSecond);
  out->mutable_step()->set_nanos(static_cast<int32_t>(summary.step_ns % kNanosPerSecond));
}

template <typename Response>
void ToMessages(const RangeChunk& chunk, std::deque<Response>* out) {
  for (const RangeSeries& definition : chunk.definitions) {
    v1::SeriesDefinition* to = out->emplace_back().mutable_definition();
    to->set_ref(definition.ref);
    ToProto(*definition.series, to->mutable_series());
  }
  if (!chunk.columns.empty()) {
    v1::SampleFrame* frame = out->emplace_back().mutable_samples();
    for (const RangeColumn& column : chunk.columns) {
      ToProto(column.samples, 0, column.samples.size(), column.ref, frame->add_columns());
    }
  }
  if (!chunk.summary) return;
  auto* const summary = out->emplace_back().mutable_summary();
  summary->set_series_count(chunk.summary->series_count);
  summary->set_sample_count(chunk.summary->sample_count);
  summary->set_scanned_sample_count(chunk.summary->scanned_sample_count);
  summary->set_commit_sequence(chunk.summary->commit_sequence);
  AddDetails(*chunk.summary, summary);
}

}  // namespace

template <typename Response>
QueryStreamReactor<Response>* QueryStreamReactor<Response>::Start(grpc::CallbackServerContext* context,
                                                                  absl::StatusOr<Open> open,
                                                                  const Authenticator& authenticator,
                                                                  QueryEngine& engine, StreamRegistry& streams,
                                                                  StreamTicker& ticker) {
  auto self =
      std::shared_ptr<QueryStreamReactor>(new QueryStreamReactor(context, authenticator, engine, streams, ticker));
  self->Begin([&]() -> absl::Status {
    PB_ASSIGN_OR_RETURN(const Principal principal, authenticator.Authenticate(*context, Right::kRead));
    PB_ASSIGN_OR_RETURN(self->open_, std::move(open));
    self->query_ = {principal.tenant, engine.Deadline(RemainingNanos(*context)), self->cancellation()};
    return absl::OkStatus();
  });
  return self.get();
}

template <typename Response>
absl::Status QueryStreamReactor<Response>::ReadMessages(std::deque<Response>* out, bool* last) {
  if (source_ == nullptr) {
    PB_ASSIGN_OR_RETURN(source_, open_(query_));
  }
  PB_ASSIGN_OR_RETURN(const RangeChunk chunk, source_->Next());
  ToMessages(chunk, out);
  *last = chunk.summary.has_value();
  return absl::OkStatus();
}

template class QueryStreamReactor<v1::QueryRangeResponse>;
template class QueryStreamReactor<v1::QueryExpressionResponse>;

}  // namespace pulseboard

#include "server/rpc/query_stream.h"

#include <utility>

#include "common/base/errors.h"
#include "common/wire/model.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/data_wire.h"

namespace pulseboard {
namespace {

void ToMessages(const RangeChunk& chunk, std::deque<v1::QueryRangeResponse>* out) {
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
  v1::QueryRangeSummary* summary = out->emplace_back().mutable_summary();
  summary->set_series_count(chunk.summary->series_count);
  summary->set_sample_count(chunk.summary->sample_count);
  summary->set_scanned_sample_count(chunk.summary->scanned_sample_count);
  summary->set_commit_sequence(chunk.summary->commit_sequence);
  summary->set_scanned_rollup_count(chunk.summary->scanned_rollup_count);
  summary->set_bucket_nanos(chunk.summary->bucket_ns);
  summary->set_column_nanos(chunk.summary->column_ns);
}

}  // namespace

QueryRangeReactor* QueryRangeReactor::Start(grpc::CallbackServerContext* context, const v1::QueryRangeRequest& request,
                                            const Authenticator& authenticator, QueryEngine& engine,
                                            StreamRegistry& streams, StreamTicker& ticker) {
  auto self =
      std::shared_ptr<QueryRangeReactor>(new QueryRangeReactor(context, authenticator, engine, streams, ticker));
  self->Begin([&]() -> absl::Status {
    PB_ASSIGN_OR_RETURN(const Principal principal, authenticator.Authenticate(*context, Right::kRead));
    PB_ASSIGN_OR_RETURN(self->range_, FromProto(request, engine.clock().NowUnixNanos()));
    self->query_ = {principal.tenant, engine.Deadline(RemainingNanos(*context)), self->cancellation()};
    return absl::OkStatus();
  });
  return self.get();
}

absl::Status QueryRangeReactor::ReadMessages(std::deque<v1::QueryRangeResponse>* out, bool* last) {
  if (cursor_ == nullptr) {
    PB_ASSIGN_OR_RETURN(cursor_, engine().OpenRange(query_, range_));
  }
  PB_ASSIGN_OR_RETURN(const RangeChunk chunk, cursor_->Next());
  ToMessages(chunk, out);
  *last = chunk.summary.has_value();
  return absl::OkStatus();
}

}  // namespace pulseboard

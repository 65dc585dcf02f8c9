#include "server/rpc/query_stream.h"

#include <utility>

#include "common/base/errors.h"
#include "common/wire/model.h"
#include "common/wire/status.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/data_wire.h"

namespace pulseboard {
namespace {

absl::Status ShuttingDown() { return MakeError(ErrorReason::kShuttingDown, "the server is shutting down; ask again"); }

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
  self->self_ = self;
  if (const absl::Status status = self->Begin(*context, request, authenticator); !status.ok()) self->End(status);
  return self.get();
}

QueryRangeReactor::QueryRangeReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator,
                                     QueryEngine& engine, StreamRegistry& streams, StreamTicker& ticker)
    : engine_(engine), streams_(streams), ticker_(ticker), guard_(authenticator, context, Right::kRead) {}

absl::Status QueryRangeReactor::Begin(const grpc::CallbackServerContext& context, const v1::QueryRangeRequest& request,
                                      const Authenticator& authenticator) {
  PB_ASSIGN_OR_RETURN(const Principal principal, authenticator.Authenticate(context, Right::kRead));
  PB_ASSIGN_OR_RETURN(range_, FromProto(request, engine_.clock().NowUnixNanos()));
  query_ = {principal.tenant, engine_.Deadline(RemainingNanos(context)), cancellation_};
  PB_ASSIGN_OR_RETURN(ticket_, engine_.Admit());
  ticker_id_ = ticker_.Add(weak_from_this());
  registry_id_ = streams_.Add(weak_from_this());
  MutexLock lock(&mu_);
  RequestChunkLocked();
  return absl::OkStatus();
}

void QueryRangeReactor::RequestChunkLocked() {
  if (finished_ || reading_) return;
  reading_ = ticket_->Run([self = shared_from_this()] { self->ReadChunk(); });
  if (!reading_) EndLocked(ShuttingDown());
}

absl::Status QueryRangeReactor::ReadChunkOrFail(RangeChunk* chunk) {
  if (cursor_ == nullptr) {
    PB_ASSIGN_OR_RETURN(cursor_, engine_.OpenRange(query_, range_));
  }
  PB_ASSIGN_OR_RETURN(*chunk, cursor_->Next());
  return absl::OkStatus();
}

void QueryRangeReactor::ReadChunk() {
  RangeChunk chunk;
  const absl::Status status = ReadChunkOrFail(&chunk);
  std::deque<v1::QueryRangeResponse> messages;
  if (status.ok()) ToMessages(chunk, &messages);
  bool over = false;
  {
    MutexLock lock(&mu_);
    reading_ = false;
    if (!status.ok()) {
      EndLocked(status);
    } else if (!finished_) {
      messages_ = std::move(messages);
      last_chunk_read_ = chunk.summary.has_value();
      AdvanceLocked();
    }
    over = finished_ || last_chunk_read_;
  }
  if (over) cursor_ = nullptr;  // let go of the view here, not on an RPC thread
}

void QueryRangeReactor::AdvanceLocked() {
  if (finished_ || write_in_flight_ || reading_) return;
  if (!messages_.empty()) {
    write_in_flight_ = true;
    StartWrite(&messages_.front());
  } else if (last_chunk_read_) {
    EndLocked(absl::OkStatus());
  } else {
    RequestChunkLocked();
  }
}

void QueryRangeReactor::OnWriteDone(bool ok) {
  MutexLock lock(&mu_);
  write_in_flight_ = false;
  messages_.pop_front();
  if (!ok) {
    EndLocked(absl::CancelledError("the reader is gone"));
  } else {
    AdvanceLocked();
  }
}

void QueryRangeReactor::End(const absl::Status& status) {
  MutexLock lock(&mu_);
  EndLocked(status);
}

void QueryRangeReactor::EndLocked(const absl::Status& status) {
  if (std::exchange(finished_, true)) return;
  cancellation_->Cancel();
  guard_.NoteFinished();
  Finish(ToGrpcStatus(status));
}

void QueryRangeReactor::Drain(const absl::Status& status, bool hard) {
  if (hard) guard_.Cancel();
  End(status);
}

void QueryRangeReactor::Tick() {
  guard_.CancelIfStuck();
  if (const absl::Status session = guard_.CheckSession(); !session.ok()) End(session);
  // A reader that takes nothing keeps a view and a place: its time runs out as well.
  if (const absl::Status alive = engine_.CheckAlive(query_); !alive.ok()) End(alive);
}

void QueryRangeReactor::OnCancel() { End(absl::CancelledError("the reader cancelled")); }

void QueryRangeReactor::OnDone() {
  guard_.Forget();
  if (ticket_ != nullptr) {
    ticker_.Remove(ticker_id_);
    streams_.Remove(registry_id_);
    MutexLock lock(&mu_);
    // A view that waited for a slow reader is let go of on the pool.
    if (!reading_) reading_ = ticket_->Run([self = shared_from_this()] { self->cursor_ = nullptr; });
  }
  const auto keep = std::move(self_);  // last line: may destroy *this
}

}  // namespace pulseboard

// QueryStreamReactor: one streaming call of QueryService.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "pulseboard/v1/query.pb.h"
#include "server/query/chunk_source.h"
#include "server/query/query_engine.h"
#include "server/rpc/pooled_stream.h"

namespace pulseboard {

// Chunks of a ChunkSource as they are made; with `join_small` a small answer in one message. Response:
// v1::QueryRangeResponse or v1::QueryExpressionResponse.
template <typename Response>
class QueryStreamReactor final : public PooledStreamReactor<Response> {
 public:
  // Opens the answer, on the pool.
  using Open = std::function<absl::StatusOr<std::unique_ptr<ChunkSource>>(const QueryContext&)>;

  // `open`: or what is wrong with the request, answered to those who may ask. The other arguments outlive the call.
  static QueryStreamReactor* Start(grpc::CallbackServerContext* context, absl::StatusOr<Open> open,
                                   const Authenticator& authenticator, QueryEngine& engine, StreamRegistry& streams,
                                   StreamTicker& ticker, bool join_small = false);

 private:
  using PooledStreamReactor<Response>::PooledStreamReactor;

  absl::Status ReadMessages(std::deque<Response>* out, bool* last) override;
  // Ranges only: what an expression costs is not known before.
  bool ReadHere(QueryHere* here, std::deque<Response>* out, absl::Status* status) override;
  absl::Status ReadChunk(const QueryContext& query, std::deque<Response>* out, bool* last);
  void ReleaseView() override { source_ = nullptr; }
  absl::Status CheckAlive() const override { return this->engine().CheckAlive(query_); }

  QueryContext query_;
  Open open_;
  bool join_small_ = false;
  bool first_piece_ = true;              // the pool job's
  std::unique_ptr<ChunkSource> source_;  // the pool job's
};

// An answer that is made at once, bounded by `query.max_held_values`, and sent in several messages.
template <typename Response>
class AnswerStreamReactor final : public PooledStreamReactor<Response> {
 public:
  // Makes the messages, on the pool.
  using Answer = std::function<absl::Status(const QueryContext&, std::deque<Response>*)>;

  // See QueryStreamReactor::Start.
  static AnswerStreamReactor* Start(grpc::CallbackServerContext* context, absl::StatusOr<Answer> answer,
                                    const Authenticator& authenticator, QueryEngine& engine, StreamRegistry& streams,
                                    StreamTicker& ticker);

 private:
  using PooledStreamReactor<Response>::PooledStreamReactor;

  absl::Status ReadMessages(std::deque<Response>* out, bool* last) override {
    *last = true;
    query_.usage = this->usage();
    return answer_(query_, out);
  }
  void ReleaseView() override {}
  absl::Status CheckAlive() const override { return this->engine().CheckAlive(query_); }

  QueryContext query_;
  Answer answer_;
};

}  // namespace pulseboard

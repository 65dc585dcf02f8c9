// QueryRangeReactor: one QueryService.QueryRange call.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <deque>
#include <memory>

#include "common/base/mutex.h"
#include "pulseboard/v1/query.pb.h"
#include "server/query/query_engine.h"
#include "server/query/range_cursor.h"
#include "server/rpc/stream_guard.h"
#include "server/rpc/stream_registry.h"

namespace pulseboard {

// Reads a chunk on the engine's pool, writes its messages one by one, and only then reads the next chunk: a slow reader
// holds one chunk. Thread-safe; owns itself until OnDone.
class QueryRangeReactor final : public grpc::ServerWriteReactor<v1::QueryRangeResponse>,
                                public Drainable,
                                public TickingStream,
                                public std::enable_shared_from_this<QueryRangeReactor> {
 public:
  // The arguments outlive the call.
  static QueryRangeReactor* Start(grpc::CallbackServerContext* context, const v1::QueryRangeRequest& request,
                                  const Authenticator& authenticator, QueryEngine& engine, StreamRegistry& streams,
                                  StreamTicker& ticker);

  void Drain(const absl::Status& status, bool hard) override;
  void Tick() override;

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  QueryRangeReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator, QueryEngine& engine,
                    StreamRegistry& streams, StreamTicker& ticker);

  absl::Status Begin(const grpc::CallbackServerContext& context, const v1::QueryRangeRequest& request,
                     const Authenticator& authenticator);
  // On the pool: opens the cursor the first time, then reads a chunk.
  void ReadChunk();
  absl::Status ReadChunkOrFail(RangeChunk* chunk);
  void AdvanceLocked() PB_REQUIRES(mu_);
  void RequestChunkLocked() PB_REQUIRES(mu_);
  void End(const absl::Status& status);
  void EndLocked(const absl::Status& status) PB_REQUIRES(mu_);

  QueryEngine& engine_;
  StreamRegistry& streams_;
  StreamTicker& ticker_;
  StreamGuard guard_;
  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
  QueryContext query_;
  RangeRequest range_;
  std::shared_ptr<QueryEngine::Ticket> ticket_;  // null when the call was refused
  std::unique_ptr<RangeCursor> cursor_;          // the pool job's
  uint64_t registry_id_ = 0;
  uint64_t ticker_id_ = 0;
  std::shared_ptr<QueryRangeReactor> self_;

  Mutex mu_;
  bool finished_ PB_GUARDED_BY(mu_) = false;
  bool reading_ PB_GUARDED_BY(mu_) = false;
  bool write_in_flight_ PB_GUARDED_BY(mu_) = false;
  bool last_chunk_read_ PB_GUARDED_BY(mu_) = false;
  std::deque<v1::QueryRangeResponse> messages_ PB_GUARDED_BY(mu_);  // of the current chunk; the front one is in flight
};

}  // namespace pulseboard

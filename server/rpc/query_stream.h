// QueryRangeReactor: one QueryService.QueryRange call.
#pragma once

#include <deque>
#include <memory>

#include "pulseboard/v1/query.pb.h"
#include "server/query/query_engine.h"
#include "server/query/range_cursor.h"
#include "server/rpc/pooled_stream.h"

namespace pulseboard {

class QueryRangeReactor final : public PooledStreamReactor<v1::QueryRangeResponse> {
 public:
  // The arguments outlive the call.
  static QueryRangeReactor* Start(grpc::CallbackServerContext* context, const v1::QueryRangeRequest& request,
                                  const Authenticator& authenticator, QueryEngine& engine, StreamRegistry& streams,
                                  StreamTicker& ticker);

 private:
  using PooledStreamReactor::PooledStreamReactor;

  absl::Status ReadMessages(std::deque<v1::QueryRangeResponse>* out, bool* last) override;
  void ReleaseView() override { cursor_ = nullptr; }
  absl::Status CheckAlive() const override { return engine().CheckAlive(query_); }

  QueryContext query_;
  RangeRequest range_;
  std::unique_ptr<RangeCursor> cursor_;  // the pool job's
};

}  // namespace pulseboard

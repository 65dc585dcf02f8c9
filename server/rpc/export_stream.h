// ExportReactor: one TransferService.Export call.
#pragma once

#include <deque>
#include <memory>

#include "pulseboard/v1/transfer.pb.h"
#include "server/rpc/pooled_stream.h"
#include "server/transfer/export_cursor.h"

namespace pulseboard {

class ExportReactor final : public PooledStreamReactor<v1::ExportResponse> {
 public:
  // The arguments outlive the call.
  static ExportReactor* Start(grpc::CallbackServerContext* context, const v1::ExportRequest& request,
                              const Authenticator& authenticator, const Exporter& exporter, StreamRegistry& streams,
                              StreamTicker& ticker);

 private:
  ExportReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator, const Exporter& exporter,
                StreamRegistry& streams, StreamTicker& ticker)
      : PooledStreamReactor(context, authenticator, exporter.engine(), streams, ticker), exporter_(exporter) {}

  absl::Status ReadMessages(std::deque<v1::ExportResponse>* out, bool* last) override;
  void ReleaseView() override { cursor_ = nullptr; }
  absl::Status CheckAlive() const override { return exporter_.CheckAlive(query_); }

  const Exporter& exporter_;
  QueryContext query_;
  ExportSpec spec_;
  std::unique_ptr<ExportCursor> cursor_;  // the pool job's
};

}  // namespace pulseboard

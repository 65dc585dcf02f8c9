#include "server/rpc/export_stream.h"

#include "common/base/errors.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/data_wire.h"
#include "server/rpc/transfer_wire.h"

namespace pulseboard {

ExportReactor* ExportReactor::Start(grpc::CallbackServerContext* context, const v1::ExportRequest& request,
                                    const Authenticator& authenticator, const Exporter& exporter,
                                    StreamRegistry& streams, StreamTicker& ticker) {
  auto self = std::shared_ptr<ExportReactor>(new ExportReactor(context, authenticator, exporter, streams, ticker));
  self->Begin([&]() -> absl::StatusOr<TenantId> {
    PB_ASSIGN_OR_RETURN(const Principal principal, authenticator.Authenticate(*context, Right::kRead));
    PB_ASSIGN_OR_RETURN(self->spec_, FromProto(request, exporter.engine().clock().NowUnixNanos()));
    self->query_ = {principal.tenant, exporter.Deadline(RemainingNanos(*context)), self->cancellation()};
    return principal.tenant;
  });
  return self.get();
}

absl::Status ExportReactor::ReadMessages(std::deque<v1::ExportResponse>* out, bool* last) {
  if (cursor_ == nullptr) {
    query_.usage = usage();
    PB_ASSIGN_OR_RETURN(cursor_, exporter_.Open(query_, spec_));
  }
  v1::ExportResponse piece;
  PB_ASSIGN_OR_RETURN(const bool more, cursor_->Next(piece.mutable_data()));
  if (!piece.data().empty()) out->push_back(std::move(piece));
  *last = !more;
  if (more) return absl::OkStatus();
  const ExportSummary& summary = cursor_->summary();
  v1::ExportSummary* to = out->emplace_back().mutable_summary();
  to->set_series_count(summary.series_count);
  to->set_sample_count(summary.sample_count);
  to->set_byte_count(summary.byte_count);
  to->set_commit_sequence(summary.commit_sequence);
  return absl::OkStatus();
}

}  // namespace pulseboard

#include "server/rpc/transition_stream.h"

#include <string>
#include <utility>

#include "common/base/errors.h"
#include "server/rpc/alert_wire.h"

namespace pulseboard {
namespace {

constexpr size_t kTransitionsPerMessage = 500;

}  // namespace

TransitionStream* TransitionStream::Start(grpc::CallbackServerContext* context,
                                          const v1::WatchTransitionsRequest& request,
                                          const Authenticator& authenticator, AlertLedger& ledger,
                                          StreamRegistry& streams, StreamTicker& ticker, RunReads run) {
  auto self = std::shared_ptr<TransitionStream>(
      new TransitionStream(context, authenticator, ledger, streams, ticker, std::move(run)));
  self->Own(self);
  if (const absl::Status status = self->Watch(*context, request, authenticator); !status.ok()) self->End(status);
  return self.get();
}

absl::Status TransitionStream::Watch(const grpc::CallbackServerContext& context,
                                     const v1::WatchTransitionsRequest& request, const Authenticator& authenticator) {
  PB_ASSIGN_OR_RETURN(const Principal principal, authenticator.Authenticate(context, Right::kRead));
  tenant_ = principal.tenant;
  PB_ASSIGN_OR_RETURN(filter_, FromProto(request.filter()));
  if (request.after_sequence() < 0) {
    return BadField("after_sequence", std::to_string(request.after_sequence()), "0 or a sequence");
  }
  position_ = request.after_sequence() == 0 ? ledger_.last_sequence() : request.after_sequence();
  follower_id_ = ledger_.Follow(std::static_pointer_cast<TransitionStream>(shared_from_this()));
  Begin();
  return absl::OkStatus();
}

absl::StatusOr<bool> TransitionStream::ReadRows(v1::WatchTransitionsResponse* response, bool* more) {
  PB_ASSIGN_OR_RETURN(const std::vector<AlertTransition> transitions,
                      ledger_.ReadAfter(tenant_, filter_, kTransitionsPerMessage, &position_, more));
  for (const AlertTransition& transition : transitions) ToProto(transition, response->add_transitions());
  return !transitions.empty();
}

}  // namespace pulseboard

// Requests and events of the live service <-> values of server/live.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "pulseboard/v1/live.pb.h"
#include "server/live/hub.h"

namespace pulseboard {

// Checked by the hub.
absl::StatusOr<SubscriptionSpec> FromProto(const v1::SubscribeRequest& request, TenantId tenant);
absl::StatusOr<SubscriptionUpdate> FromProto(const v1::UpdateQueries& request);

// The SubscribeResponse that says `event`, as bytes. Samples and amends are encoded once per frame and shared by all
// messages that hold it; around them is what is this message's own: lengths, times, token. `sent_unix_nanos`: for
// frames of samples.
grpc::ByteBuffer EncodeEvent(const LiveEvent& event, int64_t sent_unix_nanos);

}  // namespace pulseboard

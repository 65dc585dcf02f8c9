// Authenticator: from call metadata to a Principal that has the right the method needs. The first line of every method.
#pragma once

#include "absl/status/statusor.h"
#include "server/identity/principal.h"

namespace grpc {
class ServerContextBase;
}

namespace pulseboard {

class SessionRegistry;

// Thread-safe; cheap (a hash and a map look-up).
class Authenticator {
 public:
  explicit Authenticator(SessionRegistry& sessions) : sessions_(sessions) {}

  // Reads `authorization: Bearer <access token>` and optional `x-pulseboard-tenant` (only ADMIN, only `_system`: reads
  // self-metrics). UNAUTHENTICATED/TOKEN_INVALID or TOKEN_EXPIRED, PERMISSION_DENIED/ROLE_TOO_LOW or TENANT_UNKNOWN.
  absl::StatusOr<Principal> Authenticate(const grpc::ServerContextBase& context, Right right) const;
  // For methods every account may call (WhoAmI, Logout, own preferences).
  absl::StatusOr<Principal> AuthenticateAny(const grpc::ServerContextBase& context) const;

 private:
  SessionRegistry& sessions_;
};

}  // namespace pulseboard

#include "server/rpc/authenticator.h"

#include <grpcpp/server_context.h>

#include <string_view>

#include "common/base/errors.h"
#include "server/identity/session_registry.h"
#include "server/identity/tenant_registry.h"

namespace pulseboard {
namespace {

constexpr char kAuthorization[] = "authorization";
constexpr char kTenant[] = "x-pulseboard-tenant";
constexpr std::string_view kScheme = "bearer ";

// Empty when the call carries none, or more than one: two answers to "who are you" are no answer.
std::string_view Metadata(const grpc::ServerContextBase& context, const char* key) {
  const auto [first, last] = context.client_metadata().equal_range(key);
  if (first == last || std::next(first) != last) return {};
  return {first->second.data(), first->second.size()};
}

bool StartsWithScheme(std::string_view value) {
  if (value.size() < kScheme.size()) return false;
  for (size_t i = 0; i < kScheme.size(); ++i) {
    const char c = value[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != kScheme[i]) return false;
  }
  return true;
}

absl::Status UnknownTenant(std::string_view name) {
  return MakeError(ErrorReason::kTenantUnknown, "no access to a tenant '" + Printable(name) + "' by this call",
                   {{"tenant", Printable(name)}});
}

absl::StatusOr<Principal> FromToken(const grpc::ServerContextBase& context, const SessionRegistry& sessions) {
  const std::string_view value = Metadata(context, kAuthorization);
  if (!StartsWithScheme(value)) {
    return MakeError(ErrorReason::kTokenInvalid, "metadata 'authorization: Bearer <access token>' is missing");
  }
  return sessions.Authenticate(value.substr(kScheme.size()));
}

}  // namespace

absl::StatusOr<Principal> Authenticator::Authenticate(const grpc::ServerContextBase& context, Right right) const {
  PB_ASSIGN_OR_RETURN(Principal principal, FromToken(context, sessions_));
  PB_RETURN_IF_ERROR(Authorize(principal, right));
  const std::string_view tenant = Metadata(context, kTenant);
  if (tenant.empty() || tenant == principal.tenant_name) return principal;
  if (tenant != kSystemTenantName) return UnknownTenant(tenant);
  PB_RETURN_IF_ERROR(Authorize(principal, Right::kReadSelfMetrics));
  if (right != Right::kRead && right != Right::kReadSelfMetrics)
    return UnknownTenant(tenant);  // only the server writes it
  principal.tenant = kSystemTenant;
  principal.tenant_name = std::string(kSystemTenantName);
  return principal;
}

absl::StatusOr<Principal> Authenticator::AuthenticateAny(const grpc::ServerContextBase& context) const {
  PB_ASSIGN_OR_RETURN(Principal principal, FromToken(context, sessions_));
  const std::string_view tenant = Metadata(context, kTenant);
  if (!tenant.empty() && tenant != principal.tenant_name) return UnknownTenant(tenant);
  return principal;
}

}  // namespace pulseboard

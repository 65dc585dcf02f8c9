#include "server/app/api_connection.h"

#include <cstdio>
#include <utility>

#include "common/base/errors.h"
#include "common/client/channel.h"
#include "common/client/pin_store.h"
#include "server/app/files.h"
#include "server/identity/secret.h"

namespace pulseboard {

absl::StatusOr<std::unique_ptr<ApiConnection>> ApiConnection::Connect(const ConnectionFlags& flags) {
  PB_ASSIGN_OR_RETURN(std::string password, ReadFirstLine(flags.password_file));
  PB_ASSIGN_OR_RETURN(
      client::PinStore pins,
      client::PinStore::Open(flags.pins_file.empty() ? client::PinStore::DefaultPath() : flags.pins_file));
  PB_ASSIGN_OR_RETURN(const client::ServerTrust trust, client::ExamineTrustingFirstUse(flags.server, pins));
  if (trust.state == client::TrustState::kFirstVisit) {
    std::fprintf(stderr, "first visit to %s: pinned certificate %s\n", flags.server.c_str(),
                 trust.certificate.fingerprint.c_str());
  }
  PB_ASSIGN_OR_RETURN(const auto channel, client::OpenChannel(flags.server, trust));
  std::unique_ptr<ApiConnection> out(new ApiConnection(channel));
  const absl::Status logged_in = out->session_.LoginAndWait({flags.user, password, ""});
  sodium_memzero(password.data(), password.size());
  PB_RETURN_IF_ERROR(logged_in);
  return out;
}

ApiConnection::ApiConnection(const std::shared_ptr<grpc::Channel>& channel)
    : channel_(channel), session_(channel, {}) {}

ApiConnection::~ApiConnection() {
  session_.LogoutAndWait().IgnoreError();  // the session ends by itself if this does not arrive
}

void ApiConnection::Prepare(grpc::ClientContext* context, std::optional<std::chrono::seconds> timeout) {
  if (timeout) context->set_deadline(std::chrono::system_clock::now() + *timeout);
  client::AddBearer(context, session_.CurrentToken());
}

}  // namespace pulseboard

#include "common/client/channel.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <openssl/x509.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include "common/base/clock.h"
#include "common/base/errors.h"

namespace pulseboard::client {
namespace {

// gRPC and OpenSSL look for the system's authorities in different ways; this makes gRPC trust what the probe trusted.
// Empty: gRPC's own default.
std::string SystemAuthorities() {
  const char* from_env = std::getenv(X509_get_default_cert_file_env());
  for (const char* path : {from_env, X509_get_default_cert_file(), "/etc/ssl/certs/ca-certificates.crt"}) {
    if (path == nullptr) continue;
    std::ifstream in(path);
    std::string pem{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (!pem.empty()) return pem;
  }
  return "";
}

// gRPC 1.51 runs callbacks on threads that live as long as any channel made a callback call. When the last such channel
// goes inside a callback (and a call's context, dropped in OnDone, may well be the last to hold one), a thread would
// join itself and the process dies of an assertion. One channel that never goes keeps those threads for ever.
void KeepCallbackThreads() {
  struct Keeper {
    std::shared_ptr<grpc::Channel> channel =
        grpc::CreateChannel("unix:/dev/null/nobody", grpc::InsecureChannelCredentials());
    grpc::GenericStub stub{channel};
    grpc::ClientContext context;
    grpc::Slice byte{"x"};
    grpc::ByteBuffer request{&byte, 1};  // an empty one is no message
    grpc::ByteBuffer response;
  };
  // volatile: the pointer has to stay in memory, where leak checkers find it.
  static Keeper* volatile keeper = [] {
    auto* made = new Keeper;
    made->context.set_deadline(std::chrono::system_clock::now());  // it need not get anywhere
    made->stub.UnaryCall(&made->context, "/pulseboard/Keep", {}, &made->request, &made->response, [](grpc::Status) {});
    return made;
  }();
  (void)keeper;
}

absl::Status ChangedError(const std::string& server, const ServerTrust& trust) {
  const std::string pinned = trust.pin ? trust.pin->fingerprint : "-";
  if (trust.certificate.fingerprint.empty()) {
    return absl::FailedPreconditionError(
        "THE SERVER " + server + " NO LONGER SPEAKS TLS. Its certificate was pinned as " + pinned +
        " before. Somebody may be in between; if the server's owner confirms the change, remove the pin");
  }
  return absl::FailedPreconditionError(
      "THE CERTIFICATE OF " + server + " HAS CHANGED from the pinned " + pinned + " to " +
      trust.certificate.fingerprint +
      ". Somebody may be in between; if the server's owner confirms the new fingerprint, remove the old pin");
}

}  // namespace

absl::StatusOr<HostPort> SplitHostPort(std::string_view server) {
  const size_t colon = server.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return BadField("server", server, "host:port");
  std::string_view host = server.substr(0, colon);
  const std::string_view port = server.substr(colon + 1);
  int number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number < 1 || number > 65'535) {
    return BadField("server", server, "host:port with a port from 1 to 65535");
  }
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return BadField("server", server, "an IPv6 address in brackets, as [::1]:7443,");
  }
  if (host.empty()) return BadField("server", server, "host:port");
  return HostPort{std::string(host), std::string(port)};
}

bool IsLoopback(std::string_view server) {
  const absl::StatusOr<HostPort> parts = SplitHostPort(server);
  if (!parts.ok()) return false;
  if (parts->host == "localhost" || parts->host == "::1") return true;
  // 127.x.y.z and nothing else that begins like it, such as 127.example.com.
  return parts->host.starts_with("127.") && parts->host.find_first_not_of("0123456789.") == std::string::npos;
}

absl::StatusOr<ServerTrust> Examine(const std::string& server, const PinStore& pins,
                                    std::chrono::milliseconds timeout) {
  PB_ASSIGN_OR_RETURN(std::optional<Certificate> certificate, ProbeCertificate(server, timeout));
  ServerTrust trust;
  trust.pin = pins.Find(server);
  if (!certificate) {
    if (trust.pin) {
      trust.state = TrustState::kChanged;
    } else if (IsLoopback(server)) {
      trust.state = TrustState::kPlaintext;
    } else {
      return absl::FailedPreconditionError("the server " + server +
                                           " speaks no TLS; a password is sent in plaintext to loopback only");
    }
    return trust;
  }
  trust.certificate = *std::move(certificate);
  if (trust.certificate.vouched) {
    trust.state = TrustState::kVouched;
  } else if (!trust.pin) {
    trust.state = TrustState::kFirstVisit;
  } else if (trust.pin->fingerprint == trust.certificate.fingerprint) {
    trust.state = TrustState::kPinned;
  } else {
    trust.state = TrustState::kChanged;
  }
  return trust;
}

absl::StatusOr<ServerTrust> ExamineTrustingFirstUse(const std::string& server, PinStore& pins,
                                                    std::chrono::milliseconds timeout) {
  PB_ASSIGN_OR_RETURN(ServerTrust trust, Examine(server, pins, timeout));
  if (trust.state == TrustState::kChanged) return ChangedError(server, trust);
  if (trust.state == TrustState::kFirstVisit) {
    PB_RETURN_IF_ERROR(
        pins.SetPin(server, trust.certificate.fingerprint, SystemClock().NowUnixNanos() / kNanosPerSecond));
  }
  return trust;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const std::string& server, const ServerTrust& trust,
                                                           const ChannelOptions& options) {
  PB_RETURN_IF_ERROR(SplitHostPort(server).status());
  KeepCallbackThreads();
  grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(options.max_message_bytes);
  args.SetMaxSendMessageSize(options.max_message_bytes);
  // A restarted server is found again within a second; the streams on top have their own, longer backoff.
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // The probe went direct, and a certificate seen through a proxy would prove nothing.
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (options.own_connection) args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);

  std::shared_ptr<grpc::ChannelCredentials> credentials;
  switch (trust.state) {
    case TrustState::kChanged:
      return ChangedError(server, trust);
    case TrustState::kPlaintext:
      credentials = grpc::InsecureChannelCredentials();
      break;
    case TrustState::kVouched: {
      grpc::SslCredentialsOptions ssl;
      ssl.pem_root_certs = SystemAuthorities();
      credentials = grpc::SslCredentials(ssl);
      break;
    }
    case TrustState::kPinned:
    case TrustState::kFirstVisit: {
      grpc::SslCredentialsOptions ssl;
      ssl.pem_root_certs = trust.certificate.pem;
      credentials = grpc::SslCredentials(ssl);
      if (!trust.certificate.override_name.empty()) args.SetSslTargetNameOverride(trust.certificate.override_name);
      break;
    }
  }
  return grpc::CreateCustomChannel(server, credentials, args);
}

void AddBearer(grpc::ClientContext* context, std::string_view access_token) {
  context->AddMetadata("authorization", "Bearer " + std::string(access_token));
}

}  // namespace pulseboard::client

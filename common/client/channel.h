// Opening a channel to a server that one has reason to trust.
//
// A server speaks plaintext on loopback and TLS elsewhere, mostly with a certificate that it signed itself. So trust
// works as with ssh: Examine() looks at the server's certificate and compares it with the pin of the last visit; the
// caller decides about a first visit (asks a person, or pins and goes on), and nobody ever goes on by himself when a
// pin does not fit.
//
//   PB_ASSIGN_OR_RETURN(ServerTrust trust, Examine(server, pins));
//   if (trust.state == TrustState::kFirstVisit && AskPerson(trust.certificate)) pins.SetPin(server,
//   trust.certificate.fingerprint, now); PB_ASSIGN_OR_RETURN(auto channel, OpenChannel(server, trust));   // takes
//   kFirstVisit as decided, refuses kChanged
//
// All functions are thread-safe. Probing blocks for up to its timeout: never call it on a GUI or gRPC thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/client/pin_store.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace pulseboard::client {

inline constexpr std::chrono::milliseconds kDefaultProbeTimeout{5000};

// The certificate a server showed.
struct Certificate {
  std::string fingerprint;    // SHA-256 of the DER bytes: `AA:BB:…`, 32 pairs of upper-case hex digits
  std::string pem;            // the server's own certificate, without the chain
  std::string subject;        // for people, e.g. `CN=web-1`
  bool vouched = false;       // a system authority vouches for it, and for this host name
  std::string override_name;  // a name it is valid for (first DNS or IP entry of the SAN, else the CN)
  int64_t not_before_unix_seconds = 0;
  int64_t not_after_unix_seconds = 0;
};

// Connects to `host:port` and shakes hands by TLS (SNI, ALPN h2), trusting nothing yet. Nothing is returned for a
// server that answers but speaks no TLS (plaintext gRPC). UNAVAILABLE when nobody answers, DEADLINE_EXCEEDED after
// `timeout`, INVALID_ARGUMENT when `server` is not host:port.
absl::StatusOr<std::optional<Certificate>> ProbeCertificate(const std::string& server,
                                                            std::chrono::milliseconds timeout = kDefaultProbeTimeout);

enum class TrustState {
  kPlaintext,   // no TLS, on loopback: nobody else can listen
  kVouched,     // a system authority vouches for it, no pin needed
  kPinned,      // fits the pin
  kFirstVisit,  // no pin yet: ask, or pin and go on
  kChanged,     // differs from the pin (or speaks no TLS any more): never go on without a person's new decision
};

struct ServerTrust {
  TrustState state = TrustState::kPlaintext;
  Certificate certificate;  // empty for plaintext
  std::optional<Pin> pin;   // what was pinned before
};

// Probes `server` and compares it with `pins`; changes nothing. Errors of ProbeCertificate, and FAILED_PRECONDITION
// when a server that is not on loopback speaks no TLS.
absl::StatusOr<ServerTrust> Examine(const std::string& server, const PinStore& pins,
                                    std::chrono::milliseconds timeout = kDefaultProbeTimeout);

// For programs without a person in front: Examine, pin a first visit, refuse a changed certificate with
// FAILED_PRECONDITION naming both fingerprints.
absl::StatusOr<ServerTrust> ExamineTrustingFirstUse(const std::string& server, PinStore& pins,
                                                    std::chrono::milliseconds timeout = kDefaultProbeTimeout);

struct ChannelOptions {
  // Own TCP connection, even when another channel of this process goes to the same server.
  bool own_connection = false;
  // Largest message either way.
  int max_message_bytes = 64 << 20;
};

// A channel that talks only to the very server `trust` describes: a self-signed certificate becomes the only root, one
// vouched for is checked against the system's authorities. FAILED_PRECONDITION for kChanged. Does not connect yet; it
// connects on first use and again, within a second or so, after the server comes back.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const std::string& server, const ServerTrust& trust,
                                                           const ChannelOptions& options = {});

// True for localhost, 127.0.0.0/8 and ::1.
bool IsLoopback(std::string_view server);

// `host:port` in parts; brackets of an IPv6 address are taken off. INVALID_ARGUMENT otherwise.
struct HostPort {
  std::string host;
  std::string port;
};
absl::StatusOr<HostPort> SplitHostPort(std::string_view server);

// Puts `authorization: Bearer <token>` on a call.
void AddBearer(grpc::ClientContext* context, std::string_view access_token);

}  // namespace pulseboard::client

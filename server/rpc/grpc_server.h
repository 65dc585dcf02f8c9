// GrpcServer: one listening grpc::Server made from a list of services, with every limit named.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace grpc {
class Server;
class Service;
}  // namespace grpc

namespace pulseboard {

struct GrpcServerOptions {
  std::string listen = "127.0.0.1:7443";           // HOST:PORT; port 0 takes a free one
  int64_t max_receive_bytes = 8 << 20;             // per message
  int64_t max_send_bytes = 16 << 20;               // per message
  int32_t max_concurrent_streams = 4'096;          // calls per connection
  int64_t memory_quota_bytes = 512 << 20;          // of gRPC's buffers; calls wait beyond it
  int32_t max_threads = 64;                        // gRPC's own
  int64_t keepalive_interval_ns = 30'000'000'000;  // pings an idle connection this often
  int64_t keepalive_timeout_ns = 10'000'000'000;   // without an answer for this long the connection is closed
  // What a client may have on the way grows with what the network holds, to some 16 MiB. Off: it stays at 64 KiB.
  bool growing_windows = true;
};

struct TlsKeyPair {
  std::string certificate_pem;
  std::string private_key_pem;
};

// Thread-safe.
class GrpcServer {
 public:
  // Listens. No `tls`: plaintext. UNAVAILABLE naming the address when it cannot be bound: the port is never shared with
  // another process.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcServerOptions& options,
                                                           const std::optional<TlsKeyPair>& tls,
                                                           std::vector<std::unique_ptr<grpc::Service>> services);
  ~GrpcServer();

  // HOST:PORT with the real port.
  const std::string& address() const { return address_; }
  // Takes no new calls, waits for those under way, cancels them at the deadline, and returns when all are done. A call
  // that is never finished by its service blocks for ever. Idempotent.
  void Shutdown(std::chrono::milliseconds limit);

 private:
  GrpcServer() = default;

  std::vector<std::unique_ptr<grpc::Service>> services_;  // outlive the server
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

struct HostPort {
  std::string host;  // without brackets
  int port = 0;
};
// `HOST:PORT` or `[IPV6]:PORT`. INVALID_ARGUMENT saying what would be accepted.
absl::StatusOr<HostPort> ParseHostPort(const std::string& text);
std::string FormatHostPort(const HostPort& address);
// Whether only this machine can reach it: `localhost`, 127.0.0.0/8, ::1. A name that would have to be looked up is not.
bool IsLoopback(const std::string& host);

}  // namespace pulseboard

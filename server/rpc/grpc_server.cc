#include "server/rpc/grpc_server.h"

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <grpcpp/resource_quota.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "server/rpc/unparsed_requests.h"

namespace pulseboard {
namespace {

int ToInt(int64_t value) { return static_cast<int>(std::min<int64_t>(value, std::numeric_limits<int>::max())); }

std::shared_ptr<grpc::ServerCredentials> Credentials(const std::optional<TlsKeyPair>& tls) {
  if (!tls) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({tls->private_key_pem, tls->certificate_pem});
  return grpc::SslServerCredentials(options);
}

void Configure(const GrpcServerOptions& options, grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(ToInt(options.max_receive_bytes));
  builder->SetMaxSendMessageSize(ToInt(options.max_send_bytes));
  grpc::ResourceQuota quota("pulseboard");
  quota.Resize(static_cast<size_t>(options.memory_quota_bytes));
  quota.SetMaxThreads(options.max_threads);
  builder->SetResourceQuota(quota);
  // With port sharing a second server on the same port would start and take half of the calls.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_concurrent_streams);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, ToInt(options.keepalive_interval_ns / kNanosPerMilli));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, ToInt(options.keepalive_timeout_ns / kNanosPerMilli));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, options.growing_windows ? 1 : 0);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(MakeUnparsedRequestInterceptors());
  builder->experimental().SetInterceptorCreators(std::move(interceptors));
  // Clients may ping as often as every 5 s without being sent away as too eager.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcServerOptions& options,
                                                              const std::optional<TlsKeyPair>& tls,
                                                              std::vector<std::unique_ptr<grpc::Service>> services) {
  PB_ASSIGN_OR_RETURN(HostPort address, ParseHostPort(options.listen));
  std::unique_ptr<GrpcServer> server(new GrpcServer());
  server->services_ = std::move(services);
  grpc::ServerBuilder builder;
  Configure(options, &builder);
  int port = 0;
  builder.AddListeningPort(options.listen, Credentials(tls), &port);
  for (const auto& service : server->services_) builder.RegisterService(service.get());
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || port == 0) {
    return absl::UnavailableError("cannot listen on " + options.listen +
                                  (tls ? ": the address is in use, not of this machine, or the TLS key pair is broken"
                                       : ": the address is in use or not of this machine"));
  }
  address.port = port;
  server->address_ = FormatHostPort(address);
  return server;
}

GrpcServer::~GrpcServer() { Shutdown(std::chrono::milliseconds(0)); }

void GrpcServer::Shutdown(std::chrono::milliseconds limit) {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now() + limit);
  server_->Wait();
}

absl::StatusOr<HostPort> ParseHostPort(const std::string& text) {
  const auto bad = [&] { return BadField("address", text, "HOST:PORT or [IPV6]:PORT with a port of 0 to 65535"); };
  HostPort out;
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return bad();
  out.host = text.substr(0, colon);
  const std::string port = text.substr(colon + 1);
  if (out.host.size() >= 2 && out.host.front() == '[' && out.host.back() == ']') {
    out.host = out.host.substr(1, out.host.size() - 2);
  } else if (out.host.find(':') != std::string::npos) {
    return bad();
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (out.host.empty() || port.empty() || error != std::errc() || end != port.data() + port.size() || out.port < 0 ||
      out.port > 65535) {
    return bad();
  }
  return out;
}

std::string FormatHostPort(const HostPort& address) {
  const std::string port = ":" + std::to_string(address.port);
  return address.host.find(':') == std::string::npos ? address.host + port : "[" + address.host + "]" + port;
}

bool IsLoopback(const std::string& host) {
  if (host == "localhost") return true;
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6;
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace pulseboard

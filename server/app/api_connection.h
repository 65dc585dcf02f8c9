// A logged-in connection to a server, for commands that speak to its API.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/client/session.h"

namespace pulseboard {

struct ConnectionFlags {
  std::string server;         // host:port
  std::string user;           // who asks
  std::string password_file;  // first line: the password of `user`
  std::string pins_file;      // empty: client::PinStore::DefaultPath()
};

// Thread-safe after Connect.
class ApiConnection {
 public:
  // Logs in. A certificate seen for the first time is pinned and said on stderr; one that changed is refused.
  static absl::StatusOr<std::unique_ptr<ApiConnection>> Connect(const ConnectionFlags& flags);
  // Logs out.
  ~ApiConnection();

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  client::Session& session() { return session_; }
  // Readies the context of one call; `timeout`: none for calls that may take long.
  void Prepare(grpc::ClientContext* context, std::optional<std::chrono::seconds> timeout = std::chrono::seconds(20));

 private:
  explicit ApiConnection(const std::shared_ptr<grpc::Channel>& channel);

  const std::shared_ptr<grpc::Channel> channel_;
  client::Session session_;
};

}  // namespace pulseboard

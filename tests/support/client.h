// What tests say to a real server, in few words.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/client/channel.h"
#include "common/client/pin_store.h"
#include "common/client/session.h"
#include "common/model/samples.h"
#include "tests/support/process.h"

namespace pulseboard::testing {

// A channel and a session on it.
struct Login {
  std::shared_ptr<grpc::Channel> channel;
  std::shared_ptr<client::Session> session;

  // For a call of a generated stub.
  void Prepare(grpc::ClientContext* context, const std::string& tenant = "") const;
};

// Trusts on first use.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenTo(const ServerProcess& server, bool own_connection = false);
absl::StatusOr<Login> LogIn(const ServerProcess& server, const std::string& user, const std::string& password,
                            client::SessionOptions options = {});
absl::StatusOr<Login> LogInAsAdmin(const ServerProcess& server);
// Makes the account and logs in with it.
absl::StatusOr<Login> LogInAsNew(const ServerProcess& server, const std::string& user, const std::string& role);

// Every raw sample of the series picked, by SeriesKey::Format().
using SeriesMap = std::map<std::string, SampleColumns>;
absl::StatusOr<SeriesMap> QueryRaw(const Login& login, const std::string& selector, const std::string& tenant = "");

}  // namespace pulseboard::testing

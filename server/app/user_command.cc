#include "server/app/user_command.h"

#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "common/base/errors.h"
#include "common/wire/status.h"
#include "pulseboard/v1/user.grpc.pb.h"
#include "server/app/api_connection.h"
#include "server/app/files.h"
#include "server/identity/user_rules.h"

namespace pulseboard {
namespace {

using Action = UserCommandOptions::Action;

// `ROLE_ADMIN` as `ADMIN`.
std::string ShortRole(v1::Role role) {
  const std::string name = v1::Role_Name(role);
  return name.starts_with("ROLE_") ? name.substr(5) : name;
}

absl::StatusOr<v1::Role> ParseRole(const std::string& text) {
  std::string name = "ROLE_" + text;
  for (char& c : name) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  v1::Role role = v1::ROLE_UNSPECIFIED;
  if (!v1::Role_Parse(name, &role) || role == v1::ROLE_UNSPECIFIED) {
    return BadField("--role", text, "ADMIN, EDITOR, VIEWER or INGEST");
  }
  return role;
}

void Print(const v1::User& user) {
  std::printf("%-24s %-8s %-8s %-24s %s\n", user.user_name().c_str(), ShortRole(user.role()).c_str(),
              user.active() ? "active" : "inactive", user.user_id().c_str(), user.email().c_str());
}

// A logged-in connection.
class UserClient {
 public:
  static absl::StatusOr<std::unique_ptr<UserClient>> Connect(const UserCommandOptions& options) {
    PB_ASSIGN_OR_RETURN(auto connection, ApiConnection::Connect(options.connection));
    return std::unique_ptr<UserClient>(new UserClient(std::move(connection)));
  }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::UserService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                              Response*),
                                const Request& request) {
    grpc::ClientContext context;
    connection_->Prepare(&context);
    Response response;
    PB_RETURN_IF_ERROR(FromGrpcStatus((stub_.get()->*method)(&context, request, &response)));
    return response;
  }

  // Calls `visit` for every account, ascending by name.
  absl::Status ForEach(const std::string& search, const std::function<void(const v1::User&)>& visit) {
    v1::ListUsersRequest request;
    request.set_search(search);
    request.set_include_inactive(true);
    do {
      PB_ASSIGN_OR_RETURN(const v1::ListUsersResponse page, Call(&v1::UserService::Stub::ListUsers, request));
      for (const v1::User& user : page.users()) visit(user);
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> FindId(const std::string& name) {
    const client::Account account = connection_->session().account();
    if (name.empty() || FoldCase(name) == FoldCase(account.user_name)) return account.user_id;
    std::string id;
    PB_RETURN_IF_ERROR(ForEach(name, [&](const v1::User& user) {
      if (FoldCase(user.user_name()) == FoldCase(name)) id = user.user_id();
    }));
    if (id.empty()) return absl::NotFoundError("no account is called '" + Printable(name) + "'");
    return id;
  }

 private:
  explicit UserClient(std::unique_ptr<ApiConnection> connection)
      : connection_(std::move(connection)), stub_(v1::UserService::NewStub(connection_->channel())) {}

  const std::unique_ptr<ApiConnection> connection_;
  const std::unique_ptr<v1::UserService::Stub> stub_;
};

absl::Status Create(const UserCommandOptions& options, UserClient* client) {
  PB_ASSIGN_OR_RETURN(const std::string password, ReadFirstLine(options.new_password_file));
  PB_ASSIGN_OR_RETURN(const v1::Role role, ParseRole(options.role));
  v1::CreateUserRequest request;
  request.set_user_name(options.name);
  request.set_email(options.email);
  request.set_display_name(options.display_name);
  request.set_password(password);
  request.set_role(role);
  PB_ASSIGN_OR_RETURN(const v1::CreateUserResponse response, client->Call(&v1::UserService::Stub::CreateUser, request));
  Print(response.user());
  return absl::OkStatus();
}

absl::Status SetRole(const UserCommandOptions& options, UserClient* client) {
  v1::SetRoleRequest request;
  PB_ASSIGN_OR_RETURN(const v1::Role role, ParseRole(options.role));
  PB_ASSIGN_OR_RETURN(*request.mutable_user_id(), client->FindId(options.name));
  request.set_role(role);
  PB_ASSIGN_OR_RETURN(const v1::SetRoleResponse response, client->Call(&v1::UserService::Stub::SetRole, request));
  Print(response.user());
  return absl::OkStatus();
}

absl::Status SetActive(const UserCommandOptions& options, bool active, UserClient* client) {
  v1::SetActiveRequest request;
  PB_ASSIGN_OR_RETURN(*request.mutable_user_id(), client->FindId(options.name));
  request.set_active(active);
  PB_ASSIGN_OR_RETURN(const v1::SetActiveResponse response, client->Call(&v1::UserService::Stub::SetActive, request));
  Print(response.user());
  return absl::OkStatus();
}

absl::Status SetPassword(const UserCommandOptions& options, UserClient* client) {
  v1::ChangePasswordRequest request;
  PB_ASSIGN_OR_RETURN(*request.mutable_user_id(), client->FindId(options.name));
  PB_ASSIGN_OR_RETURN(*request.mutable_current_password(), ReadFirstLine(options.connection.password_file));
  PB_ASSIGN_OR_RETURN(*request.mutable_new_password(), ReadFirstLine(options.new_password_file));
  return client->Call(&v1::UserService::Stub::ChangePassword, request).status();
}

absl::Status Run(const UserCommandOptions& options) {
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<UserClient> client, UserClient::Connect(options));
  switch (options.action) {
    case Action::kCreate:
      return Create(options, client.get());
    case Action::kList:
      return client->ForEach("", Print);
    case Action::kSetRole:
      return SetRole(options, client.get());
    case Action::kDeactivate:
      return SetActive(options, false, client.get());
    case Action::kActivate:
      return SetActive(options, true, client.get());
    case Action::kPassword:
      return SetPassword(options, client.get());
  }
  return absl::OkStatus();
}

}  // namespace

int RunUserCommand(const UserCommandOptions& options) {
  const absl::Status status = Run(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "pulseboardd user: %s\n", StatusMessage(status).c_str());
  return 1;
}

}  // namespace pulseboard

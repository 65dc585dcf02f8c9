#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <utility>

#include "common/wire/status.h"
#include "pulseboard/v1/user.grpc.pb.h"
#include "server/identity/accounts.h"
#include "server/identity/user_rules.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/services.h"
#include "server/rpc/user_wire.h"

namespace pulseboard {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

// Ends the call at once.
ServerUnaryReactor* Answer(CallbackServerContext* context, const absl::Status& status) {
  ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

// Checks the fields that registering and creating have in common.
template <typename Request>
void CheckNewAccount(const Request& request, FieldCheck* check) {
  check->UserName("user_name", request.user_name());
  check->Email("email", request.email());
  check->DisplayName("display_name", request.display_name());
  check->NewPassword("password", request.password());
}

template <typename Request>
NewUser ToNewUser(const Request& request) {
  NewUser account;
  account.user_name = request.user_name();
  account.email = request.email();
  account.display_name = request.display_name();
  return account;
}

class UserService final : public v1::UserService::CallbackService {
 public:
  UserService(const Authenticator& authenticator, Accounts& accounts)
      : authenticator_(authenticator), accounts_(accounts) {}

  ServerUnaryReactor* RegisterUser(CallbackServerContext* context, const v1::RegisterUserRequest* request,
                                   v1::RegisterUserResponse* response) override {
    FieldCheck check;
    check.AtMost("tenant", request->tenant(), kMaxTenantNameBytes);
    CheckNewAccount(*request, &check);
    if (absl::Status bad = check.Result(); !bad.ok()) return Answer(context, bad);
    ServerUnaryReactor* reactor = context->DefaultReactor();
    accounts_.Register(request->tenant(), ToNewUser(*request), Secret(request->password()),
                       FinishWithUser(reactor, response));
    return reactor;
  }

  ServerUnaryReactor* CreateUser(CallbackServerContext* context, const v1::CreateUserRequest* request,
                                 v1::CreateUserResponse* response) override {
    const auto principal = authenticator_.Authenticate(*context, Right::kManageUsers);
    if (!principal.ok()) return Answer(context, principal.status());
    FieldCheck check;
    CheckNewAccount(*request, &check);
    check.AnyRole("role", FromProto(request->role()));
    if (absl::Status bad = check.Result(); !bad.ok()) return Answer(context, bad);
    NewUser account = ToNewUser(*request);
    account.tenant = principal->tenant;
    account.role = FromProto(request->role());
    ServerUnaryReactor* reactor = context->DefaultReactor();
    accounts_.Create(std::move(account), Secret(request->password()), FinishWithUser(reactor, response));
    return reactor;
  }

  ServerUnaryReactor* GetUser(CallbackServerContext* context, const v1::GetUserRequest* request,
                              v1::GetUserResponse* response) override {
    const auto principal = ForAccount(*context, request->user_id());
    if (!principal.ok()) return Answer(context, principal.status());
    const auto user = accounts_.users().Get(principal->tenant, request->user_id());
    if (!user.ok()) return Answer(context, user.status());
    ToProto(**user, principal->tenant_name, response->mutable_user());
    return Answer(context, absl::OkStatus());
  }

  ServerUnaryReactor* ListUsers(CallbackServerContext* context, const v1::ListUsersRequest* request,
                                v1::ListUsersResponse* response) override {
    const auto principal = authenticator_.Authenticate(*context, Right::kManageUsers);
    if (!principal.ok()) return Answer(context, principal.status());
    FieldCheck check;
    check.AtMost("search", request->search(), kMaxSearchBytes);
    if (request->page_size() < 0) check.Add("page_size", std::to_string(request->page_size()), "0 or more");
    if (request->role() != v1::ROLE_UNSPECIFIED) check.AnyRole("role", FromProto(request->role()));
    if (absl::Status bad = check.Result(); !bad.ok()) return Answer(context, bad);
    UserQuery query;
    query.search = request->search();
    query.role = FromProto(request->role());
    query.include_inactive = request->include_inactive();
    query.page_size = request->page_size();
    query.page_token = request->page_token();
    const auto page = accounts_.users().List(principal->tenant, query);
    if (!page.ok()) return Answer(context, page.status());
    for (const UserPtr& user : page->users) ToProto(*user, principal->tenant_name, response->add_users());
    response->set_next_page_token(page->next_page_token);
    return Answer(context, absl::OkStatus());
  }

  ServerUnaryReactor* UpdateProfile(CallbackServerContext* context, const v1::UpdateProfileRequest* request,
                                    v1::UpdateProfileResponse* response) override {
    const auto principal = ForAccount(*context, request->user_id());
    if (!principal.ok()) return Answer(context, principal.status());
    ProfileChange change;
    FieldCheck check;
    if (request->has_email()) {
      check.Email("email", request->email());
      change.email = request->email();
    }
    if (request->has_display_name()) {
      check.DisplayName("display_name", request->display_name());
      change.display_name = request->display_name();
    }
    if (absl::Status bad = check.Result(); !bad.ok()) return Answer(context, bad);
    ServerUnaryReactor* reactor = context->DefaultReactor();
    accounts_.UpdateProfile(principal->tenant, request->user_id(), std::move(change),
                            FinishWithUser(reactor, response));
    return reactor;
  }

  ServerUnaryReactor* SetRole(CallbackServerContext* context, const v1::SetRoleRequest* request,
                              v1::SetRoleResponse* response) override {
    const auto principal = authenticator_.Authenticate(*context, Right::kManageUsers);
    if (!principal.ok()) return Answer(context, principal.status());
    FieldCheck check;
    check.Required("user_id", request->user_id(), kMaxUserIdBytes);
    check.AnyRole("role", FromProto(request->role()));
    if (absl::Status bad = check.Result(); !bad.ok()) return Answer(context, bad);
    ServerUnaryReactor* reactor = context->DefaultReactor();
    accounts_.SetRole(principal->tenant, request->user_id(), FromProto(request->role()),
                      FinishWithUser(reactor, response));
    return reactor;
  }

  ServerUnaryReactor* SetActive(CallbackServerContext* context, const v1::SetActiveRequest* request,
                                v1::SetActiveResponse* response) override {
    const auto principal = authenticator_.Authenticate(*context, Right::kManageUsers);
    if (!principal.ok()) return Answer(context, principal.status());
    FieldCheck check;
    check.Required("user_id", request->user_id(), kMaxUserIdBytes);
    if (absl::Status bad = check.Result(); !bad.ok()) return Answer(context, bad);
    ServerUnaryReactor* reactor = context->DefaultReactor();
    accounts_.SetActive(principal->tenant, request->user_id(), request->active(), FinishWithUser(reactor, response));
    return reactor;
  }

  ServerUnaryReactor* ChangePassword(CallbackServerContext* context, const v1::ChangePasswordRequest* request,
                                     v1::ChangePasswordResponse*) override {
    const auto principal = ForAccount(*context, request->user_id());
    if (!principal.ok()) return Answer(context, principal.status());
    FieldCheck check;
    if (request->user_id() == principal->user_id) {
      check.RequiredSecret("current_password", request->current_password(), kMaxPasswordBytes);
    }
    check.NewPassword("new_password", request->new_password());
    if (absl::Status bad = check.Result(); !bad.ok()) return Answer(context, bad);
    ServerUnaryReactor* reactor = context->DefaultReactor();
    accounts_.ChangePassword(*principal, request->user_id(), Secret(request->current_password()),
                             Secret(request->new_password()),
                             [reactor](const absl::Status& status) { reactor->Finish(ToGrpcStatus(status)); });
    return reactor;
  }

  ServerUnaryReactor* GetPreferences(CallbackServerContext* context, const v1::GetPreferencesRequest*,
                                     v1::GetPreferencesResponse* response) override {
    const auto principal = authenticator_.AuthenticateAny(*context);
    if (!principal.ok()) return Answer(context, principal.status());
    ServerUnaryReactor* reactor = context->DefaultReactor();
    accounts_.GetPreferences(*principal, [reactor, response](const absl::StatusOr<Preferences>& preferences) {
      absl::Status status = preferences.status();
      if (status.ok()) {
        response->set_revision(preferences->revision);
        status = JsonToPreferences(preferences->json, response->mutable_preferences());
      }
      reactor->Finish(ToGrpcStatus(status));
    });
    return reactor;
  }

  ServerUnaryReactor* UpdatePreferences(CallbackServerContext* context, const v1::UpdatePreferencesRequest* request,
                                        v1::UpdatePreferencesResponse* response) override {
    const auto principal = authenticator_.AuthenticateAny(*context);
    if (!principal.ok()) return Answer(context, principal.status());
    auto json = PreferencesToJson(request->preferences());
    if (!json.ok()) return Answer(context, json.status());
    ServerUnaryReactor* reactor = context->DefaultReactor();
    accounts_.UpdatePreferences(*principal, {*std::move(json), request->revision()},
                                [reactor, response](const absl::StatusOr<int64_t>& revision) {
                                  if (revision.ok()) response->set_revision(*revision);
                                  reactor->Finish(ToGrpcStatus(revision.status()));
                                });
    return reactor;
  }

 private:
  // The caller, when it may see and change the account `user_id`.
  absl::StatusOr<Principal> ForAccount(const CallbackServerContext& context, const std::string& user_id) const {
    auto principal = authenticator_.AuthenticateAny(context);
    if (!principal.ok()) return principal;
    FieldCheck check;
    check.Required("user_id", user_id, kMaxUserIdBytes);
    if (absl::Status bad = check.Result(); !bad.ok()) return bad;
    if (absl::Status refused = AuthorizeAccount(*principal, user_id); !refused.ok()) return refused;
    return principal;
  }

  template <typename Response>
  Accounts::Done<UserPtr> FinishWithUser(ServerUnaryReactor* reactor, Response* response) const {
    return [this, reactor, response](const absl::StatusOr<UserPtr>& user) {
      if (user.ok()) ToProto(**user, accounts_.tenants().Name((*user)->tenant), response->mutable_user());
      reactor->Finish(ToGrpcStatus(user.status()));
    };
  }

  const Authenticator& authenticator_;
  Accounts& accounts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeUserService(const Authenticator& authenticator, Accounts& accounts) {
  return std::make_unique<UserService>(authenticator, accounts);
}

}  // namespace pulseboard

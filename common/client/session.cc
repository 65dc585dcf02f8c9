#include "common/client/session.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/client/backoff.h"
#include "common/client/callback_queue.h"
#include "common/client/channel.h"
#include "common/client/timer.h"
#include "common/wire/status.h"
#include "pulseboard/v1/auth.grpc.pb.h"

namespace pulseboard::client {
namespace {

int64_t UnixNanos(const google::protobuf::Timestamp& time) { return time.seconds() * kNanosPerSecond + time.nanos(); }

SessionTokens FromProto(const v1::SessionTokens& in) {
  return {in.access_token(), UnixNanos(in.access_expire_time()), in.refresh_token(),
          UnixNanos(in.refresh_expire_time())};
}

Account FromProto(const v1::User& in) {
  std::string role = v1::Role_Name(in.role());
  if (role.starts_with("ROLE_")) role.erase(0, 5);
  return {in.user_id(), in.user_name(), in.email(), in.display_name(), in.tenant(), std::move(role)};
}

// Answers that no waiting mends.
bool IsFinal(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnauthenticated || status.code() == absl::StatusCode::kPermissionDenied ||
         status.code() == absl::StatusCode::kInvalidArgument;
}

template <typename Request, typename Response>
struct UnaryCall {
  grpc::ClientContext context;
  Request request;
  Response response;
};

absl::Status Await(const std::function<void(Session::Done)>& start) {
  struct Outcome {
    Mutex mu;
    CondVar changed;
    std::optional<absl::Status> status PB_GUARDED_BY(mu);
  };
  auto outcome = std::make_shared<Outcome>();
  start([outcome](const absl::Status& status) {
    MutexLock lock(&outcome->mu);
    outcome->status = status;
    outcome->changed.NotifyAll();
  });
  MutexLock lock(&outcome->mu);
  while (!outcome->status) outcome->changed.Wait(&outcome->mu);
  return *outcome->status;
}

}  // namespace

class Session::Core : public std::enable_shared_from_this<Session::Core> {
 public:
  Core(std::shared_ptr<grpc::Channel> channel, SessionOptions options)
      : options_(std::move(options)),
        stub_(v1::AuthService::NewStub(channel)),
        backoff_({options_.retry_first, options_.retry_last}) {}

  void Login(LoginCredentials credentials, Done done);
  void Resume(std::string refresh_token, Done done);
  void Logout(Done done);
  void FetchToken(std::string rejected, TokenDone done);
  void Close();
  SessionTokens tokens() const {
    MutexLock lock(&mu_);
    return tokens_;
  }
  Account account() const {
    MutexLock lock(&mu_);
    return account_;
  }

 private:
  using Waiters = std::vector<TokenDone>;
  using DoneId = uint64_t;  // 0: nobody waits

  DoneId AddDoneLocked(Done done) PB_REQUIRES(mu_) {
    if (!done) return 0;
    dones_[++last_done_] = std::move(done);
    return last_done_;
  }
  void FinishLocked(DoneId id, const absl::Status& status) PB_REQUIRES(mu_);
  template <typename Call>
  void PrepareLocked(const std::shared_ptr<Call>& call) PB_REQUIRES(mu_);
  template <typename Call>
  void ForgetLocked(const std::shared_ptr<Call>& call) PB_REQUIRES(mu_);

  void LoginLocked(const LoginCredentials& credentials, DoneId done) PB_REQUIRES(mu_);
  void RefreshLocked(std::string refresh_token, DoneId done) PB_REQUIRES(mu_);
  // The answer of Login or RefreshSession. `spent`: the refresh token used, empty for a login.
  template <typename Response>
  void OnTokens(uint64_t generation, const grpc::Status& grpc_status, const Response& response, bool was_login,
                DoneId done);
  void AdoptLocked(const v1::SessionTokens& tokens, const v1::User& user, Waiters* waiters) PB_REQUIRES(mu_);
  void OnRefusedLocked(const absl::Status& status, bool was_login, DoneId done, Waiters* waiters) PB_REQUIRES(mu_);
  void LoseLocked(const absl::Status& status, Waiters* waiters) PB_REQUIRES(mu_);
  void OnTimer(uint64_t generation);
  void ScheduleLocked(std::chrono::nanoseconds after) PB_REQUIRES(mu_);

  const SessionOptions options_;
  const std::unique_ptr<v1::AuthService::Stub> stub_;
  CallbackQueue callbacks_;

  mutable Mutex mu_;
  bool closed_ PB_GUARDED_BY(mu_) = false;
  // Counts logins, resumes and logouts: answers to an earlier one are stale.
  uint64_t generation_ PB_GUARDED_BY(mu_) = 0;
  bool busy_ PB_GUARDED_BY(mu_) = false;  // a call for tokens is under way
  bool kept_ PB_GUARDED_BY(mu_) = false;  // was logged in once and not lost or logged out since
  SessionTokens tokens_ PB_GUARDED_BY(mu_);
  Account account_ PB_GUARDED_BY(mu_);
  absl::Status lost_ PB_GUARDED_BY(mu_) = absl::UnauthenticatedError("not logged in");
  Waiters waiters_ PB_GUARDED_BY(mu_);
  std::map<DoneId, Done> dones_ PB_GUARDED_BY(mu_);
  DoneId last_done_ PB_GUARDED_BY(mu_) = 0;
  std::map<const void*, std::shared_ptr<grpc::ClientContext>> in_flight_ PB_GUARDED_BY(mu_);
  Backoff backoff_ PB_GUARDED_BY(mu_);
  Timer timer_ PB_GUARDED_BY(mu_);
};

void Session::Core::FinishLocked(DoneId id, const absl::Status& status) {
  if (id == 0) return;
  // It stays in dones_ until it runs: Close() answers those that did not.
  callbacks_.Add([this, id, status] {
    Done done;
    {
      MutexLock lock(&mu_);
      if (const auto it = dones_.find(id); it != dones_.end()) {
        done = std::move(it->second);
        dones_.erase(it);
      }
    }
    if (done) done(status);
  });
}

template <typename Call>
void Session::Core::PrepareLocked(const std::shared_ptr<Call>& call) {
  call->context.set_deadline(std::chrono::system_clock::now() + options_.call_timeout);
  in_flight_[call.get()] = std::shared_ptr<grpc::ClientContext>(call, &call->context);
}

template <typename Call>
void Session::Core::ForgetLocked(const std::shared_ptr<Call>& call) {
  in_flight_.erase(call.get());
}

void Session::Core::Login(LoginCredentials credentials, Done done) {
  MutexLock lock(&mu_);
  ++generation_;
  LoginLocked(credentials, AddDoneLocked(std::move(done)));
}

void Session::Core::LoginLocked(const LoginCredentials& credentials, DoneId done) {
  auto call = std::make_shared<UnaryCall<v1::LoginRequest, v1::LoginResponse>>();
  call->request.set_login(credentials.login);
  call->request.set_password(credentials.password);
  call->request.set_tenant(credentials.tenant);
  PrepareLocked(call);
  busy_ = true;
  stub_->async()->Login(&call->context, &call->request, &call->response,
                        [self = shared_from_this(), call, done, generation = generation_](const grpc::Status& status) {
                          {
                            MutexLock lock(&self->mu_);
                            self->ForgetLocked(call);
                          }
                          self->OnTokens(generation, status, call->response, true, done);
                        });
}

void Session::Core::Resume(std::string refresh_token, Done done) {
  MutexLock lock(&mu_);
  ++generation_;
  RefreshLocked(std::move(refresh_token), AddDoneLocked(std::move(done)));
}

void Session::Core::RefreshLocked(std::string refresh_token, DoneId done) {
  auto call = std::make_shared<UnaryCall<v1::RefreshSessionRequest, v1::RefreshSessionResponse>>();
  call->request.set_refresh_token(std::move(refresh_token));
  PrepareLocked(call);
  busy_ = true;
  stub_->async()->RefreshSession(
      &call->context, &call->request, &call->response,
      [self = shared_from_this(), call, done, generation = generation_](const grpc::Status& status) {
        {
          MutexLock lock(&self->mu_);
          self->ForgetLocked(call);
        }
        self->OnTokens(generation, status, call->response, false, done);
      });
}

template <typename Response>
void Session::Core::OnTokens(uint64_t generation, const grpc::Status& grpc_status, const Response& response,
                             bool was_login, DoneId done) {
  Waiters waiters;
  absl::StatusOr<std::string> answer;
  {
    MutexLock lock(&mu_);
    if (closed_) return;
    if (generation != generation_) {
      FinishLocked(done, absl::CancelledError("another login or logout came in between"));
    } else {
      busy_ = false;
      if (grpc_status.ok()) {
        AdoptLocked(response.tokens(), response.user(), &waiters);
        FinishLocked(done, absl::OkStatus());
        answer = tokens_.access_token;
      } else {
        answer = FromGrpcStatus(grpc_status);
        OnRefusedLocked(answer.status(), was_login, done, &waiters);
      }
    }
  }
  for (const TokenDone& waiter : waiters) waiter(answer);
  callbacks_.Run();
}

void Session::Core::AdoptLocked(const v1::SessionTokens& tokens, const v1::User& user, Waiters* waiters) {
  tokens_ = FromProto(tokens);
  account_ = FromProto(user);
  kept_ = true;
  lost_ = absl::OkStatus();
  backoff_.Reset();
  waiters->swap(waiters_);
  if (options_.on_tokens) callbacks_.Add([this, fresh = tokens_] { options_.on_tokens(fresh); });

  const int64_t life = tokens_.access_expire_unix_nanos - options_.clock->NowUnixNanos();
  // A fresh token that looks ended tells of two clocks apart. Then the server's refusal is the sign to renew, and this
  // timer only a habit.
  if (life <= 0) return ScheduleLocked(std::chrono::minutes(5));
  ScheduleLocked(
      std::chrono::nanoseconds(static_cast<int64_t>(static_cast<double>(life) * options_.refresh_at_life_fraction)));
}

void Session::Core::OnRefusedLocked(const absl::Status& status, bool was_login, DoneId done, Waiters* waiters) {
  if (!IsFinal(status)) {
    FinishLocked(done, status);
    waiters->swap(waiters_);
    if (kept_) ScheduleLocked(backoff_.Next());
    return;
  }
  // A refresh that is refused ends the session, unless its owner can log in again. The first login is never repeated.
  if (!was_login && options_.login_again) {
    const absl::StatusOr<LoginCredentials> credentials = options_.login_again();
    if (credentials.ok()) return LoginLocked(*credentials, done);
    FinishLocked(done, credentials.status());
    return LoseLocked(credentials.status(), waiters);
  }
  FinishLocked(done, status);
  LoseLocked(status, waiters);
}

void Session::Core::LoseLocked(const absl::Status& status, Waiters* waiters) {
  const bool was_kept = std::exchange(kept_, false);
  lost_ = status;
  tokens_ = {};
  timer_.Cancel();
  waiters->swap(waiters_);
  if (was_kept && options_.on_lost) callbacks_.Add([this, status] { options_.on_lost(status); });
}

void Session::Core::ScheduleLocked(std::chrono::nanoseconds after) {
  timer_.Set(after, [weak = weak_from_this(), generation = generation_] {
    if (const auto self = weak.lock()) self->OnTimer(generation);
  });
}

void Session::Core::OnTimer(uint64_t generation) {
  MutexLock lock(&mu_);
  if (closed_ || generation != generation_ || busy_ || !kept_) return;
  RefreshLocked(tokens_.refresh_token, 0);
}

void Session::Core::FetchToken(std::string rejected, TokenDone done) {
  absl::StatusOr<std::string> answer;
  {
    MutexLock lock(&mu_);
    if (closed_) {
      answer = absl::CancelledError("the session object is gone");
    } else if (kept_ && tokens_.access_token != rejected) {
      answer = tokens_.access_token;
    } else if (kept_ || busy_) {
      waiters_.push_back(std::move(done));
      if (!busy_) RefreshLocked(tokens_.refresh_token, 0);
      return;
    } else {
      answer = lost_;
    }
  }
  done(answer);
}

void Session::Core::Logout(Done done) {
  Waiters waiters;
  const absl::Status logged_out = absl::UnauthenticatedError("logged out");
  {
    MutexLock lock(&mu_);
    ++generation_;
    busy_ = false;
    const std::string token = tokens_.access_token;
    kept_ = false;
    lost_ = logged_out;
    tokens_ = {};
    account_ = {};
    timer_.Cancel();
    waiters.swap(waiters_);
    const DoneId id = AddDoneLocked(std::move(done));
    if (token.empty()) {
      FinishLocked(id, absl::OkStatus());
    } else {
      auto call = std::make_shared<UnaryCall<v1::LogoutRequest, v1::LogoutResponse>>();
      AddBearer(&call->context, token);
      PrepareLocked(call);
      stub_->async()->Logout(&call->context, &call->request, &call->response,
                             [self = shared_from_this(), call, id](const grpc::Status& status) {
                               {
                                 MutexLock inner(&self->mu_);
                                 self->ForgetLocked(call);
                                 self->FinishLocked(id, FromGrpcStatus(status));
                               }
                               self->callbacks_.Run();
                             });
    }
  }
  for (const TokenDone& waiter : waiters) waiter(logged_out);
  callbacks_.Run();
}

void Session::Core::Close() {
  std::map<DoneId, Done> dones;
  Waiters waiters;
  std::map<const void*, std::shared_ptr<grpc::ClientContext>> in_flight;
  {
    MutexLock lock(&mu_);
    closed_ = true;
    timer_.Cancel();
    dones.swap(dones_);
    waiters.swap(waiters_);
    in_flight.swap(in_flight_);
  }
  for (const auto& [call, context] : in_flight) context->TryCancel();
  callbacks_.Close();
  const absl::Status cancelled = absl::CancelledError("the session object is gone");
  for (const TokenDone& waiter : waiters) waiter(cancelled);
  for (const auto& [id, done] : dones) done(cancelled);
}

Session::Session(std::shared_ptr<grpc::Channel> channel, SessionOptions options)
    : core_(std::make_shared<Core>(std::move(channel), std::move(options))) {}
Session::~Session() { core_->Close(); }

void Session::Login(LoginCredentials credentials, Done done) { core_->Login(std::move(credentials), std::move(done)); }
void Session::Resume(std::string refresh_token, Done done) { core_->Resume(std::move(refresh_token), std::move(done)); }
void Session::Logout(Done done) { core_->Logout(std::move(done)); }

absl::Status Session::LoginAndWait(LoginCredentials credentials) {
  return Await([&](Done done) { Login(std::move(credentials), std::move(done)); });
}
absl::Status Session::ResumeAndWait(std::string refresh_token) {
  return Await([&](Done done) { Resume(std::move(refresh_token), std::move(done)); });
}
absl::Status Session::LogoutAndWait() {
  return Await([&](Done done) { Logout(std::move(done)); });
}

void Session::FetchToken(std::string rejected, TokenDone done) {
  core_->FetchToken(std::move(rejected), std::move(done));
}
std::string Session::CurrentToken() const { return core_->tokens().access_token; }
SessionTokens Session::tokens() const { return core_->tokens(); }
Account Session::account() const { return core_->account(); }
bool Session::logged_in() const { return !core_->tokens().access_token.empty(); }

}  // namespace pulseboard::client

// Session: logged in to one server, and staying so. TokenSource: where streams get their access token from.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"

namespace grpc {
class Channel;
}

namespace pulseboard::client {

// Thread-safe.
class TokenSource {
 public:
  using TokenDone = std::function<void(const absl::StatusOr<std::string>& token)>;

  virtual ~TokenSource() = default;
  // Gives a token that is good now, at once when it has one, else after a refresh. `rejected` is a token that the
  // server just refused (empty: none), so that the same one is not given again. `done` runs exactly once, on any
  // thread, perhaps before this returns. UNAUTHENTICATED when the session is over for good; other errors are passing.
  virtual void FetchToken(std::string rejected, TokenDone done) = 0;
};

// A token that never changes: for tests and tools.
class FixedToken final : public TokenSource {
 public:
  explicit FixedToken(std::string token) : token_(std::move(token)) {}
  void FetchToken(std::string rejected, TokenDone done) override {
    if (!rejected.empty() && rejected == token_)
      return done(absl::UnauthenticatedError("the server refused the token"));
    done(token_);
  }

 private:
  const std::string token_;
};

// Who one is on the server.
struct Account {
  std::string user_id;
  std::string user_name;
  std::string email;
  std::string display_name;
  std::string tenant;
  std::string role;  // ADMIN, EDITOR, VIEWER, INGEST
};

struct SessionTokens {
  std::string access_token;
  int64_t access_expire_unix_nanos = 0;
  std::string refresh_token;
  int64_t refresh_expire_unix_nanos = 0;
};

struct LoginCredentials {
  std::string login;  // user name or e-mail
  std::string password;
  std::string tenant;  // empty: `default`
};

struct SessionOptions {
  // Access tokens are renewed when this share of their life is over (the rest is the margin for a slow or absent
  // server).
  double refresh_at_life_fraction = 0.66;
  // Longest wait for the server in Login and refresh calls. Argon2id under load may take a second or two.
  std::chrono::milliseconds call_timeout{15'000};
  // Retry of a refresh that failed in passing: doubled from the first to the last, with jitter.
  std::chrono::milliseconds retry_first{500};
  std::chrono::milliseconds retry_last{15'000};
  // When set, a session that is over (refresh token spent, expired or revoked) logs in again with what this returns,
  // e.g. from a password file. Runs on a gRPC thread under a lock: may read a file, must not wait nor call the session.
  std::function<absl::StatusOr<LoginCredentials>()> login_again;
  // The session is over and could not be renewed. Once, on a gRPC thread.
  std::function<void(const absl::Status&)> on_lost;
  // New tokens came, e.g. to keep the refresh token for the next start. On a gRPC thread.
  std::function<void(const SessionTokens&)> on_tokens;
  const Clock* clock = &SystemClock();
};

// Thread-safe. Renews its access token by itself before it ends. Callbacks run one at a time; none runs after the
// destructor has returned, which cancels what is in flight (`done` of a call that was running then gets CANCELLED
// before that). May be destroyed inside its own callback.
class Session final : public TokenSource {
 public:
  using Done = std::function<void(const absl::Status&)>;

  // Not logged in yet.
  Session(std::shared_ptr<grpc::Channel> channel, SessionOptions options);
  ~Session() override;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Logs in; `done` on a gRPC thread. UNAUTHENTICATED/BAD_CREDENTIALS, RESOURCE_EXHAUSTED/LOGIN_BUSY, UNAVAILABLE …
  void Login(LoginCredentials credentials, Done done);
  // Goes on with a refresh token kept from an earlier run. UNAUTHENTICATED/TOKEN_INVALID or TOKEN_EXPIRED when it is
  // spent.
  void Resume(std::string refresh_token, Done done);
  // Ends the session on the server; it is over here whatever the answer. on_lost is not called.
  void Logout(Done done);

  // The same, waiting for the answer. Never on a gRPC thread.
  absl::Status LoginAndWait(LoginCredentials credentials);
  absl::Status ResumeAndWait(std::string refresh_token);
  absl::Status LogoutAndWait();

  void FetchToken(std::string rejected, TokenDone done) override;
  // The access token as it is now; empty when not logged in. For unary calls.
  std::string CurrentToken() const;
  SessionTokens tokens() const;
  Account account() const;
  bool logged_in() const;

 private:
  class Core;
  const std::shared_ptr<Core> core_;
};

}  // namespace pulseboard::client

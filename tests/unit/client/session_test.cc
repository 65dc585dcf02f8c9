#include "common/client/session.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>

#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/client/channel.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_server.h"
#include "tests/support/grpc_test.h"

namespace pulseboard::client {
namespace {

using std::chrono::milliseconds;
using testing::Eventually;
using testing::FakeServer;

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    server_.Start();
    options_.retry_first = milliseconds(10);
    options_.retry_last = milliseconds(50);
    options_.on_lost = [this](const absl::Status&) { ++lost_; };
    options_.on_tokens = [this](const SessionTokens&) { ++renewals_; };
  }

  std::shared_ptr<grpc::Channel> Open() { return *OpenChannel(server_.address(), ServerTrust{}); }
  static absl::StatusOr<std::string> Fetch(Session& session, const std::string& rejected) {
    struct Answer {
      Mutex mu;
      std::optional<absl::StatusOr<std::string>> token PB_GUARDED_BY(mu);
    };
    auto answer = std::make_shared<Answer>();
    session.FetchToken(rejected, [answer](const absl::StatusOr<std::string>& token) {
      MutexLock lock(&answer->mu);
      answer->token = token;
    });
    const auto there = [&] {
      MutexLock lock(&answer->mu);
      return answer->token.has_value();
    };
    if (!Eventually(there)) return absl::DeadlineExceededError("no token");
    MutexLock lock(&answer->mu);
    return *answer->token;
  }

  FakeServer server_;
  SessionOptions options_;
  std::atomic<int> lost_ = 0;
  std::atomic<int> renewals_ = 0;
  const LoginCredentials ada_{"ada", "correct horse", ""};
};

TEST_F(SessionTest, LogsInAndSaysWhoOneIs) {
  Session session(Open(), options_);
  EXPECT_FALSE(session.logged_in());
  ASSERT_TRUE(session.LoginAndWait(ada_).ok());
  EXPECT_TRUE(session.logged_in());
  EXPECT_EQ(session.account().user_name, "ada");
  EXPECT_EQ(session.account().role, "EDITOR");
  EXPECT_FALSE(session.CurrentToken().empty());
}

TEST_F(SessionTest, PassesOnWhyALoginWasRefused) {
  Session session(Open(), options_);
  const absl::Status status = session.LoginAndWait({"ada", "wrong", ""});
  EXPECT_TRUE(HasReason(status, ErrorReason::kBadCredentials)) << status;
  EXPECT_FALSE(session.logged_in());
  EXPECT_EQ(lost_, 0) << "there was nothing to lose";
}

TEST_F(SessionTest, RenewsItsTokenBeforeItEnds) {
  server_.auth.SetTokenLife(milliseconds(150));
  Session session(Open(), options_);
  ASSERT_TRUE(session.LoginAndWait(ada_).ok());
  const std::string first = session.CurrentToken();
  EXPECT_TRUE(Eventually([&] { return renewals_ >= 4; }));
  EXPECT_NE(session.CurrentToken(), first);
  EXPECT_EQ(server_.auth.logins(), 1);
}

TEST_F(SessionTest, GivesAFreshTokenForARejectedOne) {
  Session session(Open(), options_);
  ASSERT_TRUE(session.LoginAndWait(ada_).ok());
  const std::string first = session.CurrentToken();
  EXPECT_EQ(*Fetch(session, ""), first);
  const auto second = Fetch(session, first);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(*second, first);
  EXPECT_EQ(*Fetch(session, first), *second) << "already renewed: no second refresh";
  EXPECT_EQ(server_.auth.refreshes(), 1);
}

TEST_F(SessionTest, TriesAgainWhenARefreshFailsInPassing) {
  server_.auth.SetTokenLife(milliseconds(100));
  server_.auth.FailRefreshes(3);
  Session session(Open(), options_);
  ASSERT_TRUE(session.LoginAndWait(ada_).ok());
  EXPECT_TRUE(Eventually([&] { return renewals_ >= 2; }));
  EXPECT_EQ(lost_, 0);
}

TEST_F(SessionTest, IsLostOnceWhenTheRefreshTokenIsRefused) {
  Session session(Open(), options_);
  ASSERT_TRUE(session.LoginAndWait(ada_).ok());
  server_.auth.ForgetRefreshTokens();
  const auto token = Fetch(session, session.CurrentToken());
  EXPECT_EQ(token.status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(Eventually([&] { return lost_ == 1; }));
  EXPECT_FALSE(session.logged_in());
  EXPECT_EQ(Fetch(session, "").status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(lost_, 1);
}

TEST_F(SessionTest, LogsInAgainWhenItMay) {
  options_.login_again = [this] { return ada_; };
  Session session(Open(), options_);
  ASSERT_TRUE(session.LoginAndWait(ada_).ok());
  server_.auth.ForgetRefreshTokens();
  const std::string first = session.CurrentToken();
  const auto token = Fetch(session, first);
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_NE(*token, first);
  EXPECT_EQ(server_.auth.logins(), 2);
  EXPECT_EQ(lost_, 0);
}

TEST_F(SessionTest, IsLostWhenThePasswordIsNoLongerRight) {
  options_.login_again = [] { return LoginCredentials{"ada", "changed meanwhile", ""}; };
  Session session(Open(), options_);
  ASSERT_TRUE(session.LoginAndWait(ada_).ok());
  server_.auth.ForgetRefreshTokens();
  EXPECT_EQ(Fetch(session, session.CurrentToken()).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(Eventually([&] { return lost_ == 1; }));
}

TEST_F(SessionTest, GoesOnWithAKeptRefreshToken) {
  std::string kept;
  {
    Session session(Open(), options_);
    ASSERT_TRUE(session.LoginAndWait(ada_).ok());
    kept = session.tokens().refresh_token;
  }
  Session session(Open(), options_);
  ASSERT_TRUE(session.ResumeAndWait(kept).ok());
  EXPECT_EQ(session.account().user_name, "ada");
  Session thief(Open(), options_);
  EXPECT_EQ(thief.ResumeAndWait(kept).code(), absl::StatusCode::kUnauthenticated) << "a refresh token is spent by use";
}

TEST_F(SessionTest, LogsOutHereWhateverTheServerSays) {
  Session session(Open(), options_);
  ASSERT_TRUE(session.LoginAndWait(ada_).ok());
  server_.Stop();
  EXPECT_FALSE(session.LogoutAndWait().ok());
  EXPECT_FALSE(session.logged_in());
  EXPECT_EQ(Fetch(session, "").status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(lost_, 0) << "leaving is not losing";
}

TEST_F(SessionTest, CancelsWhatIsInFlightWhenItGoes) {
  server_.Stop();
  std::atomic<int> answers = 0;
  absl::Status answer;
  {
    options_.call_timeout = std::chrono::minutes(1);
    Session session(Open(), options_);
    session.Login(ada_, [&](const absl::Status& status) {
      answer = status;
      ++answers;
    });
  }
  // Refused by the closed port or cancelled by the destructor, but exactly once and never later.
  EXPECT_EQ(answers, 1);
  EXPECT_FALSE(answer.ok());
}

TEST_F(SessionTest, MayBeDestroyedInItsOwnCallback) {
  std::atomic<bool> gone = false;
  auto* session = new Session(Open(), options_);
  session->Login(ada_, [&](const absl::Status&) {
    delete session;
    gone = true;
  });
  EXPECT_TRUE(Eventually([&] { return gone.load(); }));
}

}  // namespace
}  // namespace pulseboard::client

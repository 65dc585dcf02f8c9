// Access tokens end while streams run: the client library renews them and nothing is lost.
#include <gtest/gtest.h>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/client/pusher.h"
#include "common/client/subscriber.h"
#include "tests/integration/server/recording_consumer.h"
#include "tests/support/client.h"
#include "tests/support/eventually.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard::testing {
namespace {

// `fraction`: when the session renews; far above 1 it only does so once the server has refused a token.
void RunThroughManyTokens(double fraction) {
  ServerProcess server({.set = {"identity.access_token_life=1s"}});
  const absl::Status started = server.Start();
  ASSERT_TRUE(started.ok()) << started;
  client::SessionOptions session_options;
  session_options.refresh_at_life_fraction = fraction;
  std::atomic<int> renewals = 0, lost = 0;
  session_options.on_tokens = [&](const client::SessionTokens&) { ++renewals; };
  session_options.on_lost = [&](const absl::Status&) { ++lost; };
  const auto login = LogIn(server, "admin", server.admin_password(), session_options);
  ASSERT_TRUE(login.ok()) << login.status();

  RecordingConsumer viewer;
  client::SubscriberOptions options;
  options.queries = {{"q", "token.load", std::chrono::hours(1), 0}};
  options.backoff = {std::chrono::milliseconds(10), std::chrono::milliseconds(100)};
  client::Subscriber subscriber(login->channel, login->session, options, &viewer);
  client::PusherOptions push_options;
  push_options.linger = std::chrono::milliseconds(1);
  push_options.backoff = options.backoff;
  client::Pusher pusher(login->channel, login->session, push_options);
  const uint32_t series = *pusher.Define({"token.load", {}}, {});

  const int64_t start = SystemClock().NowUnixNanos();
  int64_t pushed = 0;
  ASSERT_TRUE(Eventually([&] {
    EXPECT_TRUE(pusher.Push(series, start + pushed, static_cast<double>(pushed)).ok());
    ++pushed;
    return renewals >= 3;
  }));
  ASSERT_TRUE(pusher.WaitUntilAcked(std::chrono::seconds(60)).ok()) << pusher.stats().last_error;
  ASSERT_TRUE(Eventually([&] { return viewer.sample_count() == pushed; })) << viewer.sample_count() << " of " << pushed;
  EXPECT_EQ(viewer.out_of_order(), 0);
  EXPECT_EQ(viewer.resets(), 1) << viewer.last_reset();
  EXPECT_EQ(lost, 0);
  EXPECT_EQ(viewer.series().at("token.load").values.back(), static_cast<double>(pushed - 1));
}

TEST(Tokens, AreRenewedBeforeTheyEnd) { RunThroughManyTokens(0.5); }

TEST(Tokens, AreRenewedWhenTheServerRefusesThem) { RunThroughManyTokens(1000); }

TEST(Tokens, AreWorthNothingAfterALogout) {
  ServerProcess server;
  ASSERT_TRUE(server.Start().ok());
  const auto login = LogInAsAdmin(server);
  ASSERT_TRUE(login.ok()) << login.status();
  RecordingConsumer viewer;
  client::SubscriberOptions options;
  options.queries = {{"q", "m", std::chrono::hours(1), 0}};
  const std::string token = login->session->CurrentToken();
  ASSERT_TRUE(login->session->LogoutAndWait().ok());
  client::Subscriber subscriber(login->channel, std::make_shared<client::FixedToken>(token), options, &viewer);
  EXPECT_TRUE(Eventually([&] { return viewer.state().state == client::SubscriberState::kEnded; }));
  EXPECT_EQ(viewer.state().status.code(), absl::StatusCode::kUnauthenticated);
}

TEST(Sessions, SurviveARestart) {
  ServerProcess server;
  ASSERT_TRUE(server.Start().ok());
  const auto login = LogInAsAdmin(server);
  ASSERT_TRUE(login.ok()) << login.status();
  server.Kill();
  ASSERT_TRUE(server.Start().ok());
  EXPECT_TRUE(Eventually([&] { return QueryRaw(*login, "no.such.metric").ok(); })) << "the access token still works";
  client::Session resumed(login->channel, {});
  const absl::Status status = resumed.ResumeAndWait(login->session->tokens().refresh_token);
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace pulseboard::testing

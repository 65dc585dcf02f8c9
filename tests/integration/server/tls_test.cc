// TLS by itself: made on first start, told, pinned, and refused when it changed.
#include <gtest/gtest.h>

#include "common/client/channel.h"
#include "common/client/pin_store.h"
#include "tests/support/client.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard::testing {
namespace {

using client::Examine;
using client::PinStore;
using client::TrustState;

TEST(Tls, PrintsTheFingerprintThatAClientSees) {
  ServerProcess server({.set = {"server.tls=on"}});
  const absl::Status started = server.Start();
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_TRUE(server.tls());
  const auto certificate = client::ProbeCertificate(server.address());
  ASSERT_TRUE(certificate.ok() && *certificate) << certificate.status();
  EXPECT_EQ((*certificate)->fingerprint, client::NormalizeFingerprint(server.fingerprint()));
  EXPECT_FALSE((*certificate)->vouched);
  const auto login = LogInAsAdmin(server);
  EXPECT_TRUE(login.ok()) << login.status();
}

TEST(Tls, KeepsItsCertificateThroughARestart) {
  ServerProcess server({.set = {"server.tls=on"}});
  ASSERT_TRUE(server.Start().ok());
  const std::string first = server.fingerprint();
  PinStore pins;
  ASSERT_TRUE(client::ExamineTrustingFirstUse(server.address(), pins).ok());
  server.Kill();
  ASSERT_TRUE(server.Start().ok());
  EXPECT_EQ(server.fingerprint(), first);
  EXPECT_EQ(Examine(server.address(), pins)->state, TrustState::kPinned);
}

TEST(Tls, IsRefusedByItsVisitorsWhenAnotherServerTakesItsPlace) {
  PinStore pins;
  std::string address;
  {
    ServerProcess server({.set = {"server.tls=on"}});
    ASSERT_TRUE(server.Start().ok());
    address = server.address();
    ASSERT_TRUE(client::ExamineTrustingFirstUse(address, pins).ok());
  }
  ServerProcess impostor({.listen = address, .set = {"server.tls=on"}});
  ASSERT_TRUE(impostor.Start().ok());
  EXPECT_EQ(Examine(address, pins)->state, TrustState::kChanged);
  EXPECT_EQ(client::ExamineTrustingFirstUse(address, pins).status().code(), absl::StatusCode::kFailedPrecondition);
  impostor.Kill();

  ServerProcess plaintext({.listen = address});
  ASSERT_TRUE(plaintext.Start().ok());
  EXPECT_EQ(Examine(address, pins)->state, TrustState::kChanged);
}

TEST(Tls, IsOnByItselfForOtherAddressesThanLoopback) {
  ServerProcess server({.listen = "0.0.0.0:" + std::to_string(PickPort())});
  const absl::Status started = server.Start();
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_TRUE(server.tls());
  EXPECT_NE(client::NormalizeFingerprint(server.fingerprint()), "");
}

TEST(Plaintext, IsRefusedForOtherAddressesThanLoopback) {
  const TempDir dir;
  const std::string listen = "0.0.0.0:" + std::to_string(PickPort());
  const Output output = RunToEnd({BinaryPath("pulseboardd"), "serve", "--data", dir.File("data"), "--listen", listen,
                                  "--admin-password-file", dir.File("pw"), "--set", "server.tls=off"});
  EXPECT_GT(output.exit_code, 0);
  EXPECT_EQ(output.out.find("ready"), std::string::npos) << output.out;
  EXPECT_NE(output.err.find("server.allow_plaintext"), std::string::npos) << "names the way out: " << output.err;
  EXPECT_NE(output.err.find("0.0.0.0"), std::string::npos) << output.err;

  ServerProcess told({.listen = listen, .set = {"server.tls=off", "server.allow_plaintext=true"}});
  const absl::Status started = told.Start();
  EXPECT_TRUE(started.ok()) << started;
}

}  // namespace
}  // namespace pulseboard::testing

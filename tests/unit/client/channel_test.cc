#include "common/client/channel.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>

#include "common/client/session.h"
#include "tests/support/fake_server.h"
#include "tests/support/grpc_test.h"
#include "tests/support/temp_dir.h"

namespace pulseboard::client {
namespace {

using testing::FakeServer;
using testing::MakeCertificate;
using testing::TempDir;
using testing::WriteFile;

absl::Status LogIn(const std::string& server, const ServerTrust& trust) {
  auto channel = OpenChannel(server, trust);
  if (!channel.ok()) return channel.status();
  SessionOptions options;
  options.call_timeout = std::chrono::seconds(5);
  Session session(*channel, options);
  return session.LoginAndWait({"ada", "correct horse", ""});
}

// Listens, accepts, and then says `greeting` and nothing more.
class OddServer {
 public:
  explicit OddServer(std::string greeting, bool close_at_once = false) : greeting_(std::move(greeting)) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    listen(listener_, 5);
    socklen_t size = sizeof(address);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, close_at_once] {
      const int peer = accept(listener_, nullptr, nullptr);
      if (peer < 0) return;
      (void)!write(peer, greeting_.data(), greeting_.size());
      char byte = 0;
      if (!close_at_once) {
        while (read(peer, &byte, 1) > 0) {
        }
      }
      close(peer);
    });
  }
  ~OddServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  const std::string greeting_;
  int listener_ = -1;
  int port_ = 0;
  std::thread thread_;
};

TEST(HostPort, IsSplitOrRefused) {
  EXPECT_EQ(SplitHostPort("web-1:7443")->host, "web-1");
  EXPECT_EQ(SplitHostPort("[::1]:7443")->host, "::1");
  EXPECT_EQ(SplitHostPort("[::1]:7443")->port, "7443");
  for (const std::string bad :
       {"", "web-1", ":7443", "web-1:", "web-1:0", "web-1:65536", "web-1:http", "::1:7443", "[]:7443", "web-1:-1"}) {
    EXPECT_EQ(SplitHostPort(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(Loopback, IsOnlyThisMachine) {
  for (const std::string yes : {"localhost:1", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1"})
    EXPECT_TRUE(IsLoopback(yes)) << yes;
  for (const std::string no : {"127.example.com:1", "10.0.0.1:1", "localhost.example.com:1", "web:1", "127.0.0.1"}) {
    EXPECT_FALSE(IsLoopback(no)) << no;
  }
}

TEST(Examine, TakesPlaintextOnLoopbackWithoutQuestion) {
  FakeServer server;
  server.Start();
  const auto trust = Examine(server.address(), PinStore());
  ASSERT_TRUE(trust.ok()) << trust.status();
  EXPECT_EQ(trust->state, TrustState::kPlaintext);
  EXPECT_TRUE(LogIn(server.address(), *trust).ok());
}

TEST(Examine, AsksOnTheFirstVisitAndKnowsTheServerOnTheSecond) {
  FakeServer server(MakeCertificate("pulseboard", {"DNS:some-name", "IP:10.1.2.3"}));
  server.Start();
  PinStore pins;
  auto first = Examine(server.address(), pins);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->state, TrustState::kFirstVisit);
  EXPECT_EQ(first->certificate.override_name, "some-name");
  EXPECT_EQ(first->certificate.subject, "CN=pulseboard");
  EXPECT_EQ(NormalizeFingerprint(first->certificate.fingerprint), first->certificate.fingerprint);
  EXPECT_GT(first->certificate.not_after_unix_seconds, first->certificate.not_before_unix_seconds);
  ASSERT_TRUE(pins.SetPin(server.address(), first->certificate.fingerprint, 1).ok());
  const auto second = Examine(server.address(), pins);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->state, TrustState::kPinned);
  EXPECT_TRUE(LogIn(server.address(), *second).ok());
}

TEST(OpenChannel, WorksWithEveryKindOfNameInACertificate) {
  for (const std::vector<std::string>& names :
       {std::vector<std::string>{"DNS:*.example.com"}, {"IP:127.0.0.1"}, {"IP:fe80::1"}, {"DNS:localhost"}}) {
    FakeServer server(MakeCertificate("pulseboard", names));
    server.Start();
    const auto trust = Examine(server.address(), PinStore());
    ASSERT_TRUE(trust.ok()) << trust.status();
    const absl::Status status = LogIn(server.address(), *trust);
    EXPECT_TRUE(status.ok()) << names.front() << ": " << status;
  }
}

TEST(OpenChannel, PinsACertificateThatAnUnknownAuthoritySigned) {
  const auto authority = MakeCertificate("Somebody's authority", {});
  FakeServer server(MakeCertificate("web", {"DNS:web"}, &authority));
  server.Start();
  const auto trust = Examine(server.address(), PinStore());
  ASSERT_TRUE(trust.ok()) << trust.status();
  EXPECT_EQ(trust->state, TrustState::kFirstVisit);
  const absl::Status status = LogIn(server.address(), *trust);
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Examine, ShoutsWhenTheCertificateChanged) {
  FakeServer server(MakeCertificate("pulseboard", {"DNS:one"}));
  server.Start();
  PinStore pins;
  ASSERT_TRUE(ExamineTrustingFirstUse(server.address(), pins).ok());
  server.Stop();
  server.SetCertificate(MakeCertificate("pulseboard", {"DNS:one"}));
  server.Start();
  const auto trust = Examine(server.address(), pins);
  ASSERT_TRUE(trust.ok()) << trust.status();
  EXPECT_EQ(trust->state, TrustState::kChanged);
  EXPECT_EQ(OpenChannel(server.address(), *trust).status().code(), absl::StatusCode::kFailedPrecondition);
  const absl::Status refused = ExamineTrustingFirstUse(server.address(), pins).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.ToString().find(trust->pin->fingerprint), std::string::npos);
  EXPECT_NE(refused.ToString().find(trust->certificate.fingerprint), std::string::npos);
}

TEST(Examine, ShoutsWhenAPinnedServerSpeaksPlaintext) {
  FakeServer server(MakeCertificate("pulseboard", {"DNS:one"}));
  server.Start();
  PinStore pins;
  ASSERT_TRUE(ExamineTrustingFirstUse(server.address(), pins).ok());
  server.Stop();
  server.SetCertificate(std::nullopt);
  server.Start();
  EXPECT_EQ(Examine(server.address(), pins)->state, TrustState::kChanged);
  EXPECT_EQ(ExamineTrustingFirstUse(server.address(), pins).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(OpenChannel, DoesNotTalkToAnotherServerThatTookThePort) {
  FakeServer server(MakeCertificate("pulseboard", {"DNS:one"}));
  server.Start();
  PinStore pins;
  const auto trust = ExamineTrustingFirstUse(server.address(), pins);
  ASSERT_TRUE(trust.ok());
  server.Stop();
  server.SetCertificate(MakeCertificate("pulseboard", {"DNS:one"}));
  server.Start();
  EXPECT_EQ(LogIn(server.address(), *trust).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(server.auth.logins(), 0) << "the password must not reach it";
}

TEST(Examine, TrustsWhatASystemAuthorityVouchesFor) {
  const TempDir dir;
  const auto authority = MakeCertificate("Our authority", {});
  WriteFile(dir.File("authorities.pem"), authority.certificate_pem);
  setenv("SSL_CERT_FILE", dir.File("authorities.pem").c_str(), 1);
  FakeServer server(MakeCertificate("web", {"IP:127.0.0.1"}, &authority));
  server.Start();
  const auto trust = Examine(server.address(), PinStore());
  ASSERT_TRUE(trust.ok()) << trust.status();
  EXPECT_EQ(trust->state, TrustState::kVouched);
  const absl::Status status = LogIn(server.address(), *trust);
  EXPECT_TRUE(status.ok()) << status;

  // The same authority, another machine's name: not vouched for.
  FakeServer other(MakeCertificate("web", {"DNS:other.example.com"}, &authority));
  other.Start();
  EXPECT_EQ(Examine(other.address(), PinStore())->state, TrustState::kFirstVisit);
  unsetenv("SSL_CERT_FILE");
}

TEST(Probe, SaysWhenNobodyAnswers) {
  std::string address;
  {
    FakeServer server;
    server.Start();
    address = server.address();
  }
  EXPECT_EQ(ProbeCertificate(address).status().code(), absl::StatusCode::kUnavailable);
}

TEST(Probe, GivesUpOnAServerThatNeverAnswers) {
  const OddServer server("");
  const auto probe = ProbeCertificate(server.address(), std::chrono::milliseconds(100));
  EXPECT_EQ(probe.status().code(), absl::StatusCode::kDeadlineExceeded) << probe.status();
}

TEST(Probe, TellsBrokenTlsFromNoTls) {
  {
    const OddServer garbage(std::string("\x16\x03\x03\x00\x05HELLO", 10));
    EXPECT_EQ(ProbeCertificate(garbage.address(), std::chrono::seconds(20)).status().code(),
              absl::StatusCode::kUnavailable);
  }
  {
    const OddServer rude("", /*close_at_once=*/true);
    EXPECT_EQ(ProbeCertificate(rude.address(), std::chrono::seconds(20)).status().code(),
              absl::StatusCode::kUnavailable);
  }
  const OddServer plain("SSH-2.0-OpenSSH_9.2\r\n");
  const auto probe = ProbeCertificate(plain.address(), std::chrono::seconds(20));
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_EQ(*probe, std::nullopt);
}

}  // namespace
}  // namespace pulseboard::client

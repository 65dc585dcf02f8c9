// GrpcSource against a server that plays its part by script.
#include "client-qt/net/grpc_source.h"

#include <gtest/gtest.h>

#include <QCoreApplication>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>
#include <memory>

#include "absl/synchronization/mutex.h"
#include "tests/support/fake_server.h"

namespace pulseboard::qt {
namespace {

using pulseboard::testing::FakeServer;
using pulseboard::testing::KeyAndCertificate;
using pulseboard::testing::WireError;

KeyAndCertificate MakeSelfSigned() { return pulseboard::testing::MakeCertificate("localhost", {"IP:127.0.0.1"}); }

class GrpcSourceTest : public ::testing::Test {
 protected:
  GrpcSourceTest() {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    options_.pins_path = dir_.filePath("pins");
    options_.sessions_path = dir_.filePath("sessions.json");
  }
  ~GrpcSourceTest() override { source_.reset(); }

  void open() {
    source_ = std::make_unique<GrpcSource>(options_);
    QObject::connect(source_.get(), &MetricsSource::feedReady, source_.get(), [this](FeedId feed) { drain(feed); });
    QObject::connect(source_.get(), &MetricsSource::connectionChanged, source_.get(),
                     [this](const ConnectionStatus& status) { statuses_.push_back(status); });
  }
  QString address() const { return QString::fromStdString(server_.address()); }
  bool login(const QString& password = "correct horse", bool keep = false) {
    if (!source_) open();
    QSignalSpy in(source_.get(), &MetricsSource::loggedIn);
    QSignalSpy out(source_.get(), &MetricsSource::loginFailed);
    source_->login({address(), "ada", password, keep});
    return QTest::qWaitFor([&] { return in.count() + out.count() > 0; }, 60'000) && in.count() > 0;
  }
  FeedId openFeed() { return source_->openFeed({{{"p/0", "m"}}, 3'600, 0}); }
  void drain(FeedId feed) {
    const FeedBatch batch = source_->drain(feed);
    if (batch.reset) {
      ++resets_;
      times_.clear();
    }
    for (const auto& definition : batch.definitions) definitions_.push_back(definition);
    for (const auto* part : {&batch.backfill, &batch.samples}) {
      for (const SeriesSamples& series : *part) times_.insert(times_.end(), series.times.begin(), series.times.end());
    }
  }
  // 1, 2, … count, each once.
  bool hasAll(qint64 count) {
    return QTest::qWaitFor([&] { return static_cast<qint64>(times_.size()) >= count; }, 60'000) && isWhole(count);
  }
  bool isWhole(qint64 count) const {
    if (static_cast<qint64>(times_.size()) != count) return false;
    for (size_t i = 0; i < times_.size(); ++i) {
      if (times_[i] != static_cast<qint64>(i) + 1) return false;
    }
    return true;
  }
  bool wasReconnecting() const {
    return std::any_of(statuses_.begin(), statuses_.end(),
                       [](const ConnectionStatus& status) { return status.state == ConnectionState::Reconnecting; });
  }

  int argc_ = 0;
  QCoreApplication app_{argc_, nullptr};
  QTemporaryDir dir_;
  NetOptions options_;
  FakeServer server_;
  std::unique_ptr<GrpcSource> source_;
  std::vector<FeedBatch::Definition> definitions_;
  std::vector<qint64> times_;
  std::vector<ConnectionStatus> statuses_;
  int resets_ = 0;
};

TEST_F(GrpcSourceTest, DeliversDefinitionsBackfillAndLiveInOrder) {
  server_.Start();
  server_.live.Commit(5);
  ASSERT_TRUE(login());
  openFeed();
  ASSERT_TRUE(hasAll(5));
  server_.live.Commit(3);
  EXPECT_TRUE(hasAll(8));
  ASSERT_FALSE(definitions_.empty());
  EXPECT_EQ(definitions_[0].series.metric, "m");
  EXPECT_EQ(resets_, 1);
  EXPECT_EQ(source_->connection().user, "ada");
  EXPECT_FALSE(source_->connection().tls);
}

TEST_F(GrpcSourceTest, OpensFeedsOnceLoggedIn) {
  server_.Start();
  server_.live.Commit(2);
  open();
  openFeed();
  ASSERT_TRUE(login());
  EXPECT_TRUE(hasAll(2));
}

TEST_F(GrpcSourceTest, ReconnectsByItselfWithoutHoleOrDouble) {
  server_.Start();
  server_.live.Commit(5);
  ASSERT_TRUE(login());
  openFeed();
  ASSERT_TRUE(hasAll(5));
  server_.live.EndStreams(WireError("SHUTTING_DOWN"));
  server_.live.Commit(5);
  EXPECT_TRUE(hasAll(10));
  EXPECT_TRUE(wasReconnecting());
  EXPECT_EQ(resets_, 1);
  EXPECT_TRUE(QTest::qWaitFor([&] { return source_->connection().state == ConnectionState::Connected; }, 60'000));
}

TEST_F(GrpcSourceTest, CountsDownToTheNextAttemptWhileTheServerIsAway) {
  server_.Start();
  server_.live.Commit(1);
  ASSERT_TRUE(login());
  openFeed();
  ASSERT_TRUE(hasAll(1));
  server_.Stop();
  ASSERT_TRUE(QTest::qWaitFor([&] { return source_->connection().state == ConnectionState::Reconnecting; }, 60'000));
  EXPECT_FALSE(source_->connection().error.title.isEmpty());
  EXPECT_GT(source_->connection().last_seen_unix_nanos, 0);
  // A pause of at least a second is told in steps.
  EXPECT_TRUE(QTest::qWaitFor(
      [&] {
        const auto smaller = [](const ConnectionStatus& a, const ConnectionStatus& b) {
          return b.state == ConnectionState::Reconnecting && b.retry_in_ms > 0 && b.retry_in_ms + 200 <= a.retry_in_ms;
        };
        return std::adjacent_find(statuses_.begin(), statuses_.end(), smaller) != statuses_.end();
      },
      15'000));
  server_.Start();
  server_.live.Commit(1);
  EXPECT_TRUE(hasAll(2));
}

TEST_F(GrpcSourceTest, StartsAgainWhenItsPlaceInTheStreamIsGone) {
  server_.Start();
  server_.live.Commit(5);
  ASSERT_TRUE(login());
  openFeed();
  ASSERT_TRUE(hasAll(5));
  server_.live.Commit(5);
  ASSERT_TRUE(hasAll(10));
  server_.live.ExpireBefore(100);
  server_.live.EndStreams(WireError("SHUTTING_DOWN"));
  ASSERT_TRUE(QTest::qWaitFor([&] { return resets_ == 2; }, 60'000));
  EXPECT_TRUE(hasAll(10));
}

TEST_F(GrpcSourceTest, TellsWhyAFeedCannotBe) {
  server_.Start();
  ASSERT_TRUE(login());
  server_.live.FailNextStream(WireError("BAD_SELECTOR"));
  QSignalSpy failed(source_.get(), &MetricsSource::feedFailed);
  const FeedId feed = openFeed();
  ASSERT_TRUE(failed.wait(10'000));
  EXPECT_EQ(failed[0][0].toULongLong(), feed);
  EXPECT_EQ(qvariant_cast<UserError>(failed[0][1]).reason, "BAD_SELECTOR");
  EXPECT_TRUE(source_->drain(feed).empty());
}

TEST_F(GrpcSourceTest, SaysThatTheSessionIsOver) {
  server_.tokens.Require(true);
  server_.Start();
  server_.live.Commit(1);
  ASSERT_TRUE(login("correct horse", true));
  openFeed();
  ASSERT_TRUE(hasAll(1));
  ASSERT_TRUE(QTest::qWaitFor([&] { return source_->keptServers() == QStringList{address()}; }, 60'000));
  QSignalSpy ended(source_.get(), &MetricsSource::sessionEnded);
  server_.auth.ForgetRefreshTokens();
  server_.tokens.RevokeAll();
  server_.live.EndStreams(WireError("TOKEN_EXPIRED"));
  ASSERT_TRUE(ended.wait(20'000));
  EXPECT_FALSE(qvariant_cast<UserError>(ended[0][0]).isEmpty());
  EXPECT_EQ(source_->connection().state, ConnectionState::Offline);
  EXPECT_TRUE(source_->keptServers().isEmpty());
}

TEST_F(GrpcSourceTest, GoesOnWithAKeptSessionAfterARestart) {
  server_.Start();
  ASSERT_TRUE(login("correct horse", true));
  ASSERT_TRUE(QTest::qWaitFor([&] { return !source_->keptServers().isEmpty(); }, 60'000));
  source_.reset();
  open();
  QSignalSpy in(source_.get(), &MetricsSource::loggedIn);
  source_->resumeSession(address());
  EXPECT_TRUE(in.wait(10'000));
  EXPECT_EQ(server_.auth.logins(), 1);
  source_->logout();
  EXPECT_TRUE(QTest::qWaitFor([&] { return source_->keptServers().isEmpty(); }, 60'000));
}

TEST_F(GrpcSourceTest, NeverSpendsTheKeptSessionOfAnotherWindow) {
  server_.Start();
  ASSERT_TRUE(login("correct horse", true));
  ASSERT_TRUE(QTest::qWaitFor([&] { return !source_->keptServers().isEmpty(); }, 60'000));
  GrpcSource second(options_);
  QSignalSpy failed(&second, &MetricsSource::loginFailed);
  second.resumeSession(address());
  ASSERT_TRUE(failed.wait(10'000));
  EXPECT_EQ(qvariant_cast<UserError>(failed[0][0]).reason, "SESSION_IN_USE");
  QSignalSpy in(&second, &MetricsSource::loggedIn);
  second.login({address(), "ada", "correct horse", true});
  ASSERT_TRUE(in.wait(10'000));
  EXPECT_EQ(server_.auth.refreshes(), 0);
  EXPECT_EQ(source_->keptServers(), QStringList{address()});  // still the first one's
}

TEST_F(GrpcSourceTest, ForgetsAKeptSessionThatTheServerRefuses) {
  server_.Start();
  ASSERT_TRUE(login("correct horse", true));
  ASSERT_TRUE(QTest::qWaitFor([&] { return !source_->keptServers().isEmpty(); }, 60'000));
  source_.reset();
  server_.auth.ForgetRefreshTokens();
  open();
  QSignalSpy failed(source_.get(), &MetricsSource::loginFailed);
  source_->resumeSession(address());
  ASSERT_TRUE(failed.wait(10'000));
  EXPECT_TRUE(source_->keptServers().isEmpty());
}

TEST_F(GrpcSourceTest, AsksAboutAnUnknownCertificateAndSendsNothingWhenRefused) {
  server_.SetCertificate(MakeSelfSigned());
  server_.Start();
  open();
  QSignalSpy asked(source_.get(), &MetricsSource::certificateQuestion);
  QSignalSpy failed(source_.get(), &MetricsSource::loginFailed);
  source_->login({address(), "ada", "correct horse", false});
  ASSERT_TRUE(asked.wait(10'000));
  const auto question = qvariant_cast<CertificateQuestion>(asked[0][0]);
  EXPECT_FALSE(question.changed());
  EXPECT_EQ(question.fingerprint_sha256.size(), 95);
  source_->answerCertificate(false);
  ASSERT_TRUE(failed.wait(10'000));
  EXPECT_EQ(server_.auth.logins(), 0);
}

TEST_F(GrpcSourceTest, RemembersATrustedCertificateAndShowsBothWhenItChanged) {
  server_.SetCertificate(MakeSelfSigned());
  server_.Start();
  open();
  QSignalSpy asked(source_.get(), &MetricsSource::certificateQuestion);
  QSignalSpy in(source_.get(), &MetricsSource::loggedIn);
  source_->login({address(), "ada", "correct horse", false});
  ASSERT_TRUE(asked.wait(10'000));
  const QString first = qvariant_cast<CertificateQuestion>(asked[0][0]).fingerprint_sha256;
  source_->answerCertificate(true);
  ASSERT_TRUE(in.wait(10'000));
  EXPECT_TRUE(source_->connection().tls);
  EXPECT_TRUE(login());  // no second question
  EXPECT_EQ(asked.count(), 1);

  server_.Stop();
  server_.SetCertificate(MakeSelfSigned());
  server_.Start();
  source_->login({address(), "ada", "correct horse", false});
  ASSERT_TRUE(asked.wait(10'000));
  const auto question = qvariant_cast<CertificateQuestion>(asked[1][0]);
  EXPECT_TRUE(question.changed());
  EXPECT_EQ(question.pinned_fingerprint_sha256, first);
  EXPECT_NE(question.fingerprint_sha256, first);
  EXPECT_FALSE(question.pinned_on.isEmpty());
}

TEST_F(GrpcSourceTest, TrustsTheFingerprintItWasGivenWithoutAsking) {
  const auto certificate = MakeSelfSigned();
  server_.SetCertificate(certificate);
  server_.Start();
  open();
  QSignalSpy asked(source_.get(), &MetricsSource::certificateQuestion);
  source_->login({address(), "ada", "correct horse", false});
  ASSERT_TRUE(asked.wait(10'000));
  options_.trusted_fingerprint = qvariant_cast<CertificateQuestion>(asked[0][0]).fingerprint_sha256.toLower();
  source_.reset();
  open();
  EXPECT_TRUE(login());
}

TEST_F(GrpcSourceTest, LooksAtAServerWithoutLoggingIn) {
  server_.Start();
  open();
  QSignalSpy probed(source_.get(), &MetricsSource::serverProbed);
  source_->probeServer(address());
  ASSERT_TRUE(probed.wait(10'000));
  auto probe = qvariant_cast<ServerProbe>(probed[0][0]);
  EXPECT_TRUE(probe.reachable && !probe.tls && probe.trusted);
  server_.Stop();
  source_->probeServer(address());
  ASSERT_TRUE(probed.wait(10'000));
  EXPECT_FALSE(qvariant_cast<ServerProbe>(probed[1][0]).reachable);
  EXPECT_EQ(server_.auth.logins(), 0);
}

TEST_F(GrpcSourceTest, EndsCleanlyWhileDataPoursIn) {
  server_.Start();
  ASSERT_TRUE(login());
  for (int i = 0; i < 5; ++i) openFeed();
  server_.live.Commit(200);
  ASSERT_TRUE(QTest::qWaitFor([&] { return !times_.empty(); }, 60'000));
  server_.live.Commit(2'000);
  source_.reset();
  EXPECT_TRUE(QTest::qWaitFor([&] { return server_.live.open_streams() == 0; }, 60'000));
}

}  // namespace
}  // namespace pulseboard::qt

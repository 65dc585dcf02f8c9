#include "client-qt/net/server_link.h"

#include <gtest/gtest.h>

#include <QCoreApplication>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <memory>

#include "client-qt/net/grpc_source.h"

namespace pulseboard::qt {
namespace {

TEST(NormalizedServer, AddsTheUsualPortAndStripsWhatIsNoAddress) {
  EXPECT_EQ(normalizedServer("metrics.example.com"), "metrics.example.com:7443");
  EXPECT_EQ(normalizedServer(" https://metrics.example.com:9000/ "), "metrics.example.com:9000");
  EXPECT_EQ(normalizedServer("10.0.0.1:1"), "10.0.0.1:1");
  EXPECT_EQ(normalizedServer("::1"), "[::1]:7443");
  EXPECT_EQ(normalizedServer("[::1]:80"), "[::1]:80");
  EXPECT_EQ(normalizedServer(""), "");
  EXPECT_EQ(normalizedServer("not a host"), "");
  EXPECT_EQ(normalizedServer("host:99999"), "");
}

class Source : public testing::Test {
 protected:
  Source() {
    options_.pins_path = dir_.filePath("pins");
    options_.sessions_path = dir_.filePath("sessions.json");
  }
  static UserError waitForFailure(GrpcSource* source, const std::function<void()>& act) {
    UserError error;
    QObject::connect(source, &MetricsSource::loginFailed, source, [&](const UserError& e) { error = e; });
    QSignalSpy spy(source, &MetricsSource::loginFailed);
    act();
    EXPECT_TRUE(spy.count() > 0 || spy.wait(15'000));
    return error;
  }
  int argc_ = 0;
  QCoreApplication app_{argc_, nullptr};
  QTemporaryDir dir_;
  NetOptions options_;
};

TEST_F(Source, SaysThatNobodyAnswers) {
  GrpcSource source(options_);
  const UserError error = waitForFailure(&source, [&] { source.login({"127.0.0.1:1", "ann", "secret", false}); });
  EXPECT_EQ(error.reason, "UNREACHABLE");
  EXPECT_EQ(source.connection().state, ConnectionState::Offline);
}

TEST_F(Source, RefusesWhatIsNoAddressWithoutAnyNetwork) {
  GrpcSource source(options_);
  EXPECT_EQ(waitForFailure(&source, [&] { source.login({"no such host", "ann", "x", false}); }).reason, "BAD_ADDRESS");
}

TEST_F(Source, AsksForALoginWhenNoSessionIsKept) {
  GrpcSource source(options_);
  EXPECT_EQ(waitForFailure(&source, [&] { source.resumeSession("localhost"); }).reason, "NO_KEPT_SESSION");
}

TEST_F(Source, NeverTakesADamagedPinFileAsAFirstVisit) {
  QFile pins(options_.pins_path);
  ASSERT_TRUE(pins.open(QIODevice::WriteOnly));
  pins.write("half a li");
  pins.close();
  GrpcSource source(options_);
  EXPECT_EQ(waitForFailure(&source, [&] { source.login({"127.0.0.1:1", "ann", "x", false}); }).reason, "PIN_FILE");
}

TEST_F(Source, EndsCleanlyWithWorkUnderWay) {
  auto source = std::make_unique<GrpcSource>(options_);
  const FeedId feed = source->openFeed({{{"a/0", "a"}}, 60, 0});
  source->probeServer("127.0.0.1:1");
  source->requestHistory("a", 0, 1, 0);
  source->login({"127.0.0.1:1", "ann", "x", false});
  EXPECT_TRUE(source->drain(feed).empty());
  source->closeFeed(feed);
  EXPECT_TRUE(source->drain(feed).empty());
  source.reset();
}

TEST_F(Source, AnswersHistoryWithoutAServerByAnError) {
  GrpcSource source(options_);
  QSignalSpy failed(&source, &MetricsSource::historyFailed);
  const RequestId id = source.requestHistory("a", 0, 1, 0);
  ASSERT_TRUE(failed.wait(5'000));
  EXPECT_EQ(failed[0][0].toULongLong(), id);
  EXPECT_EQ(qvariant_cast<UserError>(failed[0][1]).reason, "UNREACHABLE");
}

}  // namespace
}  // namespace pulseboard::qt

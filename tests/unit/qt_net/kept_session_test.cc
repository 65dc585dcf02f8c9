#include "client-qt/net/kept_session.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <QFile>
#include <QTemporaryDir>

namespace pulseboard::qt {
namespace {

TEST(KeptSessions, RememberOneSessionPerServer) {
  QTemporaryDir dir;
  KeptSessions sessions(dir.filePath("a/sessions.json"));
  EXPECT_FALSE(sessions.find("s:1"));
  EXPECT_TRUE(sessions.forget("s:1"));
  ASSERT_TRUE(sessions.keep({"s:1", "ann", "token-1"}));
  ASSERT_TRUE(sessions.keep({"s:2", "bob", "token-2"}));
  ASSERT_TRUE(sessions.keep({"s:1", "ann", "token-3"}));
  EXPECT_EQ(KeptSessions(dir.filePath("a/sessions.json")).find("s:1")->refresh_token, "token-3");
  EXPECT_EQ(sessions.servers(), (QStringList{"s:1", "s:2"}));
  ASSERT_TRUE(sessions.forget("s:1"));
  EXPECT_FALSE(sessions.find("s:1"));
  EXPECT_TRUE(sessions.find("s:2"));
}

TEST(KeptSessions, AreReadableByTheirOwnerOnly) {
  QTemporaryDir dir;
  const QString path = dir.filePath("sessions.json");
  const mode_t old = umask(0);
  EXPECT_TRUE(KeptSessions(path).keep({"s:1", "ann", "token"}));
  umask(old);
  struct stat info {};
  ASSERT_EQ(stat(path.toUtf8().constData(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(KeptSessions, AreUsedByOneProgramAtATime) {
  QTemporaryDir dir;
  const KeptSessions sessions(dir.filePath("sessions.json"));
  auto claim = sessions.claim("s:1");
  ASSERT_NE(claim, nullptr);
  EXPECT_EQ(sessions.claim("s:1"), nullptr);
  EXPECT_NE(sessions.claim("s:2"), nullptr);
  claim.reset();
  EXPECT_NE(sessions.claim("s:1"), nullptr);
}

TEST(KeptSessions, TakeADamagedFileAsNone) {
  QTemporaryDir dir;
  QFile file(dir.filePath("sessions.json"));
  ASSERT_TRUE(file.open(QIODevice::WriteOnly));
  file.write("{\"s:1\": [1,");
  file.close();
  EXPECT_FALSE(KeptSessions(file.fileName()).find("s:1"));
}

TEST(KeptSessions, SayWhenTheyCannotBeWritten) {
  EXPECT_FALSE(KeptSessions("/proc/nowhere/sessions.json").keep({"s:1", "ann", "token"}));
}

}  // namespace
}  // namespace pulseboard::qt

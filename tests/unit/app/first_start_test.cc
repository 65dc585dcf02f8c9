#include "server/app/first_start.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/base/errors.h"
#include "tests/support/identity_world.h"
#include "tests/support/temp_dir.h"

namespace pulseboard {
namespace {

using testing::IdentityWorld;
using testing::ReadFile;
using testing::TempDir;
using testing::WriteFile;

// Runs EnsureAdmin and returns what it printed.
std::string Ensure(IdentityWorld& world, const std::string& file) {
  ::testing::internal::CaptureStdout();
  const absl::Status status = EnsureAdmin(*world.users, file);
  const std::string printed = ::testing::internal::GetCapturedStdout();
  EXPECT_TRUE(status.ok()) << status;
  // The log's default sink is stdout as well: only the line about the admin counts.
  const size_t begin = printed.find("admin password");
  if (begin == std::string::npos) return "";
  return printed.substr(begin, printed.find('\n', begin) + 1 - begin);
}

TEST(EnsureAdmin, PrintsARandomPasswordOnce) {
  IdentityWorld world;
  const std::string printed = Ensure(world, "");
  ASSERT_THAT(printed, ::testing::MatchesRegex("admin password: [a-z0-9-]+\n"));
  const std::string password = printed.substr(16, printed.size() - 17);
  EXPECT_TRUE(world.Login("admin", password).ok());
  EXPECT_EQ(Ensure(world, ""), "");
  world.Restart();
  EXPECT_EQ(Ensure(world, ""), "");
  EXPECT_EQ(world.users->Count(kDefaultTenant), 1);
}

TEST(EnsureAdmin, TakesThePasswordFromAFile) {
  const TempDir dir;
  WriteFile(dir.File("pw"), "given by the operator\nsecond line\n");
  IdentityWorld world;
  EXPECT_EQ(Ensure(world, dir.File("pw")), "");
  EXPECT_TRUE(world.Login("admin", "given by the operator").ok());
}

TEST(EnsureAdmin, WritesTheFileThatIsMissing) {
  const TempDir dir;
  IdentityWorld world;
  EXPECT_EQ(Ensure(world, dir.File("pw")), "admin password file: " + dir.File("pw") + "\n");
  struct stat info {};
  ASSERT_EQ(stat(dir.File("pw").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  std::string password = ReadFile(dir.File("pw"));
  ASSERT_EQ(password.back(), '\n');
  password.pop_back();
  EXPECT_TRUE(world.Login("admin", password).ok());
}

TEST(EnsureAdmin, RefusesAPasswordThatIsTooShort) {
  const TempDir dir;
  WriteFile(dir.File("pw"), "short\n");
  IdentityWorld world;
  const absl::Status status = EnsureAdmin(*world.users, dir.File("pw"));
  EXPECT_TRUE(HasReason(status, ErrorReason::kBadField));
  EXPECT_EQ(StatusMessage(status).find("short"), std::string::npos) << "the password is not repeated";
  EXPECT_EQ(world.users->Count(kDefaultTenant), 0);
}

TEST(EnsureAdmin, LeavesAnExistingAdminAlone) {
  const TempDir dir;
  IdentityWorld world;
  ASSERT_TRUE(CreateFirstAdmin(*world.users, Secret("the first password")).ok());
  EXPECT_EQ(Ensure(world, dir.File("pw")), "");
  EXPECT_EQ(ReadFile(dir.File("pw")), "");
  EXPECT_TRUE(world.Login("admin", "the first password").ok());
}

}  // namespace
}  // namespace pulseboard

#include "server/app/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/temp_dir.h"

namespace pulseboard {
namespace {

using testing::TempDir;

mode_t Mode(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777;
}

TEST(Files, WritesWholeFilesWithTheModeAsked) {
  const TempDir dir;
  const std::string path = dir.File("f");
  const mode_t before = umask(0);  // a loose umask must not loosen the file, nor a strict one tighten it
  ASSERT_TRUE(WriteFileAtomically(path, "one", 0600).ok());
  EXPECT_EQ(Mode(path), 0600u);
  umask(0777);
  const absl::Status second = WriteFileAtomically(path, std::string(100'000, 'x'), 0644);
  umask(before);
  ASSERT_TRUE(second.ok()) << second;
  EXPECT_EQ(Mode(path), 0644u);
  EXPECT_EQ(ReadFile(path)->size(), 100'000u);
}

TEST(Files, ReplacesWhatACrashLeft) {
  const TempDir dir;
  testing::WriteFile(dir.File("f.new"), "half");
  ASSERT_TRUE(WriteFileAtomically(dir.File("f"), "whole", 0600).ok());
  EXPECT_EQ(ReadFile(dir.File("f")).value(), "whole");
  EXPECT_FALSE(ReadFile(dir.File("f.new")).ok());
}

TEST(Files, ReadsFirstLines) {
  const TempDir dir;
  for (const auto& [content, line] :
       {std::pair{"a\nb\n", "a"}, {"a", "a"}, {"a\r\nb", "a"}, {"", ""}, {" a ", " a "}}) {
    testing::WriteFile(dir.File("f"), content);
    EXPECT_EQ(ReadFirstLine(dir.File("f")).value(), line);
  }
  EXPECT_TRUE(absl::IsNotFound(ReadFirstLine(dir.File("none")).status()));
}

TEST(Files, MakesPrivateDirectories) {
  const TempDir dir;
  ASSERT_TRUE(MakePrivateDirectory(dir.File("a/b/c")).ok());
  EXPECT_EQ(Mode(dir.File("a/b/c")), 0700u);
  EXPECT_TRUE(MakePrivateDirectory(dir.File("a/b/c")).ok());
  testing::WriteFile(dir.File("file"), "");
  EXPECT_FALSE(MakePrivateDirectory(dir.File("file")).ok());
  EXPECT_FALSE(MakePrivateDirectory(dir.File("file/below")).ok());
}

}  // namespace
}  // namespace pulseboard

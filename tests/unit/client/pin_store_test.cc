#include "common/client/pin_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>
#include <vector>

#include "tests/support/temp_dir.h"

namespace pulseboard::client {
namespace {

using testing::ReadFile;
using testing::TempDir;
using testing::WriteFile;

std::string FingerprintOf(char digit) {
  std::string out;
  for (int i = 0; i < 32; ++i) out += std::string(i > 0 ? ":" : "") + digit + digit;
  return out;
}

TEST(Fingerprint, IsTheSameInEverySpelling) {
  const std::string plain(64, 'a');
  EXPECT_EQ(NormalizeFingerprint(plain), FingerprintOf('A'));
  EXPECT_EQ(NormalizeFingerprint(FingerprintOf('a')), FingerprintOf('A'));
  EXPECT_EQ(NormalizeFingerprint(FingerprintOf('A')), FingerprintOf('A'));
}

TEST(Fingerprint, IsEmptyForAnythingElse) {
  for (const std::string& bad :
       {std::string(), std::string("AA"), std::string(63, 'a'), std::string(66, 'a'), std::string(64, 'g')}) {
    EXPECT_EQ(NormalizeFingerprint(bad), "") << bad;
  }
}

TEST(PinStore, KeepsPinsInAFileOfItsOwner) {
  const TempDir dir;
  const std::string path = dir.File("deep/er/known_servers");
  {
    auto store = PinStore::Open(path);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE(store->SetPin("web-1:7443", FingerprintOf('1'), 1000).ok());
    ASSERT_TRUE(store->SetPin("[::1]:7443", FingerprintOf('2'), 2000).ok());
  }
  const auto again = PinStore::Open(path);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->Find("web-1:7443"), (Pin{FingerprintOf('1'), 1000}));
  EXPECT_EQ(again->Find("[::1]:7443"), (Pin{FingerprintOf('2'), 2000}));
  EXPECT_EQ(again->Find("web-1:7444"), std::nullopt);
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST(PinStore, ReplacesAndRemoves) {
  const TempDir dir;
  auto store = PinStore::Open(dir.File("pins"));
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE(store->SetPin("a:1", FingerprintOf('1'), 1).ok());
  ASSERT_TRUE(store->SetPin("a:1", FingerprintOf('2'), 2).ok());
  EXPECT_EQ(store->Find("a:1")->fingerprint, FingerprintOf('2'));
  ASSERT_TRUE(store->Remove("a:1").ok());
  ASSERT_TRUE(store->Remove("never:1").ok());
  EXPECT_EQ(store->Find("a:1"), std::nullopt);
  EXPECT_EQ(PinStore::Open(dir.File("pins"))->Find("a:1"), std::nullopt);
}

TEST(PinStore, SeesWhatAnotherProcessWroteBeforeItWritesItself) {
  const TempDir dir;
  auto first = PinStore::Open(dir.File("pins")), second = PinStore::Open(dir.File("pins"));
  ASSERT_TRUE(first.ok() && second.ok());
  ASSERT_TRUE(first->SetPin("a:1", FingerprintOf('1'), 1).ok());
  ASSERT_TRUE(second->SetPin("b:1", FingerprintOf('2'), 1).ok());
  EXPECT_TRUE(second->Find("a:1"));
  const auto third = PinStore::Open(dir.File("pins"));
  EXPECT_TRUE(third->Find("a:1"));
  EXPECT_TRUE(third->Find("b:1"));
}

TEST(PinStore, LosesNothingWhenManyWriteAtOnce) {
  const TempDir dir;
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i) {
    writers.emplace_back([&, i] {
      auto store = PinStore::Open(dir.File("pins"));
      ASSERT_TRUE(store.ok());
      for (int n = 0; n < 5; ++n) {
        ASSERT_TRUE(store->SetPin("s" + std::to_string(i) + ":" + std::to_string(n), FingerprintOf('3'), n).ok());
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  const auto store = PinStore::Open(dir.File("pins"));
  ASSERT_TRUE(store.ok()) << store.status();
  for (int i = 0; i < 8; ++i) {
    for (int n = 0; n < 5; ++n) EXPECT_TRUE(store->Find("s" + std::to_string(i) + ":" + std::to_string(n)));
  }
}

TEST(PinStore, RefusesADamagedFileInsteadOfTrustingAnew) {
  const TempDir dir;
  for (const std::string bad : {"web-1:7443", "web-1:7443 AA:BB 12", "web-1:7443 x", "web-1 7443"}) {
    WriteFile(dir.File("pins"), "# header\n" + bad + "\n");
    const auto store = PinStore::Open(dir.File("pins"));
    ASSERT_EQ(store.status().code(), absl::StatusCode::kDataLoss) << bad;
    EXPECT_NE(store.status().ToString().find("line 2"), std::string::npos) << store.status();
  }
}

TEST(PinStore, RefusesNamesThatWouldBreakTheFile) {
  const TempDir dir;
  auto store = PinStore::Open(dir.File("pins"));
  ASSERT_TRUE(store.ok());
  for (const std::string bad : {"", "no-port", "a b:1", "a:1\nevil:1", "#a:1"}) {
    EXPECT_EQ(store->SetPin(bad, FingerprintOf('1'), 1).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(store->SetPin("a:1", "nonsense", 1).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadFile(dir.File("pins")), "");
}

TEST(PinStore, KeepsWhatItHadWhenTheFileCannotBeWritten) {
  auto store = PinStore::Open("/proc/no/such/place");
  ASSERT_TRUE(store.ok());
  EXPECT_FALSE(store->SetPin("a:1", FingerprintOf('1'), 1).ok());
  EXPECT_EQ(store->Find("a:1"), std::nullopt);
}

}  // namespace
}  // namespace pulseboard::client

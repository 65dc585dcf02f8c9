#include "server/app/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/errors.h"
#include "tests/support/temp_dir.h"

namespace pulseboard {
namespace {

using testing::ReadFile;
using testing::TempDir;
using testing::WriteFile;

mode_t Mode(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777;
}

TEST(Certificate, IsMadeOnceAndKept) {
  const TempDir dir;
  const auto first = LoadOrMakeTlsIdentity(dir.path(), SystemClock());
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = LoadOrMakeTlsIdentity(dir.path(), SystemClock());
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->fingerprint, first->fingerprint);
  EXPECT_EQ(second->pair.private_key_pem, first->pair.private_key_pem);
  EXPECT_EQ(Mode(dir.File("tls.key")), 0600u);
  const TempDir other;
  EXPECT_NE(LoadOrMakeTlsIdentity(other.path(), SystemClock())->fingerprint, first->fingerprint);
}

TEST(Certificate, HasAFingerprintOf32Pairs) {
  const TempDir dir;
  const auto identity = LoadOrMakeTlsIdentity(dir.path(), SystemClock());
  EXPECT_THAT(identity->fingerprint, ::testing::MatchesRegex("[0-9A-F:]*"));
  EXPECT_EQ(identity->fingerprint.size(), 32u * 3 - 1);
}

TEST(Certificate, NamesThisMachine) {
  const TempDir dir;
  const auto identity = LoadOrMakeTlsIdentity(dir.path(), SystemClock());
  const auto names = CertificateNames(identity->pair.certificate_pem);
  ASSERT_TRUE(names.ok());
  EXPECT_THAT(*names, ::testing::IsSupersetOf({"DNS:localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1"}));
  char host[256] = {};
  ASSERT_EQ(gethostname(host, sizeof(host) - 1), 0);
  EXPECT_THAT(*names, ::testing::Contains("DNS:" + std::string(host)));
}

TEST(Certificate, IsGoodForTenYears) {
  const TempDir dir;
  const int64_t now = SystemClock().NowUnixNanos();
  ASSERT_TRUE(LoadOrMakeTlsIdentity(dir.path(), ManualClock(now)).ok());
  const auto loads_after = [&](int64_t days) {
    return LoadTlsIdentity(dir.File("tls.crt"), dir.File("tls.key"), ManualClock(now + days * kNanosPerDay)).status();
  };
  EXPECT_TRUE(loads_after(3649).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(loads_after(3651)));
  EXPECT_TRUE(absl::IsFailedPrecondition(loads_after(-1)));
}

TEST(Certificate, IsMadeAnewAfterACrashBeforeItsKey) {
  const TempDir dir;
  WriteFile(dir.File("tls.crt"), "half");
  EXPECT_TRUE(LoadOrMakeTlsIdentity(dir.path(), SystemClock()).ok());
}

TEST(Certificate, RefusesWhatDoesNotFit) {
  const TempDir a;
  const TempDir b;
  ASSERT_TRUE(LoadOrMakeTlsIdentity(a.path(), SystemClock()).ok());
  ASSERT_TRUE(LoadOrMakeTlsIdentity(b.path(), SystemClock()).ok());
  const auto message = [](const std::string& certificate, const std::string& key) {
    return StatusMessage(LoadTlsIdentity(certificate, key, SystemClock()).status());
  };
  EXPECT_EQ(message(a.File("tls.crt"), b.File("tls.key")),
            b.File("tls.key") + ": is not the key of " + a.File("tls.crt"));
  EXPECT_EQ(message(a.File("tls.key"), a.File("tls.key")), a.File("tls.key") + ": holds no PEM certificate");
  EXPECT_EQ(message(a.File("tls.crt"), a.File("tls.crt")),
            a.File("tls.crt") + ": holds no unencrypted PEM private key");
  EXPECT_THAT(message(a.File("none"), a.File("tls.key")), ::testing::StartsWith(a.File("none") + ": "));
}

}  // namespace
}  // namespace pulseboard

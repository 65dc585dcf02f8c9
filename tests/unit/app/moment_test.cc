#include "server/app/moment.h"

#include <gtest/gtest.h>

#include "common/base/clock.h"
#include "common/base/errors.h"

namespace pulseboard {
namespace {

constexpr int64_t kNow = 1'795'514'400 * kNanosPerSecond;  // 2026-11-24T10:00:00Z

TEST(Moment, IsNow) { EXPECT_EQ(*ParseMoment("--to", "now", kNow), kNow); }

TEST(Moment, IsThatLongAgo) {
  for (const char* text : {"-1h30m", "1h30m ago", "1h30m", "90m"}) {
    EXPECT_EQ(*ParseMoment("--from", text, kNow), kNow - 5'400 * kNanosPerSecond) << text;
  }
  EXPECT_EQ(*ParseMoment("--from", "-0", kNow), kNow);
}

TEST(Moment, IsUnixSecondsToTheNanosecond) {
  EXPECT_EQ(*ParseMoment("--from", "0", kNow), 0);
  EXPECT_EQ(*ParseMoment("--from", "1795514400", kNow), kNow);
  EXPECT_EQ(*ParseMoment("--from", "1795514400.123456789", kNow), kNow + 123'456'789);
}

TEST(Moment, IsRfc3339) {
  EXPECT_EQ(*ParseMoment("--from", "2026-11-24T10:00:00Z", kNow), kNow);
  EXPECT_EQ(*ParseMoment("--from", "2026-11-24T11:30:00.25+01:30", kNow), kNow + 250 * kNanosPerMilli);
  EXPECT_EQ(*ParseMoment("--from", "2026-11-24", kNow), kNow - 36'000 * kNanosPerSecond);
}

TEST(Moment, SaysWhatWouldBeAccepted) {
  for (const char* text : {"", "yesterday", "-", " ago", "-1h ago", "1h  ago", "-5", "-300y", "2026-13-01", "now "}) {
    const absl::Status status = ParseMoment("--from", text, kNow).status();
    EXPECT_TRUE(HasReason(status, ErrorReason::kBadField)) << text;
    for (const char* word : {"--from", "now", "-1h", "1h ago", "Unix seconds", "RFC 3339"}) {
      EXPECT_NE(status.message().find(word), std::string::npos) << status.message();
    }
  }
}

}  // namespace
}  // namespace pulseboard

#include "server/live/resume_token.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/base/errors.h"
#include "server/live/hub.h"

namespace pulseboard {
namespace {

TEST(ResumeToken, ComesBackAsItWent) {
  for (const int64_t sequence : {int64_t{0}, int64_t{1}, std::numeric_limits<int64_t>::max()}) {
    const ResumePosition position{sequence / 2, sequence, 0xfedcba9876543210};
    const auto parsed = ParseResumeToken(MakeResumeToken("store-1", 42, position), "store-1", 42);
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(*parsed, position);
  }
}

TEST(ResumeToken, IsRefusedWhenAnyByteChanged) {
  const std::string token = MakeResumeToken("store-1", 42, {7, 7, 1});
  for (size_t i = 0; i < token.size(); ++i) {
    std::string damaged = token;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x20);
    EXPECT_TRUE(HasReason(ParseResumeToken(damaged, "store-1", 42).status(), ErrorReason::kBadResumeToken)) << i;
  }
  for (size_t length = 0; length < token.size(); ++length) {
    EXPECT_FALSE(ParseResumeToken(token.substr(0, length), "store-1", 42).ok());
  }
  EXPECT_FALSE(ParseResumeToken(token + "x", "store-1", 42).ok());
}

TEST(ResumeToken, IsBoundToStoreAndQueries) {
  const std::string token = MakeResumeToken("store-1", 42, {7, 7, 1});
  EXPECT_TRUE(HasReason(ParseResumeToken(token, "store-2", 42).status(), ErrorReason::kBadResumeToken));
  EXPECT_TRUE(HasReason(ParseResumeToken(token, "store-1", 43).status(), ErrorReason::kBadResumeToken));
}

TEST(ResumeToken, HashTellsQueriesApart) {
  const LiveQuerySpec query{"id", "cpu", 5, 6};
  const uint64_t hash = HashLiveQueries(1, {query}, {});
  EXPECT_EQ(hash, HashLiveQueries(1, {query}, {}));
  EXPECT_NE(hash, HashLiveQueries(2, {query}, {}));
  EXPECT_NE(hash, HashLiveQueries(1, {{"id", "mem", 5, 6}}, {}));
  EXPECT_NE(hash, HashLiveQueries(1, {{"i", "dcpu", 5, 6}}, {}));
  EXPECT_NE(hash, HashLiveQueries(1, {{"id", "cpu", 4, 6}}, {}));
  EXPECT_NE(hash, HashLiveQueries(1, {{"id", "cpu", 5, 7}}, {}));
  EXPECT_NE(hash, HashLiveQueries(1, {query, query}, {}));
}

}  // namespace
}  // namespace pulseboard

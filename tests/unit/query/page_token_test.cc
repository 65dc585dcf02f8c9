#include "server/query/page_token.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

TEST(PageToken, ComesBackAsItWent) {
  const std::string position("a\0\xff z", 5);
  const std::string token = MakePageToken({"1", "metrics", "cpu"}, position);
  for (const char c : token) EXPECT_TRUE(std::isxdigit(static_cast<unsigned char>(c)) != 0);
  EXPECT_EQ(*ParsePageToken(token, {"1", "metrics", "cpu"}), position);
}

TEST(PageToken, IsBoundToItsRequest) {
  const std::string token = MakePageToken({"1", "metrics", "cpu"}, "x");
  EXPECT_TRUE(HasReason(ParsePageToken(token, {"2", "metrics", "cpu"}).status(), ErrorReason::kBadPageToken));
  EXPECT_FALSE(ParsePageToken(token, {"1", "metricsc", "pu"}).ok());
  EXPECT_FALSE(ParsePageToken(token, {"1", "metrics"}).ok());
}

TEST(PageToken, IsRefusedWhenDamaged) {
  const std::string token = MakePageToken({"r"}, "position");
  for (size_t i = 0; i < token.size(); ++i) {
    std::string damaged = token;
    damaged[i] = damaged[i] == '0' ? '1' : '0';
    if (damaged == token) continue;
    EXPECT_FALSE(ParsePageToken(damaged, {"r"}).ok()) << i;
  }
  for (const std::string& text : {std::string(), std::string("xyz"), std::string("0"), std::string(100'000, 'f'),
                                  token.substr(0, token.size() - 2), token + "00"}) {
    EXPECT_TRUE(HasReason(ParsePageToken(text, {"r"}).status(), ErrorReason::kBadPageToken));
  }
}

}  // namespace
}  // namespace pulseboard

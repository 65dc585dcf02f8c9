#include "server/app/config_value.h"

#include <gtest/gtest.h>

#include <limits>

namespace pulseboard {
namespace {

TEST(ConfigValue, ReadsIntegersAndBools) {
  EXPECT_EQ(ParseInteger("-5"), -5);
  EXPECT_EQ(ParseInteger("9223372036854775807"), std::numeric_limits<int64_t>::max());
  for (const char* text : {"", "x", "5x", "0x10", "9223372036854775808", "1.0"}) {
    EXPECT_EQ(ParseInteger(text), std::nullopt) << text;
  }
  EXPECT_EQ(ParseBool("true"), true);
  EXPECT_EQ(ParseBool("false"), false);
  for (const char* text : {"", "True", "yes", "1"}) EXPECT_EQ(ParseBool(text), std::nullopt) << text;
}

}  // namespace
}  // namespace pulseboard

#include "server/transfer/text_numbers.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

namespace pulseboard {
namespace {

TEST(ParseValue, ReadsDecimalsRoundedOnce) {
  const std::pair<std::string_view, double> rows[] = {
      {"0", 0.0},
      {"-0", -0.0},
      {"1", 1},
      {"+1", 1},
      {"1.5", 1.5},
      {".5", 0.5},
      {"5.", 5},
      {"1e3", 1000},
      {"1E-3", 0.001},
      {"0.1", 0.1},
      {"9007199254740993", 9007199254740992.0},
      {"1.7976931348623157e308", 1.7976931348623157e308},
      {"5e-324", 5e-324},
      {"2.2250738585072011e-308", 2.2250738585072011e-308},
      {"1e-400", 0.0},
      {"0.500000000000000166533453693773481063544750213623046875", 0.500000000000000222044604925031308},
      {"inf", std::numeric_limits<double>::infinity()},
      {"+Inf", std::numeric_limits<double>::infinity()},
      {"-Inf", -std::numeric_limits<double>::infinity()},
      {"INFINITY", std::numeric_limits<double>::infinity()},
  };
  for (const auto& [text, expected] : rows) {
    const auto value = ParseValue(text);
    ASSERT_TRUE(value.has_value()) << text;
    EXPECT_EQ(std::bit_cast<uint64_t>(*value), std::bit_cast<uint64_t>(expected)) << text;
  }
  for (const std::string_view text : {"nan", "NaN", "+NaN", "-nan", "NAN"}) {
    const auto value = ParseValue(text);
    ASSERT_TRUE(value.has_value()) << text;
    EXPECT_EQ(std::bit_cast<uint64_t>(*value), std::bit_cast<uint64_t>(std::numeric_limits<double>::quiet_NaN()))
        << text;
  }
}

TEST(ParseValue, RefusesWhatIsNoDecimal) {
  for (const std::string_view text :
       {"",    "+",   "-",   ".",      "e5",      "1e",    "0x10",   "1 ",    " 1",  "1,5",
        "++1", "+-1", "--1", "nan(1)", "infinit", "1e999", "-1e999", "1.5.5", "one", "1_000"}) {
    EXPECT_FALSE(ParseValue(text).has_value()) << text;
  }
}

TEST(AppendValue, IsReadBackToTheSameBits) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 200'000; ++i) {
    const auto value = std::bit_cast<double>(random());
    std::string text;
    AppendValue(value, &text);
    const auto back = ParseValue(text);
    ASSERT_TRUE(back.has_value()) << text;
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(*back));
    } else {
      ASSERT_EQ(std::bit_cast<uint64_t>(*back), std::bit_cast<uint64_t>(value)) << text;
    }
  }
}

TEST(ParseDecimalTime, IsExactToTheNanosecond) {
  const struct {
    std::string_view text;
    int digits;
    int64_t expected;
  } rows[] = {
      {"0", 9, 0},
      {"1", 9, 1'000'000'000},
      {"1700000000.123456789", 9, 1'700'000'000'123'456'789},
      {"1700000000.1", 9, 1'700'000'000'100'000'000},
      {"1700000000123", 6, 1'700'000'000'123'000'000},
      {"1700000000123.456789", 6, 1'700'000'000'123'456'789},
      {"1700000000123456789", 0, 1'700'000'000'123'456'789},
      {"1.7e9", 9, 1'700'000'000'000'000'000},
      {"17E8", 9, 1'700'000'000'000'000'000},
      {"+5", 9, 5'000'000'000},
      {".000000001", 9, 1},
      {"0.0000000005", 9, 1},
      {"0.00000000049999999999999999999999", 9, 0},
      {"1700000000.1234567894999999999", 9, 1'700'000'000'123'456'789},
      {"1700000000.1234567895", 9, 1'700'000'000'123'456'790},
      {"9223372036.854775807", 9, 9'223'372'036'854'775'807},
      {"0e1000000000000", 9, 0},
      {"-0", 9, 0},
      {"1e-1000000", 9, 0},
      {"0000000000000000000000000000000001", 9, 1'000'000'000},
  };
  for (const auto& row : rows) {
    const auto time = ParseDecimalTime(row.text, row.digits);
    ASSERT_TRUE(time.has_value()) << row.text;
    EXPECT_EQ(*time, row.expected) << row.text;
  }
  for (const std::string_view text :
       {"", "-1", "9223372036.854775808", "1e10", "1e99999999999", "x", "1.2.3", "1 ", "nan", "inf", "1e", "."}) {
    EXPECT_FALSE(ParseDecimalTime(text, 9).has_value()) << text;
  }
}

TEST(AppendDecimalTime, IsReadBack) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20'000; ++i) {
    const auto time = static_cast<int64_t>(random() >> (1 + random() % 40));
    for (const int digits : {0, 3, 6, 9}) {
      std::string text;
      AppendDecimalTime(time, digits, &text);
      ASSERT_EQ(ParseDecimalTime(text, digits), time) << text;
    }
  }
}

}  // namespace
}  // namespace pulseboard

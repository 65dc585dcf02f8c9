#include "client-qt/model/units.h"

#include <gtest/gtest.h>

#include <cmath>

namespace pulseboard::qt {
namespace {

// Plain spaces in place of the thin ones.
std::string plain(QString text) { return text.replace(QChar(0x202f), QLatin1Char(' ')).toStdString(); }
std::string format(double value, const char* unit) { return plain(formatValue(value, QString::fromLatin1(unit))); }

TEST(Units, ScaleBytesByOneThousandTwentyFour) {
  EXPECT_EQ(format(13'314'398'617.6, "By"), "12.4 GiB");
  EXPECT_EQ(format(1'024, "By"), "1.00 KiB");
  EXPECT_EQ(format(512, "By"), "512 B");
  EXPECT_EQ(format(0, "By"), "0 B");
}

TEST(Units, ScaleRatesByOneThousand) {
  EXPECT_EQ(format(1'200'000, "By/s"), "1.20 MB/s");
  EXPECT_EQ(format(950, "By/s"), "950 B/s");
  EXPECT_EQ(format(1'420, "1/s"), "1,420 /s");
  EXPECT_EQ(format(142'000, "1/s"), "142 k/s");
}

TEST(Units, ShowPercentWithOneDecimal) {
  EXPECT_EQ(format(43.06, "%"), "43.1 %");
  EXPECT_EQ(format(100, "%"), "100.0 %");
}

TEST(Units, ShowDurationsInTheirOwnUnits) {
  EXPECT_EQ(format(0.0042, "s"), "4.20 ms");
  EXPECT_EQ(format(7'500, "s"), "2 h 5 min");
  EXPECT_EQ(format(42, "ms"), "42.0 ms");
  EXPECT_EQ(formatDuration(38'000'000'000), "38 s");
  EXPECT_EQ(formatDuration(250'000'000'000), "4 min 10 s");
  EXPECT_EQ(formatDuration(120'000'000), "120 ms");
  EXPECT_EQ(formatDuration(273'600'000'000'000), "3 d 4 h");
}

TEST(Units, ShareOneScaleOnAnAxis) {
  const UnitScale scale = unitScale(8.0 * (1ull << 30), "By");
  EXPECT_EQ(plain(scale.text(0)), "0.00 GiB");
  EXPECT_EQ(plain(scale.text(2.0 * (1ull << 30))), "2.00 GiB");
}

TEST(Units, SurviveOddNumbers) {
  EXPECT_EQ(format(std::nan(""), "By"), "–");
  EXPECT_EQ(format(INFINITY, "%"), "∞ %");
  EXPECT_EQ(format(-1'500, "By/s"), "−1.50 kB/s");
  EXPECT_EQ(format(-0.0, "1"), "0.00");
  EXPECT_EQ(format(1e300, "1").substr(0, 1), "1");
}

TEST(Units, GroupCounts) { EXPECT_EQ(formatCount(1'420), "1,420"); }

}  // namespace
}  // namespace pulseboard::qt

#include "server/ingest/point_history.h"

#include <gtest/gtest.h>

namespace pulseboard {
namespace {

TEST(PointHistory, RemembersTheNewestPointOfEachSeries) {
  PointHistory history;
  EXPECT_FALSE(history.Exchange(7, 10).has_value());
  EXPECT_FALSE(history.Exchange(8, 11).has_value());
  EXPECT_EQ(history.Exchange(7, 20), 10);
  EXPECT_EQ(history.Exchange(7, 15), 20) << "a late one";
  EXPECT_EQ(history.Exchange(7, 25), 20);
}

TEST(PointHistory, ForgetsWhatIsPushedOutInsteadOfGrowing) {
  PointHistory history;
  EXPECT_FALSE(history.Exchange(5, 10).has_value());
  EXPECT_FALSE(history.Exchange(5 + PointHistory::kEntries, 10).has_value());
  EXPECT_FALSE(history.Exchange(5, 11).has_value());
}

}  // namespace
}  // namespace pulseboard

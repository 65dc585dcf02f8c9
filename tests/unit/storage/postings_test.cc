#include "server/storage/postings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "server/storage/id_table.h"
#include "server/storage/series_ages.h"

namespace pulseboard {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

SeriesId RandomId(std::mt19937_64* random) {
  // Both sides of 2^32, where one bitmap ends.
  return ((*random)() % 3 << 32) + (*random)() % 50 + ((*random)() % 2 == 0 ? 0 : 0xffffffe0) + 1;
}

TEST(SeriesSet, BehavesLikeASetAcrossBitmaps) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    SeriesSet a, b;
    std::set<SeriesId> ma, mb;
    for (int i = 0; i < 60; ++i) {
      const SeriesId x = RandomId(&random), y = RandomId(&random), gone = RandomId(&random);
      a.Add(x), ma.insert(x);
      b.Add(y), mb.insert(y);
      if (i % 3 == 0) a.Remove(gone), ma.erase(gone);
    }
    ASSERT_THAT(a.ToVector(), ElementsAreArray(ma));
    ASSERT_EQ(a.size(), static_cast<int64_t>(ma.size()));
    ASSERT_EQ(a.Smallest(), *ma.begin());
    const SeriesId probe = RandomId(&random);
    ASSERT_EQ(a.Contains(probe), ma.contains(probe));
    ASSERT_EQ(a.CountFrom(probe), std::distance(ma.lower_bound(probe), ma.end()));
    ASSERT_EQ(SeriesSet(a.ToVector()), a);
    std::vector<SeriesId> both, either, only_a;
    std::set_intersection(ma.begin(), ma.end(), mb.begin(), mb.end(), std::back_inserter(both));
    std::set_union(ma.begin(), ma.end(), mb.begin(), mb.end(), std::back_inserter(either));
    std::set_difference(ma.begin(), ma.end(), mb.begin(), mb.end(), std::back_inserter(only_a));
    ASSERT_EQ(a.CountCommon(b), static_cast<int64_t>(both.size()));
    SeriesSet c = a, d = a, e = a;
    ASSERT_EQ((c &= b).ToVector(), both);
    ASSERT_EQ((d |= b).ToVector(), either);
    ASSERT_EQ((e -= b).ToVector(), only_a);
    a.Compress();
    std::string bytes;
    a.Encode(&bytes);
    SeriesSet read;
    ASSERT_TRUE(SeriesSet::Decode(bytes, &read));
    ASSERT_EQ(read, a);
    ASSERT_FALSE(SeriesSet::Decode(bytes + "x", &read));
    ASSERT_FALSE(SeriesSet::Decode(std::string_view(bytes).substr(0, bytes.size() - 1), &read));
  }
}

TEST(SeriesSet, IsEmptyAfterItsLastMember) {
  SeriesSet set;
  set.Add(SeriesId{5} << 33);
  set.Remove(SeriesId{5} << 33);
  EXPECT_TRUE(set.empty());
  EXPECT_EQ(set.Smallest(), 0u);
  EXPECT_EQ(set, SeriesSet());
}

TEST(Postings, NeedABitmapFromTheSecondSeriesOn) {
  Postings postings;
  EXPECT_TRUE(postings.empty());
  postings.Add(7);
  EXPECT_EQ(postings.bitmap(), nullptr);
  EXPECT_EQ(postings.Smallest(), 7u);
  EXPECT_EQ(postings.CountFrom(7), 1);
  EXPECT_EQ(postings.CountFrom(8), 0);
  postings.Add(3);
  ASSERT_NE(postings.bitmap(), nullptr);
  EXPECT_THAT(postings.ToSet().ToVector(), ElementsAre(3, 7));
  EXPECT_EQ(postings.CountFrom(4), 1);
  postings.Remove(3);
  EXPECT_EQ(postings.bitmap(), nullptr);
  EXPECT_TRUE(postings.Contains(7));
  postings.Remove(3);
  EXPECT_EQ(postings.size(), 1);
  postings.Remove(7);
  EXPECT_TRUE(postings.empty());
}

TEST(IdTable, GivesBackWhatIsErased) {
  IdTable<int> table;
  table.At(5) = 1;
  table.At(1'000'000) = 2;
  EXPECT_EQ(*table.Find(5), 1);
  EXPECT_EQ(table.Find(6), nullptr);
  EXPECT_EQ(table.Find(10'000'000), nullptr);
  EXPECT_EQ(table.size(), 2u);
  table.Erase(5);
  table.Erase(6);
  EXPECT_EQ(table.Find(5), nullptr);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.At(5), 0) << "an erased value is made anew";
}

TEST(SeriesAges, TellsWhichIdsCameSince) {
  constexpr int64_t kHour = 3600 * kNanosPerSecond;
  SeriesAges ages;
  EXPECT_EQ(ages.FirstIdSince(5 * kHour), 0u);
  EXPECT_TRUE(ages.Note(1 * kHour, 1));
  EXPECT_FALSE(ages.Note(1 * kHour + kNanosPerSecond, 50)) << "a minute has not passed";
  EXPECT_TRUE(ages.Note(2 * kHour, 100));
  EXPECT_FALSE(ages.Note(3 * kHour, 100)) << "no series came";
  EXPECT_TRUE(ages.Note(4 * kHour, 400));
  EXPECT_EQ(ages.FirstIdSince(0), 1u);
  EXPECT_EQ(ages.FirstIdSince(1 * kHour), 1u);
  EXPECT_EQ(ages.FirstIdSince(2 * kHour), 100u);
  EXPECT_EQ(ages.FirstIdSince(3 * kHour), 100u);
  EXPECT_EQ(ages.FirstIdSince(9 * kHour), 400u);
  SeriesAges read;
  ASSERT_TRUE(read.Decode(ages.Encode()));
  EXPECT_EQ(read.FirstIdSince(3 * kHour), 100u);
  EXPECT_FALSE(read.Decode("\x05"));
  for (int64_t h = 5; h < 100; ++h) ages.Note(h * kHour, static_cast<SeriesId>(h * 100));
  EXPECT_EQ(ages.FirstIdSince(75 * kHour), 7500u);
  EXPECT_EQ(ages.FirstIdSince(0), 7300u) << "marks older than a day are let go";
}

}  // namespace
}  // namespace pulseboard

#include "server/storage/series_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

SeriesIndex::Reserve Free() {
  return [](SeriesId) { return absl::OkStatus(); };
}

SeriesId Create(SeriesIndex* index, const std::string& metric, Labels labels, TenantId tenant = kDefaultTenant) {
  return index->FindOrCreate(tenant, SeriesKey{metric, std::move(labels)}, {}, nullptr).value();
}

std::vector<SeriesId> Select(const SeriesIndex& index, std::string_view text, TenantId tenant = kDefaultTenant) {
  return index.Select(tenant, Selector::Parse(text).value());
}

TEST(SeriesIndex, FindsByKeyAndById) {
  SeriesIndex index(1, Free());
  bool created = false;
  const SeriesKey key{"cpu", {{"host", "a"}}};
  const SeriesId id = *index.FindOrCreate(kDefaultTenant, key, {MetricKind::kCounter, "s", "time"}, &created);
  EXPECT_TRUE(created);
  EXPECT_EQ(*index.FindOrCreate(kDefaultTenant, key, {}, &created), id);
  EXPECT_FALSE(created);
  EXPECT_EQ(index.Find(kDefaultTenant, key), id);
  EXPECT_EQ(index.Get(id)->key, key);
  EXPECT_EQ(index.Get(id)->metadata.unit, "s");
  EXPECT_EQ(index.Get(id + 1), nullptr);
  EXPECT_EQ(index.Get(0), nullptr);
}

TEST(SeriesIndex, KeepsTenantsApart) {
  SeriesIndex index(1, Free());
  const SeriesId mine = Create(&index, "cpu", {}, 1);
  const SeriesId theirs = Create(&index, "cpu", {}, 2);
  EXPECT_NE(mine, theirs);
  EXPECT_THAT(Select(index, "cpu", 1), ElementsAre(mine));
  EXPECT_THAT(Select(index, "cpu", 2), ElementsAre(theirs));
  EXPECT_THAT(Select(index, "cpu", 3), IsEmpty());
  EXPECT_EQ(index.Count(1), 1);
  EXPECT_EQ(index.Count(3), 0);
  EXPECT_EQ(index.Count(1, "cpu"), 1);
  EXPECT_EQ(index.Count(1, "mem"), 0);
  EXPECT_EQ(index.Count(), 2);
}

TEST(SeriesIndex, ReservesIdsBeforeHandingThemOut) {
  SeriesId reserved = 0;
  bool works = true;
  SeriesIndex index(10, [&](SeriesId limit) -> absl::Status {
    if (!works) return absl::UnavailableError("disk");
    reserved = limit;
    return absl::OkStatus();
  });
  for (int i = 0; i < 1000; ++i) EXPECT_LT(Create(&index, "m" + std::to_string(i), {}), reserved);
  works = false;
  int created = 0;
  while (index.FindOrCreate(kDefaultTenant, SeriesKey{"n" + std::to_string(created), {}}, {}, nullptr).ok()) ++created;
  EXPECT_LT(created, static_cast<int>(SeriesIndex::kReservedAtMost));
  EXPECT_EQ(index.next_id(), reserved);
}

TEST(SeriesIndex, RefusesContradictionsReadBack) {
  SeriesIndex index(1, Free());
  const auto info = [](SeriesId id, const std::string& metric) {
    return SeriesInfo{id, kDefaultTenant, {metric, {}}, {}};
  };
  EXPECT_TRUE(index.Add(info(5, "a")));
  EXPECT_TRUE(index.Add(info(5, "a")));
  EXPECT_FALSE(index.Add(info(5, "b")));
  EXPECT_FALSE(index.Add(info(6, "a")));
  EXPECT_TRUE(index.Add(info(3, "c")));
  EXPECT_EQ(Create(&index, "d", {}), 6u);
  EXPECT_THAT(index.Select(kDefaultTenant, Selector()), ElementsAre(3, 5, 6));
}

TEST(SeriesIndex, SelectsWhatASelectorMatchesOneByOne) {
  SeriesIndex index(1, Free());
  std::mt19937 random(1);
  std::vector<SeriesId> all;
  for (int i = 0; i < 3000; ++i) {
    std::vector<Label> labels = {{"host", "h" + std::to_string(random() % 40)}, {"n", std::to_string(i)}};
    if (random() % 2 == 0) labels.push_back({"mode", random() % 2 == 0 ? "idle" : "user"});
    all.push_back(Create(&index, "m" + std::to_string(random() % 5), Labels(labels)));
  }
  for (const char* text : {"m1",
                           "m9",
                           "{host=\"h7\"}",
                           "m1{host=\"h7\"}",
                           "m1{host!=\"h7\"}",
                           "m1{mode=\"\"}",
                           "m1{mode!=\"\"}",
                           "m2{mode=~\"idle|\"}",
                           "m2{mode!~\"idle\"}",
                           "m2{mode=~\"i.*\"}",
                           "{host=~\"h1.*\"}",
                           "{__name__=~\"m[12]\"}",
                           "{host=~\"h1.*\",host!~\"h1[0-5]\",mode=\"user\"}",
                           "m3{nolabel=\"\"}",
                           "m3{nolabel=\"x\"}",
                           "m3{nolabel!=\"x\"}",
                           "m3{nolabel=~\".+\"}",
                           "m3{n=~\".*7\"}",
                           "{n=\"17\"}",
                           "{host!=\"\",mode!~\".+\"}"}) {
    const Selector selector = Selector::Parse(text).value();
    std::vector<SeriesId> expected;
    for (const SeriesId id : all) {
      if (selector.Matches(index.Get(id)->key)) expected.push_back(id);
    }
    EXPECT_EQ(index.Select(kDefaultTenant, selector), expected) << text;
  }
  EXPECT_EQ(index.Select(kDefaultTenant, Selector()), all);
}

TEST(SeriesIndex, AnExactMatchAmong100kSeriesTakesMicroseconds) {
  SeriesIndex index(1, Free());
  for (int i = 0; i < 100'000; ++i) {
    Create(&index, "m" + std::to_string(i % 100),
           {{"host", "h" + std::to_string(i / 100)}, {"region", "r" + std::to_string(i % 3)}});
  }
  const Selector selector = Selector::Parse("m7{host=\"h500\",region=~\"r.*\"}").value();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) ASSERT_EQ(index.Select(kDefaultTenant, selector).size(), 1u);
  const auto each = (std::chrono::steady_clock::now() - start) / 100;
  EXPECT_LT(each, std::chrono::milliseconds(2));  // about 10 us without sanitizers on a quiet machine
}

}  // namespace
}  // namespace pulseboard

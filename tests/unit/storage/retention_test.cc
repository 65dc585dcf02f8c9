// Retention as a plan, and as the store carries it out: per tenant, by size, with space given back and others
// untouched.
#include "server/storage/retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr int64_t kDay = kNanosPerDay;
constexpr TenantId kMine = 1;
constexpr TenantId kTheirs = 7;

TEST(ParseTenantRetention, ReadsWhatItShows) {
  const auto tenants = ParseTenantRetention("acme: raw=7d, 1m=90d, size=20GiB; other: raw=36h;");
  ASSERT_TRUE(tenants.ok()) << tenants.status();
  ASSERT_THAT(*tenants, SizeIs(2));
  EXPECT_THAT(tenants->at("acme").retention_ns,
              ElementsAre(Pair(kRawBucket, 7 * kDay), Pair(kNanosPerMinute, 90 * kDay)));
  EXPECT_EQ(tenants->at("acme").max_bytes, 20LL << 30);
  EXPECT_EQ(tenants->at("other").retention_ns.at(kRawBucket), 36 * kNanosPerHour);
  EXPECT_THAT(*ParseTenantRetention(" "), IsEmpty());
}

TEST(ParseTenantRetention, RefusesWhatDoesNotFit) {
  for (const char* text : {"acme", "acme:", ": raw=7d", "acme: raw", "acme: raw=7", "acme: raw=-7d",
                           "acme: raw=7d raw=8d", "acme: week=7d", "acme: size=20QB", "acme: size=99999999999TiB",
                           "acme: raw=7d; acme: raw=8d", "acme: raw=7d, raw=8d"}) {
    EXPECT_TRUE(HasReason(ParseTenantRetention(text).status(), ErrorReason::kBadField)) << text;
  }
}

class PlanTest : public ::testing::Test {
 protected:
  static constexpr int64_t kNow = 100 * kDay + kDay / 2;

  std::vector<std::string> Plan() const {
    std::vector<std::string> out;
    for (const RetentionStep& step : PlanRetention(policy_, tiers_, windows_, kNow)) {
      out.push_back(TierName(step.window.bucket_ns) + " " + std::to_string(step.window.start_day) + " " +
                    (step.tenant ? std::to_string(*step.tenant) : "all") + " " + std::to_string(step.bytes));
    }
    return out;
  }

  const std::vector<Tier> tiers_ = {{kRawBucket, 5 * kDay}, {kNanosPerMinute, 20 * kDay}};
  std::vector<WindowUsage> windows_ = {
      {{kRawBucket, 94, 1}, {{1, 5}}},           {{kRawBucket, 97, 1}, {{1, 10}, {7, 20}}},
      {{kRawBucket, 99, 1}, {{1, 10}, {7, 20}}}, {{kRawBucket, 100, 1}, {{1, 10}, {7, 20}}},
      {{kNanosPerMinute, 76, 4}, {{7, 3}}},      {{kNanosPerMinute, 96, 4}, {{1, 1}, {7, 2}}},
      {{kNanosPerMinute, 100, 4}, {{1, 1}}},
  };
  RetentionPolicy policy_;
};

TEST_F(PlanTest, DropsWholeWindowsByAge) { EXPECT_THAT(Plan(), ElementsAre("raw 94 all 5", "1m 76 all 3")); }

TEST_F(PlanTest, DropsATenantsShareByItsOwnAge) {
  policy_.tenants[7].retention_ns = {{kRawBucket, 2 * kDay}};
  EXPECT_THAT(Plan(), ElementsAre("raw 94 all 5", "raw 97 7 20", "1m 76 all 3"));
  policy_.tenants[7].retention_ns = {{kRawBucket, 50 * kDay}};
  EXPECT_THAT(Plan(), ElementsAre("raw 94 all 5", "1m 76 all 3")) << "longer than everybody's is not longer";
}

TEST_F(PlanTest, DropsATenantsOldestByItsSizeFinestTierFirst) {
  policy_.tenants[7].max_bytes = 30;
  EXPECT_THAT(Plan(), ElementsAre("raw 94 all 5", "1m 76 all 3", "raw 97 7 20", "raw 99 7 20"));
  policy_.tenants[7].max_bytes = 1;
  EXPECT_THAT(Plan(), ElementsAre("raw 94 all 5", "1m 76 all 3", "raw 97 7 20", "raw 99 7 20", "1m 96 7 2"))
      << "the open window never goes";
}

TEST_F(PlanTest, DropsTheStoresOldestBySize) {
  policy_.max_bytes = 70;
  EXPECT_THAT(Plan(), ElementsAre("raw 94 all 5", "1m 76 all 3", "raw 97 all 30"));
}

TEST_F(PlanTest, TakesOverAnotherRetentionOfATier) {
  policy_.retention_ns = {{kRawBucket, 2 * kDay}};
  EXPECT_THAT(Plan(), ElementsAre("raw 94 all 5", "raw 97 all 30", "1m 76 all 3"));
}

TEST(RetentionFloors, RiseAndSurvive) {
  RetentionFloors floors;
  EXPECT_TRUE(floors.Raise(kMine, 50));
  EXPECT_FALSE(floors.Raise(kMine, 40));
  EXPECT_TRUE(floors.Raise(std::nullopt, 10));
  RetentionFloors read;
  ASSERT_TRUE(read.Decode(floors.Encode()));
  EXPECT_EQ(read.Of(kMine), 50);
  EXPECT_EQ(read.Of(kTheirs), 10);
  EXPECT_FALSE(read.Decode("\x02"));
}

class StoreRetentionTest : public StoreTest {
 protected:
  StoreRetentionTest() {
    options_.raw_retention_ns = 30 * kDay;
    options_.tiers = {};
    Open();
  }

  SeriesId SeriesOf(TenantId tenant, const std::string& metric) {
    return store_->FindOrCreateSeries(tenant, {metric, {}}, {}, nullptr).value();
  }
  // Incompressible samples, one a minute, of the day before now.
  void FillDay(TenantId tenant, int series = 4) {
    for (int s = 0; s < series; ++s) {
      AppendBatch batch = Batch(SeriesOf(tenant, "m" + std::to_string(s)), {});
      batch.tenant = tenant;
      for (int64_t minute = 0; minute < 1440; ++minute) {
        batch.series.push_back(SeriesOf(tenant, "m" + std::to_string(s)));
        batch.times.push_back(clock_.NowUnixNanos() - (minute + 1) * kNanosPerMinute);
        batch.values.push_back(std::uniform_real_distribution<double>(0, 1)(random_));
      }
      EXPECT_TRUE(Push(std::move(batch)).ok());
    }
    SealAll();
  }
  size_t Count(TenantId tenant) { return Read(SeriesOf(tenant, "m0")).size(); }
  int64_t Bytes() const {
    int64_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(options_.directory + "/db")) {
      if (entry.path().extension() == ".sst") bytes += static_cast<int64_t>(entry.file_size());
    }
    return bytes;
  }

  std::mt19937_64 random_{1};
};

TEST_F(StoreRetentionTest, DropsOneTenantsShareAndLeavesTheOthers) {
  for (int day = 0; day < 6; ++day) {
    FillDay(kMine);
    FillDay(kTheirs);
    clock_.Advance(kDay);
  }
  const size_t mine = Count(kMine);
  const size_t theirs = Count(kTheirs);
  RetentionPolicy policy;
  policy.tenants[kTheirs].retention_ns = {{kRawBucket, 2 * kDay}};
  const RetentionPreview preview = store_->PreviewRetention(policy);
  ASSERT_FALSE(preview.steps.empty());
  for (const RetentionStep& step : preview.steps) EXPECT_EQ(step.tenant, kTheirs);
  EXPECT_EQ(Count(kTheirs), theirs) << "a dry run drops nothing";

  store_->SetRetention(policy);
  ASSERT_TRUE(store_->Checkpoint().ok());
  EXPECT_EQ(Count(kMine), mine);
  const Points left = Read(SeriesOf(kTheirs, "m0"));
  EXPECT_LT(left.size(), theirs);
  ASSERT_FALSE(left.empty());
  EXPECT_GE(left.front().first, clock_.NowUnixNanos() - 2 * kDay) << "nothing older is shown, to the sample";
  EXPECT_THAT(store_->PreviewRetention(policy).steps, IsEmpty()) << "it was done";
  options_.retention = policy;
  Open();
  EXPECT_EQ(Read(SeriesOf(kTheirs, "m0")), left);
  EXPECT_EQ(Count(kMine), mine);
}

TEST_F(StoreRetentionTest, ShowsNoBucketOfATierThatIsOlderThanTheTenantsOwn) {
  options_.raw_retention_ns = 2 * kDay;
  options_.tiers = {{kNanosPerMinute, 20 * kDay}, {kNanosPerHour, 40 * kDay}};
  Open();
  for (int day = 0; day < 8; ++day) {
    FillDay(kMine, 1);
    FillDay(kTheirs, 1);
    clock_.Advance(kDay);
  }
  RetentionPolicy policy;
  policy.tenants[kTheirs].retention_ns = {{kRawBucket, kDay}, {kNanosPerMinute, 3 * kDay}, {kNanosPerHour, 5 * kDay}};
  store_->SetRetention(policy);
  EXPECT_EQ(store_->Tiers(kTheirs), (std::vector<TierOptions>{{kNanosPerMinute, 3 * kDay}, {kNanosPerHour, 5 * kDay}}));
  EXPECT_EQ(store_->Tiers(kMine), options_.tiers);
  EXPECT_EQ(store_->RawRetention(kTheirs), kDay);
  const auto oldest = [&](TenantId tenant, int64_t bucket_ns) {
    const SeriesId id = SeriesOf(tenant, "m0");
    const auto view = store_->OpenView(std::vector<SeriesId>{id}, kAllTime, nullptr).value();
    const RollupColumns rollups = view->ReadRollups(id, bucket_ns, kAllTime, kAllRollupFields).value();
    return clock_.NowUnixNanos() - rollups.starts.front();
  };
  for (const int64_t bucket : {kNanosPerMinute, kNanosPerHour}) {
    const int64_t kept = bucket == kNanosPerMinute ? 3 * kDay : 5 * kDay;
    EXPECT_GE(oldest(kTheirs, bucket), kept - bucket);
    EXPECT_LT(oldest(kTheirs, bucket), kept + bucket) << "to the bucket";
    EXPECT_GT(oldest(kMine, bucket), 7 * kDay);
  }
  // The coarser tier goes further back than the finer one it is made of.
  EXPECT_GT(oldest(kTheirs, kNanosPerHour), oldest(kTheirs, kNanosPerMinute) + kDay);
}

TEST_F(StoreRetentionTest, TakesOverLengthsOfAllTiersWhileOpen) {
  options_.raw_retention_ns = 10 * kDay;
  options_.tiers = {{kNanosPerHour, 40 * kDay}};
  Open();
  for (int day = 0; day < 8; ++day) {
    FillDay(kMine, 1);
    clock_.Advance(kDay);
  }
  const size_t before = Count(kMine);
  RetentionPolicy policy;
  policy.SetForAll(3 * kDay, std::vector<TierOptions>{{kNanosPerHour, 5 * kDay}});
  EXPECT_THAT(store_->PreviewRetention(policy).steps, ::testing::Not(IsEmpty()));
  store_->SetRetention(policy);
  EXPECT_EQ(store_->OldestAccepted(kMine).unix_nanos, clock_.NowUnixNanos() - 3 * kDay);
  EXPECT_EQ(store_->OldestAccepted(kMine).setting, "storage.raw_retention");
  ASSERT_TRUE(store_->Checkpoint().ok());
  ASSERT_TRUE(store_->Checkpoint().ok());  // windows go once they are swept
  EXPECT_LT(Count(kMine), before);
  EXPECT_THAT(store_->PreviewRetention(policy).steps, IsEmpty());
  // Longer again: what is left stays, and more is kept from now on.
  policy.SetForAll(10 * kDay, std::vector<TierOptions>{{kNanosPerHour, 40 * kDay}});
  store_->SetRetention(policy);
  const size_t left = Count(kMine);
  clock_.Advance(4 * kDay);
  ASSERT_TRUE(store_->Checkpoint().ok());
  EXPECT_EQ(Count(kMine), left);
}

TEST_F(StoreRetentionTest, GivesSpaceBackWhenATenantOutgrowsItsSize) {
  for (int day = 0; day < 4; ++day) {
    FillDay(kMine, 2);
    FillDay(kTheirs, 40);
    clock_.Advance(kDay);
  }
  const size_t mine = Count(kMine);
  const int64_t before = store_->PreviewRetention({}).total_bytes;
  RetentionPolicy policy;
  policy.tenants[kTheirs].max_bytes = 100'000;
  store_->SetRetention(policy);
  WaitUntil([&] {
    EXPECT_TRUE(store_->Checkpoint().ok());
    return store_->PreviewRetention({}).total_bytes < before / 2 && Bytes() < before / 2;
  });
  EXPECT_EQ(Count(kMine), mine);
  EXPECT_TRUE(store_->PreviewRetention({}).steps.empty());
}

TEST_F(StoreRetentionTest, DropsTheStoresOldestWindowsBySize) {
  for (int day = 0; day < 4; ++day) {
    FillDay(kMine, 20);
    clock_.Advance(kDay);
  }
  const size_t all = Count(kMine);
  RetentionPolicy policy;
  policy.max_bytes = store_->PreviewRetention({}).total_bytes / 2;
  store_->SetRetention(policy);
  ASSERT_TRUE(store_->Checkpoint().ok());
  const Points left = Read(SeriesOf(kMine, "m0"));
  EXPECT_LT(left.size(), all);
  ASSERT_FALSE(left.empty());
  EXPECT_LE(store_->PreviewRetention({}).total_bytes, policy.max_bytes);

  // Late samples from where everything was dropped do not come back to life, also after a restart.
  Open();
  const SeriesId id = SeriesOf(kMine, "m0");
  ASSERT_TRUE(Push(id, {{left.front().first - 2 * kDay, 1}}).ok());
  SealAll();
  EXPECT_EQ(Read(id), left);
}

TEST_F(StoreRetentionTest, ForgetsTheSeriesOfATenantThatHasNothingLeft) {
  FillDay(kTheirs);
  clock_.Advance(4 * kDay);
  FillDay(kMine);
  RetentionPolicy policy;
  policy.tenants[kTheirs].retention_ns = {{kRawBucket, kDay}};
  store_->SetRetention(policy);
  ASSERT_TRUE(store_->Checkpoint().ok());
  EXPECT_EQ(store_->SeriesCount(kTheirs), 0);
  EXPECT_EQ(store_->SeriesCount(kMine), 4);
}

}  // namespace
}  // namespace pulseboard

#include "server/ingest/series_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/errors.h"
#include "server/ingest/intake.h"
#include "tests/support/forwarding_store.h"
#include "tests/support/test_store.h"

namespace pulseboard {
namespace {

using testing::ForwardingStore;
using ::testing::HasSubstr;
using testing::TestStore;

constexpr int64_t kNow = 1'800'000'000 * kNanosPerSecond;

// Counts how often somebody looks through the series.
class WatchedStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  std::vector<SeriesId> SelectSeries(TenantId tenant, const Selector& selector) const override {
    ++selections;
    return ForwardingStore::SelectSeries(tenant, selector);
  }
  mutable int selections = 0;
};

class SeriesLimitsTest : public ::testing::Test {
 protected:
  SeriesLimits Limits(int64_t per_tenant, int64_t per_metric) {
    return {watched_, clock_, per_tenant, per_metric, [](TenantId) { return std::string("acme"); }};
  }
  void MakeRequests(int count) {
    for (int i = 0; i < count; ++i) {
      store_.Series("http.requests", {{"host", "h" + std::to_string(i % 3)}, {"request_id", std::to_string(i)}});
    }
  }

  ManualClock clock_{kNow};
  TestStore store_{nullptr, clock_};
  WatchedStore watched_{*store_};
};

TEST_F(SeriesLimitsTest, AllowsWhatIsBelowBothLimits) {
  MakeRequests(9);
  EXPECT_EQ(Limits(10, 10).Check(kDefaultTenant, "http.requests"), nullptr);
  EXPECT_EQ(Limits(10, 9).Check(kDefaultTenant, "other"), nullptr);
  EXPECT_EQ(watched_.selections, 0);
}

TEST_F(SeriesLimitsTest, NamesTheLabelThatGrowsInAMetric) {
  MakeRequests(20);
  const SeriesLimits limits = Limits(1'000, 20);
  const auto overflow = limits.Check(kDefaultTenant, "http.requests");
  ASSERT_NE(overflow, nullptr);
  EXPECT_EQ(overflow->subject, "tenant:acme metric:http.requests");
  const auto detail = GetErrorDetail(overflow->status);
  ASSERT_TRUE(detail);
  EXPECT_EQ(detail->reason, ErrorReason::kSeriesLimit);
  EXPECT_EQ(detail->metadata, (ErrorMetadata{{"tenant", "acme"},
                                             {"setting", "ingest.max_series_per_metric"},
                                             {"limit", "20"},
                                             {"metric", "http.requests"},
                                             {"metricSeries", "20"},
                                             {"newestSeries", "20"},
                                             {"label", "request_id"},
                                             {"labelValues", "20"},
                                             {"labelValue", "19"}}));
  ASSERT_EQ(detail->quota_violations.size(), 1U);
  EXPECT_EQ(detail->quota_violations[0].subject, overflow->subject);
  EXPECT_EQ(detail->quota_violations[0].description, StatusMessage(overflow->status));
  EXPECT_EQ(
      StatusMessage(overflow->status),
      "metric http.requests of tenant acme has its most series, 20 (ingest.max_series_per_metric): of the newest 20 "
      "label request_id has 20 values, such as '19'; leave it out or bound its values, or raise "
      "ingest.max_series_per_metric");
}

TEST_F(SeriesLimitsTest, NamesTheMetricThatGrowsInATenant) {
  for (int i = 0; i < 5; ++i) store_.Series("m" + std::to_string(i), {});
  MakeRequests(20);
  const SeriesLimits limits = Limits(25, 1'000);
  const auto overflow = limits.Check(kDefaultTenant, "m9");
  ASSERT_NE(overflow, nullptr);
  EXPECT_EQ(overflow->subject, "tenant:acme");
  const auto detail = GetErrorDetail(overflow->status);
  ASSERT_TRUE(detail);
  EXPECT_EQ(detail->metadata.at("metric"), "http.requests");
  EXPECT_EQ(detail->metadata.at("metricSeries"), "20");
  EXPECT_EQ(detail->metadata.at("newestSeries"), "25");
  EXPECT_EQ(detail->metadata.at("newestSeriesOfMetric"), "20");
  EXPECT_EQ(detail->metadata.at("label"), "request_id");
}

TEST_F(SeriesLimitsTest, SaysWhenMetricNamesThemselvesAreTheFlood) {
  for (int i = 0; i < 4; ++i) store_.Series("m" + std::to_string(i), {});
  const SeriesLimits limits = Limits(4, 1'000);
  const auto overflow = limits.Check(kDefaultTenant, "m9");
  ASSERT_NE(overflow, nullptr);
  EXPECT_THAT(StatusMessage(overflow->status), HasSubstr("use fewer metrics"));
  EXPECT_FALSE(GetErrorDetail(overflow->status)->metadata.contains("label"));
}

TEST_F(SeriesLimitsTest, LooksOnlyAtTheNewest) {
  MakeRequests(static_cast<int>(SeriesLimits::kSampledSeries) + 500);
  const SeriesLimits limits = Limits(1, 1'000'000);
  const auto overflow = limits.Check(kDefaultTenant, "x");
  ASSERT_NE(overflow, nullptr);
  EXPECT_EQ(GetErrorDetail(overflow->status)->metadata.at("labelValues"), std::to_string(SeriesLimits::kSampledSeries));
}

TEST_F(SeriesLimitsTest, AFloodOfRefusedSeriesIsLookedAtOnce) {
  MakeRequests(10);
  IntakeOptions options;
  options.max_series_per_metric = 10;
  Intake intake(watched_, clock_, options);
  std::vector<std::string> hosts;
  for (int i = 0; i < 5'000; ++i) hosts.push_back("new" + std::to_string(i));
  PushBatch batch;
  for (const std::string& host : hosts) {
    PushSample& sample = batch.samples.emplace_back();
    sample.series.metric = "http.requests";
    sample.series.labels.emplace_back("host", host);
  }
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(HasReason(intake.Push(kDefaultTenant, batch, [](const auto&) {}), ErrorReason::kSeriesLimit));
  }
  EXPECT_EQ(watched_.selections, 1);
  EXPECT_EQ(intake.Stats().refused_by_reason[static_cast<size_t>(RefusalReason::kSeriesLimit)], 15'000);
  clock_.Advance(SeriesLimits::kFindEvery);
  EXPECT_TRUE(HasReason(intake.Push(kDefaultTenant, batch, [](const auto&) {}), ErrorReason::kSeriesLimit));
  EXPECT_EQ(watched_.selections, 2) << "the finding is renewed";
}

}  // namespace
}  // namespace pulseboard

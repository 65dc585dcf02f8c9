#include "server/app/self_metrics.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/eventually.h"
#include "tests/support/temp_dir.h"

namespace pulseboard {
namespace {

using testing::Eventually;
using testing::TempDir;

class SelfMetricsTest : public ::testing::Test {
 protected:
  SelfMetricsTest() {
    StoreOptions options;
    options.directory = dir_.File("store");
    store_ = Store::Open(options, nullptr).value();
  }
  // Newest value by metric name.
  std::map<std::string, double> Values() {
    std::map<std::string, double> out;
    for (const SeriesId id : store_->SelectSeries(kSystemTenant, Selector())) {
      const auto sample = store_->Latest(id);
      if (sample.ok() && *sample) out[store_->GetSeries(id)->key.metric] = (*sample)->value;
    }
    return out;
  }

  TempDir dir_;
  std::unique_ptr<Store> store_;
};

TEST_F(SelfMetricsTest, WritesAllSourcesIntoTheSystemTenant) {
  SelfMetrics metrics(*store_, SystemClock());
  int64_t pushes = 0;
  metrics.AddSource(ProcessMetrics(SystemClock()));
  metrics.AddSource([&](std::vector<SelfMetric>* out) {
    out->push_back({"test.pushes", MetricKind::kCounter, "1", "Pushes.", {{"room", "test"}}, double(++pushes)});
  });
  metrics.Push();
  metrics.Push();
  ASSERT_TRUE(Eventually([&] { return Values()["pulseboard.test.pushes"] == 2; }));
  const std::map<std::string, double> values = Values();
  EXPECT_GT(values.at("pulseboard.process.memory.resident"), 1e6);
  EXPECT_GE(values.at("pulseboard.process.threads"), 1);
  EXPECT_GE(values.at("pulseboard.process.open_files"), 3);
  EXPECT_GT(values.at("pulseboard.process.cpu.time"), 0);
  EXPECT_EQ(values.at("pulseboard.self_metrics.dropped"), 0);
  EXPECT_EQ(store_->SeriesCount(kDefaultTenant), 0);

  const auto ids = store_->SelectSeries(kSystemTenant, Selector::Parse("pulseboard.test.pushes").value());
  ASSERT_EQ(ids.size(), 1u);
  const auto info = store_->GetSeries(ids[0]);
  EXPECT_EQ(info->metadata.kind, MetricKind::kCounter);
  EXPECT_EQ(info->key.labels.Get("room"), "test");
  EXPECT_NE(info->key.labels.Get("host"), "");
}

TEST_F(SelfMetricsTest, DropsWhatTheStoreRefuses) {
  SelfMetrics metrics(*store_, SystemClock());
  ASSERT_TRUE(store_->Close().ok());
  metrics.Push();  // neither blocks nor dies
  metrics.Push();
  EXPECT_EQ(store_->Stats().committed_samples, 0);
}

}  // namespace
}  // namespace pulseboard

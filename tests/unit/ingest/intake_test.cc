#include "server/ingest/intake.h"

#include <gtest/gtest.h>

#include <cmath>
#include <future>
#include <limits>
#include <string>

#include "common/base/errors.h"
#include "tests/support/forwarding_store.h"
#include "tests/support/test_store.h"

namespace pulseboard {
namespace {

using testing::ForwardingStore;
using testing::TestStore;

constexpr int64_t kNow = 1'800'000'000 * kNanosPerSecond;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

PushSample Row(std::string_view metric, int64_t time, double value = 1) {
  PushSample sample;
  sample.series.metric = metric;
  sample.time_is = PushSample::TimeIs::kGiven;
  sample.time_unix_nanos = time;
  sample.value = value;
  return sample;
}

class IntakeTest : public ::testing::Test {
 protected:
  absl::StatusOr<PushReceipt> Push(Intake& intake, const PushBatch& batch, TenantId tenant = kDefaultTenant) {
    std::promise<absl::StatusOr<PushReceipt>> done;
    const absl::Status status =
        intake.Push(tenant, batch, [&done](const absl::StatusOr<PushReceipt>& receipt) { done.set_value(receipt); });
    if (!status.ok()) return status;
    return done.get_future().get();
  }
  absl::StatusOr<PushReceipt> Push(const PushBatch& batch) { return Push(intake_, batch); }

  ManualClock clock_{kNow};
  TestStore store_{nullptr, clock_};
  Intake intake_{*store_, clock_, IntakeOptions{}};
};

TEST_F(IntakeTest, StoresWhatIsGoodAndSaysWhereItIs) {
  const auto receipt = Push({"", 0, {Row("cpu", kNow - 5, 1.5), Row("cpu", kNow, kNaN), Row("mem", kNow, -0.0)}});
  ASSERT_TRUE(receipt.ok()) << StatusMessage(receipt.status());
  EXPECT_EQ(receipt->accepted_count, 3);
  EXPECT_EQ(receipt->refusals.total(), 0);
  EXPECT_EQ(receipt->commit_sequence, 1);
  EXPECT_FALSE(receipt->duplicate);
  const SampleColumns cpu = store_.Read(*store_->FindSeries(kDefaultTenant, {"cpu", {}}));
  EXPECT_EQ(cpu.times, (std::vector<int64_t>{kNow - 5, kNow}));
  EXPECT_TRUE(std::isnan(cpu.values[1]));
}

TEST_F(IntakeTest, StampsSamplesWithoutTimeWithTheTimeOfReceipt) {
  PushSample sample = Row("cpu", 0);
  sample.time_is = PushSample::TimeIs::kReceipt;
  ASSERT_TRUE(Push({"", 0, {sample}}).ok());
  EXPECT_EQ(store_.Read(*store_->FindSeries(kDefaultTenant, {"cpu", {}})).times, std::vector<int64_t>{kNow});
}

TEST_F(IntakeTest, RefusesEachBadSampleByIndexAndKeepsTheOthers) {
  const std::string long_metric(201, 'a');
  const std::string long_value(1025, 'v');
  const std::string long_name(129, 'n');
  const std::string long_unit(64, 'u');
  struct Case {
    RefusalReason reason;
    std::string message_part;
    PushSample sample;
  };
  const auto with_label = [](std::string_view name, std::string_view value) {
    PushSample sample = Row("cpu", kNow);
    sample.series.labels.emplace_back(name, value);
    return sample;
  };
  PushSample bad_unit = Row("cpu", kNow);
  bad_unit.series.unit = long_unit;
  PushSample bad_time = Row("cpu", 0);
  bad_time.time_is = PushSample::TimeIs::kNotRepresentable;
  PushSample many_labels = Row("cpu", kNow);
  std::vector<std::string> names;
  for (int i = 0; i < 10'000; ++i) names.push_back("l" + std::to_string(i));
  for (const std::string& name : names) many_labels.series.labels.emplace_back(name, "v");
  PushSample twice = with_label("a", "1");
  twice.series.labels.emplace_back("a", "2");
  const std::vector<Case> cases = {
      {RefusalReason::kBadMetric, "metric", Row("", kNow)},
      {RefusalReason::kBadMetric, "metric", Row("0cpu", kNow)},
      {RefusalReason::kBadMetric, "metric", Row("cpu load", kNow)},
      {RefusalReason::kBadMetric, "metric", Row(long_metric, kNow)},
      {RefusalReason::kBadMetric, "metric", Row(std::string_view("c\0u", 3), kNow)},
      {RefusalReason::kBadMetric, "unit", bad_unit},
      {RefusalReason::kBadLabels, "__name__", with_label("__name__", "x")},
      {RefusalReason::kBadLabels, "label name", with_label("", "x")},
      {RefusalReason::kBadLabels, "label name", with_label("a b", "x")},
      {RefusalReason::kBadLabels, "label name", with_label(long_name, "x")},
      {RefusalReason::kBadLabels, "value of label a", with_label("a", "\xff\xfe")},
      {RefusalReason::kBadLabels, "value of label a", with_label("a", long_value)},
      {RefusalReason::kBadLabels, "ingest.max_labels", many_labels},
      {RefusalReason::kBadLabels, "once", twice},
      {RefusalReason::kTooOld, "ingest.max_sample_age", Row("cpu", kNow - 31 * kNanosPerDay)},
      {RefusalReason::kTooOld, "oldest", Row("cpu", 0)},
      {RefusalReason::kInFuture, "ingest.max_sample_lead", Row("cpu", kNow + 601 * kNanosPerSecond)},
      {RefusalReason::kInFuture, "newest", Row("cpu", std::numeric_limits<int64_t>::max())},
      {RefusalReason::kBadTime, "representable", bad_time},
  };
  PushBatch batch;
  for (const Case& c : cases) {
    batch.samples.push_back(Row("good", kNow + static_cast<int64_t>(batch.samples.size())));
    batch.samples.push_back(c.sample);
  }
  const auto receipt = Push(batch);
  ASSERT_TRUE(receipt.ok());
  EXPECT_EQ(receipt->accepted_count, static_cast<int64_t>(cases.size()));
  ASSERT_EQ(receipt->refusals.detailed().size(), cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    const SampleRefusal& refusal = receipt->refusals.detailed()[i];
    EXPECT_EQ(refusal.sample_index, static_cast<int64_t>(2 * i + 1));
    EXPECT_EQ(refusal.reason, cases[i].reason) << refusal.message;
    EXPECT_NE(refusal.message.find(cases[i].message_part), std::string::npos) << refusal.message;
    EXPECT_NE(refusal.message.find("would be accepted"), std::string::npos) << refusal.message;
  }
  EXPECT_EQ(store_->SeriesCount(kDefaultTenant), 1) << "a refused sample created a series";
}

TEST_F(IntakeTest, AcceptsTheEdgesOfWhatIsAllowed) {
  const std::string metric(200, 'a');
  const std::string value(1024, 'v');
  PushSample widest = Row(metric, kNow - 30 * kNanosPerDay);
  std::vector<std::string> names;
  for (int i = 0; i < 64; ++i) names.push_back("l" + std::to_string(i));
  for (const std::string& name : names) widest.series.labels.emplace_back(name, value);
  const auto receipt = Push({"", 0, {widest, Row("lead", kNow + 600 * kNanosPerSecond), Row("inf", kNow, INFINITY)}});
  ASSERT_TRUE(receipt.ok());
  EXPECT_EQ(receipt->refusals.total(), 0);
}

TEST_F(IntakeTest, DescribesTheFirstHundredRefusalsAndCountsAll) {
  PushBatch batch;
  for (int i = 0; i < 250; ++i) batch.samples.push_back(Row("", kNow));
  for (int i = 0; i < 30; ++i) batch.samples.push_back(Row("cpu", 0));
  const auto receipt = Push(batch);
  ASSERT_TRUE(receipt.ok());
  EXPECT_EQ(receipt->accepted_count, 0);
  EXPECT_EQ(receipt->commit_sequence, 0);
  EXPECT_EQ(receipt->refusals.detailed().size(), kMaxDetailedRefusals);
  EXPECT_EQ(receipt->refusals.count(RefusalReason::kBadMetric), 250);
  EXPECT_EQ(receipt->refusals.count(RefusalReason::kTooOld), 30);
  const IntakeStats stats = intake_.Stats();
  EXPECT_EQ(stats.refused_samples, 280);
  EXPECT_EQ(stats.accepted_samples, 0);
}

TEST_F(IntakeTest, RefusesMalformedBatchesAsAWhole) {
  PushBatch too_many;
  too_many.samples.assign(kMaxPushSamples + 1, Row("cpu", kNow));
  const std::string long_id(129, 'p');
  const std::vector<std::pair<std::string, PushBatch>> cases = {
      {"samples", {}},
      {"samples", too_many},
      {"producer_id", {long_id, 1, {Row("cpu", kNow)}}},
      {"producer_id", {"", 7, {Row("cpu", kNow)}}},
      {"sequence", {"p", 0, {Row("cpu", kNow)}}},
      {"sequence", {"p", -1, {Row("cpu", kNow)}}},
  };
  for (const auto& [field, batch] : cases) {
    const auto receipt = Push(batch);
    ASSERT_TRUE(HasReason(receipt.status(), ErrorReason::kBadField))
        << field << ": " << StatusMessage(receipt.status());
    EXPECT_EQ(GetErrorDetail(receipt.status())->field_violations.at(0).field, field);
  }
  EXPECT_EQ(store_->Stats().committed_batches, 0);
}

TEST_F(IntakeTest, AcknowledgesARepeatedBatchWithoutApplyingItAgain) {
  ASSERT_TRUE(Push({"p", 3, {Row("cpu", kNow, 1)}}).ok());
  const auto again = Push({"p", 3, {Row("cpu", kNow, 2)}});
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(store_.Read(*store_->FindSeries(kDefaultTenant, {"cpu", {}})).values, std::vector<double>{1});
  EXPECT_EQ(intake_.Stats().accepted_samples, 1);
  EXPECT_EQ(intake_.Stats().duplicate_batches, 1);
}

TEST_F(IntakeTest, CommitsTheSequenceOfABatchWithoutGoodSamples) {
  const auto receipt = Push({"p", 5, {Row("", kNow)}});
  ASSERT_TRUE(receipt.ok());
  EXPECT_EQ(receipt->commit_sequence, 0);
  EXPECT_EQ(store_->ProducerPosition(kDefaultTenant, "p"), 5);
}

TEST_F(IntakeTest, HoldsTheSeriesQuotasAndNamesTheOffender) {
  IntakeOptions options;
  options.max_series_per_tenant = 5;
  options.max_series_per_metric = 3;
  Intake strict(*store_, clock_, options);
  PushBatch batch;
  std::vector<std::string> hosts;
  for (int i = 0; i < 5; ++i) hosts.push_back("h" + std::to_string(i));
  for (const std::string& host : hosts) {
    batch.samples.push_back(Row("cpu", kNow));
    batch.samples.back().series.labels.emplace_back("host", host);
  }
  batch.samples.push_back(Row("a", kNow));
  batch.samples.push_back(Row("b", kNow));
  batch.samples.push_back(Row("c", kNow));
  batch.samples.push_back(Row("a", kNow + 1));  // known: no quota concerns it
  const auto receipt = Push(strict, batch);
  ASSERT_TRUE(receipt.ok());
  EXPECT_EQ(receipt->accepted_count, 6);
  ASSERT_EQ(receipt->refusals.count(RefusalReason::kSeriesLimit), 3);
  EXPECT_EQ(receipt->refusals.detailed()[0].sample_index, 3);
  EXPECT_NE(receipt->refusals.detailed()[0].message.find("cpu{host=\"h3\"}"), std::string::npos);
  EXPECT_NE(receipt->refusals.detailed()[0].message.find("ingest.max_series_per_metric"), std::string::npos);
  EXPECT_NE(receipt->refusals.detailed()[2].message.find("ingest.max_series_per_tenant"), std::string::npos);
  // Another tenant has its own.
  EXPECT_EQ(Push(strict, {"", 0, {Row("c", kNow)}}, 7)->accepted_count, 1);
}

class FullStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  absl::Status Append(AppendBatch, AppendDone) override {
    return MakeError(ErrorReason::kIngestBacklogFull, "full", {{"queueBytes", "9"}});
  }
};

TEST_F(IntakeTest, SaysWhenToTryAgainUnderOverload) {
  FullStore full(*store_);
  Intake intake(full, clock_, IntakeOptions{});
  const auto receipt = Push(intake, {"", 0, {Row("cpu", kNow)}});
  EXPECT_EQ(receipt.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(GetErrorDetail(receipt.status())->retry_after_ms, IntakeOptions{}.backlog_retry_ms);
  EXPECT_EQ(intake.Stats().backlog_refusals, 1);
}

}  // namespace
}  // namespace pulseboard

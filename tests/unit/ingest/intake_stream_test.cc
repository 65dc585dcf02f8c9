#include <gtest/gtest.h>

#include <future>
#include <limits>
#include <string>
#include <vector>

#include "common/base/errors.h"
#include "server/ingest/intake.h"
#include "tests/support/test_store.h"

namespace pulseboard {
namespace {

using testing::TestStore;

constexpr int64_t kNow = 1'800'000'000 * kNanosPerSecond;

// A batch with its own columns.
struct Columns {
  std::vector<uint32_t> refs;
  std::vector<int64_t> offsets;
  std::vector<double> values;
  std::vector<StreamDefinition> definitions;

  StreamBatch Batch(int64_t sequence, std::string_view producer = "p") const {
    StreamBatch batch;
    batch.producer_id = producer;
    batch.sequence = sequence;
    batch.definitions = definitions;
    batch.base_time_unix_nanos = kNow;
    batch.refs = refs;
    batch.time_offsets_nanos = offsets;
    batch.values = values;
    return batch;
  }
  Columns& Define(uint32_t ref, std::string_view metric, std::string_view host = "") {
    StreamDefinition& definition = definitions.emplace_back();
    definition.ref = ref;
    definition.series.metric = metric;
    if (!host.empty()) definition.series.labels.emplace_back("host", host);
    return *this;
  }
  Columns& Add(uint32_t ref, int64_t offset, double value) {
    refs.push_back(ref);
    offsets.push_back(offset);
    values.push_back(value);
    return *this;
  }
};

class IntakeStreamTest : public ::testing::Test {
 protected:
  static absl::StatusOr<PushReceipt> Take(IntakeStream& stream, const StreamBatch& batch) {
    PB_RETURN_IF_ERROR(stream.Begin(batch));
    std::promise<absl::StatusOr<PushReceipt>> done;
    PB_RETURN_IF_ERROR(
        stream.Submit(batch, [&done](const absl::StatusOr<PushReceipt>& receipt) { done.set_value(receipt); }));
    return done.get_future().get();
  }

  ManualClock clock_{kNow};
  TestStore store_{nullptr, clock_};
  Intake intake_{*store_, clock_, IntakeOptions{}};
  std::unique_ptr<IntakeStream> stream_ = intake_.OpenStream(kDefaultTenant);
};

TEST_F(IntakeStreamTest, ResolvesRefsSmallAndLarge) {
  const Columns columns = Columns()
                              .Define(1, "cpu")
                              .Define(kMaxRef, "mem")
                              .Define(70'000, "disk")
                              .Add(1, 0, 1)
                              .Add(kMaxRef, 1, 2)
                              .Add(70'000, 2, 3);
  const auto receipt = Take(*stream_, columns.Batch(1));
  ASSERT_TRUE(receipt.ok()) << StatusMessage(receipt.status());
  EXPECT_EQ(receipt->accepted_count, 3);
  // Known from now on, defined again or not.
  const auto later = Take(*stream_, Columns().Define(1, "cpu").Add(kMaxRef, 5, 4).Add(1, 6, 5).Batch(2));
  ASSERT_TRUE(later.ok());
  EXPECT_EQ(later->accepted_count, 2);
  EXPECT_EQ(store_.Read(*store_->FindSeries(kDefaultTenant, {"mem", {}})).values, (std::vector<double>{2, 4}));
  EXPECT_EQ(stream_->ProducerPosition(), 2);
}

TEST_F(IntakeStreamTest, EndsOnStructuralErrors) {
  const Columns good = Columns().Define(1, "cpu").Add(1, 0, 1);
  const auto fails = [&](const StreamBatch& batch, ErrorReason reason, std::string_view part) {
    const auto stream = intake_.OpenStream(kDefaultTenant);
    ASSERT_TRUE(Take(*stream, good.Batch(10)).ok());
    const absl::Status status = stream->Begin(batch);
    EXPECT_TRUE(HasReason(status, reason)) << StatusMessage(status);
    EXPECT_NE(StatusMessage(status).find(part), std::string::npos) << StatusMessage(status);
  };
  Columns short_values = good;
  short_values.values.clear();
  fails(short_values.Batch(11), ErrorReason::kBadField, "equal length");
  Columns short_times = good;
  short_times.offsets.push_back(4);
  fails(short_times.Batch(11), ErrorReason::kBadField, "equal length");
  Columns huge;
  for (size_t i = 0; i <= kMaxStreamBatchSamples; ++i) huge.Add(1, 0, 0);
  fails(huge.Batch(11), ErrorReason::kBadField, "at most 50000");
  fails(good.Batch(10), ErrorReason::kBadSequence, "after 10");
  fails(good.Batch(9), ErrorReason::kBadSequence, "got 9");
  fails(good.Batch(0), ErrorReason::kBadSequence, "got 0");
  fails(good.Batch(std::numeric_limits<int64_t>::min()), ErrorReason::kBadSequence, "larger");
  fails(good.Batch(11, "q"), ErrorReason::kBadField, "producer_id");
  fails(Columns().Define(0, "cpu").Batch(11), ErrorReason::kBadField, "definitions[0].ref");
  fails(Columns().Define(2, "a").Define(kMaxRef + 1, "cpu").Batch(11), ErrorReason::kBadField, "definitions[1].ref");
  fails(Columns().Define(1, "mem").Batch(11), ErrorReason::kBadField, "not bound to cpu");
  fails(Columns().Define(1, "cpu", "h").Batch(11), ErrorReason::kBadField, "again");
  fails(Columns().Define(5, "a").Define(5, "b").Batch(11), ErrorReason::kBadField, "definitions[1].ref");

  const auto fresh = intake_.OpenStream(kDefaultTenant);
  EXPECT_TRUE(HasReason(fresh->Begin(good.Batch(1, "")), ErrorReason::kBadField)) << "no producer_id";
  EXPECT_TRUE(HasReason(fresh->Begin(good.Batch(1, std::string(129, 'x'))), ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(fresh->Begin(good.Batch(0)), ErrorReason::kBadSequence));
}

TEST_F(IntakeStreamTest, LetsTheProducerIdBeLeftOutOrRepeated) {
  ASSERT_TRUE(Take(*stream_, Columns().Define(1, "cpu").Add(1, 0, 1).Batch(1)).ok());
  ASSERT_TRUE(Take(*stream_, Columns().Add(1, 1, 1).Batch(2, "")).ok());
  ASSERT_TRUE(Take(*stream_, Columns().Add(1, 2, 1).Batch(7, "p")).ok());
  EXPECT_EQ(store_->ProducerPosition(kDefaultTenant, "p"), 7);
}

TEST_F(IntakeStreamTest, RefusesSamplesNotTheStream) {
  Columns columns = Columns().Define(1, "cpu").Define(2, "not allowed").Define(3, "mem", "\xff");
  columns.Add(1, 0, 1).Add(2, 0, 1).Add(3, 0, 1).Add(4, 0, 1);
  columns.Add(1, std::numeric_limits<int64_t>::max(), 1).Add(1, -kNow - 1, 1).Add(1, -40 * kNanosPerDay, 1);
  columns.Add(1, 700 * kNanosPerSecond, 1).Add(0, 0, 1).Add(1, 1, 2);
  const auto receipt = Take(*stream_, columns.Batch(1));
  ASSERT_TRUE(receipt.ok()) << StatusMessage(receipt.status());
  EXPECT_EQ(receipt->accepted_count, 2);
  std::vector<RefusalReason> reasons;
  for (const SampleRefusal& refusal : receipt->refusals.detailed()) reasons.push_back(refusal.reason);
  EXPECT_EQ(reasons,
            (std::vector<RefusalReason>{RefusalReason::kBadMetric, RefusalReason::kBadLabels,
                                        RefusalReason::kUnknownRef, RefusalReason::kBadTime, RefusalReason::kBadTime,
                                        RefusalReason::kTooOld, RefusalReason::kInFuture, RefusalReason::kUnknownRef}));
  // A definition that was never allowed may be corrected.
  EXPECT_EQ(Take(*stream_, Columns().Define(2, "allowed").Add(2, 0, 1).Batch(2))->accepted_count, 1);
}

TEST_F(IntakeStreamTest, CreatesNoSeriesForDefinitionsWithoutGoodSamples) {
  ASSERT_TRUE(Take(*stream_, Columns().Define(1, "cpu").Define(2, "mem").Add(2, -40 * kNanosPerDay, 1).Batch(1)).ok());
  EXPECT_EQ(store_->SeriesCount(kDefaultTenant), 0);
}

TEST_F(IntakeStreamTest, SaysWhatIsADuplicate) {
  ASSERT_TRUE(Take(*stream_, Columns().Define(1, "cpu").Add(1, 0, 1).Batch(4)).ok());
  const auto again = intake_.OpenStream(kDefaultTenant);
  const auto receipt = Take(*again, Columns().Define(9, "cpu").Add(9, 0, 2).Batch(4));
  ASSERT_TRUE(receipt.ok());
  EXPECT_TRUE(receipt->duplicate);
  EXPECT_EQ(again->ProducerPosition(), 4);
  EXPECT_EQ(store_.Read(*store_->FindSeries(kDefaultTenant, {"cpu", {}})).values, std::vector<double>{1});
}

TEST_F(IntakeStreamTest, BoundsRefsAndTakesTheQuotaUpAgainWhenThereIsRoom) {
  IntakeOptions options;
  options.max_refs_per_stream = 2;
  options.max_series_per_metric = 1;
  Intake strict(*store_, clock_, options);
  const auto stream = strict.OpenStream(kDefaultTenant);
  const auto receipt = Take(*stream, Columns()
                                         .Define(1, "cpu", "a")
                                         .Define(2, "cpu", "b")
                                         .Define(3, "mem")
                                         .Add(1, 0, 1)
                                         .Add(2, 0, 1)
                                         .Add(3, 0, 1)
                                         .Batch(1));
  ASSERT_TRUE(receipt.ok());
  EXPECT_EQ(receipt->accepted_count, 1);
  ASSERT_EQ(receipt->refusals.count(RefusalReason::kSeriesLimit), 2);
  EXPECT_NE(receipt->refusals.detailed()[0].message.find("ingest.max_series_per_metric"), std::string::npos);
  EXPECT_NE(receipt->refusals.detailed()[1].message.find("ingest.max_refs_per_stream"), std::string::npos);
  // Somebody with more rights made the series meanwhile: the next batch finds it.
  store_.Series("cpu", {{"host", "b"}});
  EXPECT_EQ(Take(*stream, Columns().Add(2, 1, 1).Batch(2))->accepted_count, 1);
}

TEST_F(IntakeStreamTest, BoundsTheMemoryOfUnusedDefinitions) {
  const std::string value(1000, 'v');
  std::vector<std::string> hosts;
  for (int i = 0; i < 5'000; ++i) hosts.push_back(std::to_string(i) + value);
  int64_t sequence = 0;
  for (uint32_t round = 0; round < 12; ++round) {  // 60 MB of labels in all
    Columns columns;
    for (uint32_t i = 0; i < hosts.size(); ++i) columns.Define(1 + round * 5'000 + i, "cpu", hosts[i]);
    ASSERT_TRUE(stream_->Begin(columns.Batch(++sequence)).ok());
  }
  const auto receipt = Take(*stream_, Columns().Add(1, 0, 1).Add(60'000, 0, 1).Batch(++sequence));
  ASSERT_TRUE(receipt.ok());
  EXPECT_EQ(receipt->accepted_count, 1);
  EXPECT_EQ(receipt->refusals.count(RefusalReason::kSeriesLimit), 1);
}

TEST_F(IntakeStreamTest, CountsOpenStreams) {
  EXPECT_EQ(intake_.Stats().open_streams, 1);
  stream_ = nullptr;
  EXPECT_EQ(intake_.Stats().open_streams, 0);
}

}  // namespace
}  // namespace pulseboard

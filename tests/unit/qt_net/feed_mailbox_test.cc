#include "client-qt/net/feed_mailbox.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

client::SamplesEvent samples(quint64 id, std::vector<int64_t> times) {
  client::SamplesEvent event;
  client::SeriesSamples series;
  series.series = id;
  for (const int64_t time : times) series.samples.push_back(time, static_cast<double>(time));
  event.series.push_back(std::move(series));
  return event;
}

client::DefinitionsEvent definition(quint64 id) {
  client::DefinitionsEvent event;
  SeriesInfo info;
  info.id = id;
  info.key = {"cpu.usage", Labels{{"cpu", "0"}}};
  info.metadata = {MetricKind::kCounter, "By", "bytes"};
  event.definitions.push_back({info, {"p/0"}});
  return event;
}

TEST(FeedMailbox, TellsOnlyTheFirstOfABurst) {
  FeedMailbox mailbox;
  EXPECT_TRUE(mailbox.put(samples(1, {1})).was_empty);
  EXPECT_FALSE(mailbox.put(samples(1, {2})).was_empty);
  EXPECT_FALSE(mailbox.take().batch.empty());
  EXPECT_TRUE(mailbox.take().batch.empty());
  EXPECT_TRUE(mailbox.put(samples(1, {3})).was_empty);
  EXPECT_FALSE(mailbox.put(client::ProgressEvent{}).was_empty);
}

TEST(FeedMailbox, PutsFramesOfASeriesTogetherAndLateDataApart) {
  FeedMailbox mailbox;
  mailbox.put(samples(1, {10}));
  mailbox.put(samples(2, {10}));
  mailbox.put(samples(1, {11, 12}));
  mailbox.put(samples(1, {5}));
  mailbox.put(samples(1, {6, 13}));
  const FeedBatch batch = mailbox.take().batch;
  ASSERT_EQ(batch.samples.size(), 3u);
  EXPECT_EQ(batch.samples[0].times, (std::vector<qint64>{10, 11, 12}));
  EXPECT_EQ(batch.samples[2].times, (std::vector<qint64>{5, 6, 13}));
  EXPECT_EQ(batch.samples[2].values.back(), 13);
}

TEST(FeedMailbox, KeepsAmendsApartAndMarked) {
  FeedMailbox mailbox;
  mailbox.put(samples(1, {10}));
  client::AmendsEvent amends;
  amends.series.push_back({1, {{11}, {1}}});
  mailbox.put(amends);
  mailbox.put(samples(1, {12}));
  const FeedBatch batch = mailbox.take().batch;
  ASSERT_EQ(batch.samples.size(), 3u);
  EXPECT_FALSE(batch.samples[0].amended);
  EXPECT_TRUE(batch.samples[1].amended);
  EXPECT_EQ(batch.samples[1].times, (std::vector<qint64>{11}));
  EXPECT_FALSE(batch.samples[2].amended);
}

TEST(FeedMailbox, AsksForAPauseWhenFullAndForMoreOnceEmptied) {
  FeedMailbox mailbox({3});
  EXPECT_FALSE(mailbox.put(samples(1, {1, 2})).full);
  EXPECT_TRUE(mailbox.put(samples(1, {3})).full);
  const FeedMailbox::TakeResult taken = mailbox.take();
  EXPECT_TRUE(taken.was_full);
  EXPECT_EQ(taken.batch.samples[0].times.size(), 3u);
  EXPECT_FALSE(mailbox.put(samples(1, {4})).full);
  EXPECT_FALSE(mailbox.take().was_full);
}

TEST(FeedMailbox, ForgetsWhatAResetMakesObsolete) {
  FeedMailbox mailbox;
  mailbox.put(definition(1));
  mailbox.put(samples(1, {1, 2}));
  mailbox.put(client::BackfillDoneEvent{});
  mailbox.put(client::ResetEvent{});
  mailbox.put(definition(2));
  const FeedBatch batch = mailbox.take().batch;
  EXPECT_TRUE(batch.reset);
  EXPECT_FALSE(batch.backfill_done);
  EXPECT_TRUE(batch.samples.empty());
  ASSERT_EQ(batch.definitions.size(), 1u);
  EXPECT_EQ(batch.definitions[0].series.id, 2u);
}

TEST(FeedMailbox, KeepsWhatWaitsWhenTheQueriesChange) {
  FeedMailbox mailbox;
  mailbox.put(definition(1));
  mailbox.put(samples(1, {1, 2}));
  mailbox.put(client::BackfillDoneEvent{});
  mailbox.put(client::UpdatedEvent{});
  mailbox.put(definition(1));
  mailbox.put(definition(2));
  mailbox.put(samples(1, {3}));
  FeedBatch batch = mailbox.take().batch;
  EXPECT_FALSE(batch.reset);
  EXPECT_TRUE(batch.updated);
  EXPECT_FALSE(batch.backfill_done);  // that of the new queries is not here yet
  ASSERT_EQ(batch.definitions.size(), 1u);
  ASSERT_EQ(batch.redefinitions.size(), 2u);
  ASSERT_EQ(batch.samples.size(), 1u);
  EXPECT_EQ(batch.samples[0].times, (std::vector<qint64>{1, 2, 3}));
  mailbox.put(definition(3));
  mailbox.put(client::BackfillDoneEvent{});
  batch = mailbox.take().batch;
  EXPECT_FALSE(batch.updated);
  EXPECT_EQ(batch.definitions.size(), 1u);
  EXPECT_TRUE(batch.backfill_done);
}

TEST(FeedMailbox, TakesARefusedUpdateForNothing) {
  FeedMailbox mailbox;
  EXPECT_FALSE(mailbox.put(client::UpdatedEvent{absl::InvalidArgumentError("no")}).was_empty);
  EXPECT_TRUE(mailbox.take().batch.empty());
}

TEST(FeedMailbox, PassesOnEventsAndPausesForTooMany) {
  FeedMailbox mailbox({4 * FeedMailbox::kEventSamples});
  client::Occurrence deploy;
  deploy.event_id = 5;
  deploy.time_unix_nanos = 77;
  deploy.severity = 3;
  deploy.source = "deploy";
  deploy.labels = Labels{{"service", "api"}};
  deploy.text = "api 1.2.3";
  EXPECT_TRUE(mailbox.put(client::OccurrencesEvent{{deploy}}).was_empty);
  EXPECT_FALSE(mailbox.put(client::OccurrencesEvent{{deploy, deploy}}).full);
  EXPECT_TRUE(mailbox.put(client::OccurrencesEvent{{deploy}}).full);
  const FeedMailbox::TakeResult taken = mailbox.take();
  EXPECT_TRUE(taken.was_full);
  ASSERT_EQ(taken.batch.events.size(), 4u);
  const EventItem& event = taken.batch.events[0];
  EXPECT_EQ(event.id, 5);
  EXPECT_EQ(event.time, 77);
  EXPECT_EQ(event.severity, EventSeverity::Warning);
  EXPECT_EQ(event.source, "deploy");
  EXPECT_EQ(event.labels, (QVector<LabelItem>{{"service", "api"}}));
  EXPECT_EQ(event.text, "api 1.2.3");
}

TEST(FeedMailbox, KeepsOneDefinitionPerSeries) {
  FeedMailbox mailbox;
  for (int i = 0; i < 5; ++i) mailbox.put(definition(7));
  const FeedBatch batch = mailbox.take().batch;
  ASSERT_EQ(batch.definitions.size(), 1u);
  const SeriesItem& item = batch.definitions[0].series;
  EXPECT_EQ(item.selector(), "cpu.usage{cpu=\"0\"}");
  EXPECT_EQ(item.kind, SeriesKind::Counter);
  EXPECT_EQ(item.unit, "By");
  EXPECT_EQ(batch.definitions[0].query_ids, QStringList{"p/0"});
}

TEST(FeedMailbox, PassesOnGapsInOrder) {
  FeedMailbox mailbox;
  mailbox.put(client::GapEvent{5, 9, 3});
  const FeedBatch batch = mailbox.take().batch;
  ASSERT_EQ(batch.gaps.size(), 1u);
  EXPECT_EQ(batch.gaps[0].end_unix_nanos, 9);
  EXPECT_EQ(batch.gaps[0].dropped_samples, 3);
}

TEST(FeedMailbox, TellsWhatStoppedUntilItsNextSample) {
  FeedMailbox mailbox;
  EXPECT_TRUE(mailbox.put(client::StaleEvent{{1, 2}}).was_empty);
  mailbox.put(client::StaleEvent{{2}});
  mailbox.put(samples(1, {7}));
  EXPECT_EQ(mailbox.take().batch.stale, (std::vector<quint64>{2}));
  mailbox.put(samples(2, {8}));
  mailbox.put(client::StaleEvent{{2}});
  EXPECT_EQ(mailbox.take().batch.stale, (std::vector<quint64>{2}));
  mailbox.put(client::StaleEvent{{1}});
  mailbox.put(client::ResetEvent{});
  EXPECT_TRUE(mailbox.take().batch.stale.empty());
}

TEST(FeedMailbox, LosesNothingBetweenTwoThreads) {
  FeedMailbox mailbox;
  constexpr int kCount = 20'000;
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 1; i <= kCount; ++i) mailbox.put(samples(1, {i}));
    done = true;
  });
  int64_t seen = 0;
  bool last_round = false;
  while (!last_round) {
    last_round = done;
    for (const SeriesSamples& series : mailbox.take().batch.samples) {
      for (const qint64 time : series.times) ASSERT_EQ(time, ++seen);
    }
  }
  writer.join();
  EXPECT_EQ(seen, kCount);
}

}  // namespace
}  // namespace pulseboard::qt

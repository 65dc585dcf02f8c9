#include "client-qt/model/panel_data.h"

#include <gtest/gtest.h>

#include <cmath>

#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr qint64 kSecond = kNanosPerSecond;

SeriesItem series(quint64 id, const char* metric, QVector<LabelItem> labels = {}, const char* unit = "%") {
  SeriesItem item;
  item.id = id;
  item.metric = QString::fromLatin1(metric);
  item.labels = std::move(labels);
  item.unit = QString::fromLatin1(unit);
  return item;
}

SeriesSamples seconds(quint64 id, int first, int last) {
  SeriesSamples out;
  out.series_id = id;
  for (int i = first; i <= last; ++i) {
    out.times.push_back(i * kSecond);
    out.values.push_back(i);
  }
  return out;
}

// A batch in which two series of panel "cpu" are defined.
FeedBatch twoCores() {
  FeedBatch batch;
  batch.reset = true;
  batch.definitions.push_back({series(7, "cpu.usage", {{"cpu", "0"}, {"host", "a"}}), {"cpu/0"}});
  batch.definitions.push_back({series(8, "cpu.usage", {{"cpu", "1"}, {"host", "a"}}), {"cpu/0", "other/0"}});
  batch.definitions.push_back({series(9, "memory.usage"), {"memory/0"}});
  return batch;
}

TEST(PanelData, TakesOnlyTheSeriesOfItsOwnQueries) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  batch.samples = {seconds(7, 1, 5), seconds(9, 1, 5)};
  EXPECT_TRUE(panel.apply(batch));
  ASSERT_EQ(panel.series().size(), 2);
  EXPECT_EQ(panel.lines({0, 10 * kSecond}, 100).size(), 1);
  EXPECT_EQ(panel.slotOf(7), 0);
  EXPECT_EQ(panel.slotOf(8), 1);
  EXPECT_EQ(panel.slotOf(9), -1);
  EXPECT_EQ(panel.unit(), "%");
}

TEST(PanelData, IsLoadingUntilTheBackfillIsDone) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  batch.backfill = {seconds(7, 1, 100)};
  panel.apply(batch);
  EXPECT_TRUE(panel.isLoading());
  FeedBatch done;
  done.backfill_done = true;
  EXPECT_TRUE(panel.apply(done));
  EXPECT_FALSE(panel.isLoading());
  EXPECT_EQ(panel.legend({0, 1'000 * kSecond}).front().last, 100);
}

TEST(PanelData, StartsAgainAtAResetAndKeepsTheColours) {
  PanelData panel("cpu");
  FeedBatch first = twoCores();
  first.samples = {seconds(8, 1, 5)};
  panel.apply(first);
  FeedBatch again;
  again.reset = true;
  again.definitions.push_back({series(8, "cpu.usage", {{"cpu", "1"}}), {"cpu/0"}});
  panel.apply(again);
  EXPECT_TRUE(panel.isEmpty());
  EXPECT_EQ(panel.slotOf(8), 1);
  ASSERT_EQ(panel.series().size(), 1);
}

TEST(PanelData, NamesSeriesByTheLabelsInWhichTheyDiffer) {
  PanelData panel("cpu");
  panel.apply(twoCores());
  EXPECT_EQ(panel.displayName(7), "cpu 0");
  EXPECT_EQ(panel.displayName(8), "cpu 1");
  PanelData single("memory");
  single.apply(twoCores());
  EXPECT_EQ(single.displayName(9), "usage");
}

TEST(PanelData, NamesTheMetricWhenMetricsDiffer) {
  PanelData panel("p");
  FeedBatch batch;
  batch.definitions.push_back({series(1, "disk.read", {{"device", "sda"}}), {"p/0"}});
  batch.definitions.push_back({series(2, "disk.write", {{"device", "sda"}}), {"p/1"}});
  panel.apply(batch);
  EXPECT_EQ(panel.displayName(1), "read");
  EXPECT_EQ(panel.displayName(2), "write");
}

TEST(PanelData, ShowsAGapOnlyWhereAllSeriesAreSilent) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  batch.samples = {seconds(7, 1, 20), seconds(7, 60, 80), seconds(8, 1, 40), seconds(8, 70, 80)};
  panel.apply(batch);
  const QVector<GapItem> gaps = panel.gaps({0, 100 * kSecond}, 81 * kSecond);
  ASSERT_EQ(gaps.size(), 1);
  EXPECT_EQ(gaps[0].start_unix_nanos, 40 * kSecond);
  EXPECT_EQ(gaps[0].end_unix_nanos, 60 * kSecond);
}

TEST(PanelData, OpensAGapWhenNothingArrivesAnyMore) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  batch.samples = {seconds(7, 1, 20)};
  panel.apply(batch);
  EXPECT_TRUE(panel.gaps({0, 22 * kSecond}, 22 * kSecond).isEmpty());
  const QVector<GapItem> gaps = panel.gaps({0, 30 * kSecond}, 30 * kSecond);
  ASSERT_EQ(gaps.size(), 1);
  EXPECT_EQ(gaps[0].start_unix_nanos, 20 * kSecond);
  EXPECT_EQ(gaps[0].end_unix_nanos, 30 * kSecond);
}

TEST(PanelData, HasNoGapBeforeTheFirstSample) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  batch.samples = {seconds(7, 50, 60)};
  panel.apply(batch);
  EXPECT_TRUE(panel.gaps({0, 60 * kSecond}, 60 * kSecond).isEmpty());
}

TEST(PanelData, ShowsDroppedSamplesAsAGap) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  batch.samples = {seconds(7, 1, 60)};
  batch.gaps = {{10 * kSecond, 15 * kSecond, 40}, {14 * kSecond, 20 * kSecond, 2}};
  panel.apply(batch);
  const QVector<GapItem> gaps = panel.gaps({0, 60 * kSecond}, 60 * kSecond);
  ASSERT_EQ(gaps.size(), 1);
  EXPECT_EQ(gaps[0].dropped_samples, 42);
  EXPECT_EQ(gaps[0].end_unix_nanos, 20 * kSecond);
}

TEST(PanelData, MarksWhatWasAmendedWhereItIsNow) {
  PanelData data(QStringLiteral("cpu"));
  FeedBatch batch = twoCores();
  batch.samples = {seconds(7, 0, 20)};
  data.apply(batch);
  FeedBatch late;
  late.samples = {{7, {5 * kSecond, 15 * kSecond}, {50, 51}, true}, {9, {5 * kSecond}, {1}, true}};
  data.apply(late);
  late.samples = {{7, {15 * kSecond}, {70}, true}};
  data.apply(late);
  const auto marks = [&](TimeRange range, qint64 apart) {
    QVector<QPair<qint64, double>> out;
    for (const AmendMark& mark : data.amends(range, apart)) out.push_back({mark.time / kSecond, mark.value});
    return out;
  };
  using Marks = QVector<QPair<qint64, double>>;
  EXPECT_EQ(marks({0, 30 * kSecond}, 1), (Marks{{5, 50}, {15, 70}}));
  EXPECT_EQ(marks({0, 15 * kSecond}, 1), (Marks{{5, 50}}));
  EXPECT_EQ(marks({0, 30 * kSecond}, 20 * kSecond), (Marks{{5, 50}})) << "too close to be told apart";
  EXPECT_EQ(data.legend({0, 30 * kSecond})[0].max, 70) << "the line has them too";
  data.trim(10 * kSecond);
  EXPECT_EQ(marks({0, 30 * kSecond}, 1), (Marks{{15, 70}}));
  data.apply(twoCores());
  EXPECT_TRUE(data.amends({0, 30 * kSecond}, 1).isEmpty()) << "a new snapshot";
}

TEST(PanelData, TellsLastMinAndMaxOfTheWindowOnly) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  batch.samples = {seconds(7, 1, 60), seconds(8, 1, 5)};
  panel.apply(batch);
  const QVector<LegendRow> rows = panel.legend({10 * kSecond, 21 * kSecond});
  ASSERT_EQ(rows.size(), 1);
  EXPECT_EQ(rows[0].min, 10);
  EXPECT_EQ(rows[0].max, 20);
  EXPECT_EQ(rows[0].last, 20);
  EXPECT_EQ(rows[0].last_time, 20 * kSecond);
  const auto range = panel.valueRange({10 * kSecond, 21 * kSecond});
  ASSERT_TRUE(range);
  EXPECT_EQ(range->min, 10);
  EXPECT_EQ(range->max, 20);
}

TEST(PanelData, SortsHoverValuesLargestFirst) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  SeriesSamples high = seconds(8, 1, 30);
  for (double& value : high.values) value += 100;
  batch.samples = {seconds(7, 1, 30), high};
  panel.apply(batch);
  const QVector<HoverValue> values = panel.valuesAt(20 * kSecond + 400'000'000);
  ASSERT_EQ(values.size(), 2);
  EXPECT_EQ(values[0].series_id, 8u);
  EXPECT_EQ(values[0].value, 120);
  EXPECT_EQ(values[1].time, 20 * kSecond);
  EXPECT_TRUE(panel.valuesAt(90 * kSecond).isEmpty());
}

TEST(PanelData, LeavesSilentSeriesOutOfTheLiveEdge) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  batch.samples = {seconds(7, 1, 30), seconds(8, 1, 10)};
  panel.apply(batch);
  const QVector<HoverValue> edge = panel.liveEdge({0, 31 * kSecond});
  ASSERT_EQ(edge.size(), 1);
  EXPECT_EQ(edge[0].series_id, 7u);
  EXPECT_EQ(edge[0].value, 30);
}

TEST(PanelData, MarksASeriesThatStoppedUntilItsNextSample) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  batch.samples = {seconds(7, 1, 5), seconds(8, 1, 5)};
  batch.stale = {8, 9};  // 9 is another panel's
  panel.apply(batch);
  QVector<LegendRow> rows = panel.legend({0, 10 * kSecond});
  ASSERT_EQ(rows.size(), 2);
  EXPECT_FALSE(rows[0].stale);
  EXPECT_TRUE(rows[1].stale);
  EXPECT_FALSE(panel.isStale(9));
  FeedBatch stopped;
  stopped.stale = {7};
  EXPECT_TRUE(panel.apply(stopped));
  EXPECT_FALSE(panel.apply(stopped));  // nothing new to draw
  FeedBatch more;
  more.samples = {seconds(8, 6, 6)};
  panel.apply(more);
  rows = panel.legend({0, 10 * kSecond});
  EXPECT_TRUE(rows[0].stale);
  EXPECT_FALSE(rows[1].stale);
  panel.apply(twoCores());  // a new snapshot knows nothing of it yet
  EXPECT_FALSE(panel.isStale(7));
}

TEST(PanelData, TrimsSamplesAndForgetsEmptySeries) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  batch.backfill_done = true;
  batch.samples = {seconds(7, 1, 30), seconds(8, 1, 10)};
  panel.apply(batch);
  panel.trim(15 * kSecond);
  ASSERT_EQ(panel.series().size(), 1);
  EXPECT_EQ(panel.legend({0, 100 * kSecond})[0].min, 15);
}

TEST(PanelData, CountsSeriesBeyondItsLimit) {
  PanelData panel("cpu", {1, 1'000});
  FeedBatch batch = twoCores();
  batch.samples = {seconds(8, 1, 10)};
  panel.apply(batch);
  EXPECT_EQ(panel.series().size(), 1);
  EXPECT_EQ(panel.hiddenSeries(), 1);
  EXPECT_TRUE(panel.isEmpty());
}

TEST(PanelData, PutsHistoryInPlaceOfWhatIsThere) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  batch.samples = {seconds(7, 1, 30)};
  panel.apply(batch);
  HistoryResult history;
  history.definitions.push_back({series(7, "cpu.usage"), {}});
  SeriesSamples first = seconds(7, 5, 6), second = seconds(7, 7, 8);
  for (double& value : first.values) value = 50;
  for (double& value : second.values) value = 60;
  history.samples = {first, second};
  panel.applyHistory(history, {5 * kSecond, 11 * kSecond});
  EXPECT_EQ(panel.valueRange({5 * kSecond, 9 * kSecond})->min, 50);
  EXPECT_EQ(panel.valueRange({5 * kSecond, 11 * kSecond})->max, 60);
  EXPECT_EQ(panel.valueRange({11 * kSecond, 12 * kSecond})->min, 11);
}

TEST(PanelData, ForgetsWhatHistoryDoesNotHave) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  batch.samples = {seconds(7, 1, 30)};
  panel.apply(batch);
  HistoryResult history;
  history.definitions.push_back({series(7, "cpu.usage"), {}});
  panel.applyHistory(history, {5 * kSecond, 11 * kSecond});
  EXPECT_FALSE(panel.valueRange({5 * kSecond, 11 * kSecond}));
  EXPECT_TRUE(panel.valueRange({1 * kSecond, 5 * kSecond}));
}

TEST(PanelData, TakesOtherQueriesWithoutLosingWhatStays) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  batch.backfill = {seconds(7, 1, 5), seconds(8, 1, 5)};
  batch.backfill_done = true;
  panel.apply(batch);
  // Core 1 goes, core 2 comes; core 0 gets no backfill again.
  FeedBatch update;
  update.updated = true;
  update.redefinitions.push_back({series(7, "cpu.usage", {{"cpu", "0"}, {"host", "a"}}), {"cpu/0"}});
  update.redefinitions.push_back({series(8, "cpu.usage", {{"cpu", "1"}, {"host", "a"}}), {"other/0"}});
  update.samples = {seconds(7, 6, 6)};
  EXPECT_TRUE(panel.apply(update));
  EXPECT_FALSE(panel.isLoading());
  EXPECT_EQ(panel.series().size(), 2);  // until all definitions are here
  FeedBatch rest;
  rest.definitions.push_back({series(10, "cpu.usage", {{"cpu", "2"}, {"host", "a"}}), {"cpu/1"}});
  rest.backfill = {seconds(10, 1, 6)};
  rest.backfill_done = true;
  EXPECT_TRUE(panel.apply(rest));
  ASSERT_EQ(panel.series().size(), 2);
  EXPECT_EQ(panel.series()[0].id, 7u);
  EXPECT_EQ(panel.slotOf(7), 0);
  EXPECT_EQ(panel.series()[1].id, 10u);
  const QVector<SeriesLine> lines = panel.lines({0, 10 * kSecond}, 100);
  ASSERT_EQ(lines.size(), 2);
  EXPECT_EQ(lines[0].runs, (QVector<QVector<QPointF>>{{{1e3, 1}, {2e3, 2}, {3e3, 3}, {4e3, 4}, {5e3, 5}, {6e3, 6}}}));
}

TEST(PanelData, HasNothingToDrawAnewWhenOtherPanelsChange) {
  PanelData panel("cpu");
  FeedBatch batch = twoCores();
  batch.backfill = {seconds(7, 1, 5), seconds(8, 1, 5)};
  batch.backfill_done = true;
  panel.apply(batch);
  FeedBatch update;
  update.updated = true;
  update.redefinitions = twoCores().definitions;
  update.redefinitions.push_back({series(11, "load"), {"load/0"}});
  update.backfill = {seconds(11, 1, 5)};
  update.backfill_done = true;
  EXPECT_FALSE(panel.apply(update));
  EXPECT_EQ(panel.series().size(), 2);
}

TEST(PanelData, TellsItsOldestSample) {
  PanelData panel("cpu");
  EXPECT_FALSE(panel.oldestTime());
  FeedBatch batch = twoCores();
  batch.backfill = {seconds(7, 4, 9), seconds(8, 3, 9)};
  panel.apply(batch);
  EXPECT_EQ(panel.oldestTime(), 3 * kSecond);
}

}  // namespace
}  // namespace pulseboard::qt

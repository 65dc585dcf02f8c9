// Charts draw what the data says: peaks, holes, sums, steady axes, one crosshair for all.
#include <gtest/gtest.h>

#include <QMouseEvent>
#include <QScrollBar>
#include <QSignalSpy>
#include <limits>

#include "client-qt/chart/bar_chart.h"
#include "client-qt/chart/event_painter.h"
#include "client-qt/chart/legend_view.h"
#include "client-qt/chart/line_chart.h"
#include "common/base/clock.h"
#include "tests/unit/qt_ui/offscreen_app.h"

namespace pulseboard::qt {
namespace {

[[maybe_unused]] const auto* const kApp = testing::AddGlobalTestEnvironment(new OffscreenApp);

constexpr qint64 kSecond = kNanosPerSecond;
constexpr int kSmoothed = 150;
constexpr qint64 kStart = 1'795'519'200LL * kSecond;

TEST(PlotScale, ShowsWholePixelsThatStandStillWhileTimePasses) {
  const TimeRange wanted{kStart + 123, kStart + 123 + 300 * kSecond};
  const TimeRange shown = PlotScale::onPixels(wanted, 500);
  const qint64 pixel = (shown.end - shown.start) / 500;
  EXPECT_EQ(shown.start % pixel, 0);
  EXPECT_EQ(shown.end % pixel, 0);
  EXPECT_GE(shown.end, wanted.end);
  EXPECT_LT(shown.end, wanted.end + pixel);
  // Until the next pixel nothing moves; then all by one pixel.
  EXPECT_EQ(PlotScale::onPixels({wanted.start + 1000, wanted.end + 1000}, 500), shown);
  const TimeRange later = PlotScale::onPixels({wanted.start + pixel, wanted.end + pixel}, 500);
  EXPECT_EQ(later.end - shown.end, pixel);
}

TEST(StackLines, SumsOnTheInstantsOfAllLines) {
  const QVector<SeriesLine> lines = {{1, 0, {{{0, 1}, {10, 3}}}}, {2, 1, {{{0, 10}, {5, 20}, {10, 10}}}}};
  const QVector<StackLayer> layers = stackLines(lines, {0, 10'000'000}, 100);
  ASSERT_EQ(layers.size(), 2);
  ASSERT_EQ(layers[1].upper.size(), 1);
  EXPECT_EQ(layers[1].upper[0], (QVector<QPointF>{{0, 11}, {5, 22}, {10, 13}}));
  EXPECT_EQ(layers[1].lower[0], layers[0].upper[0]);
  EXPECT_DOUBLE_EQ(stackTop(layers), 22);
}

TEST(StackLines, BreaksWhereEveryLineBreaks) {
  const QVector<SeriesLine> lines = {{1, 0, {{{0, 1}, {1, 1}}, {{8, 1}, {9, 1}}}},
                                     {2, 1, {{{0, 2}, {1, 2}}, {{8, 2}, {9, 2}}}}};
  const QVector<StackLayer> layers = stackLines(lines, {0, 10'000'000}, 100);
  ASSERT_EQ(layers[0].upper.size(), 2);
  EXPECT_EQ(layers[0].upper[0].last().x(), 1);
  EXPECT_EQ(layers[0].upper[1].first().x(), 8);
}

// A chart of one panel with a few series of given values.
struct ChartStage {
  PanelData data{QStringLiteral("p")};
  Crosshair crosshair;
  QWidget window;
  LineChart chart{data, crosshair, &window};

  explicit ChartStage(LineChart::Options options = {}) {
    chart.setChartStyle(Theme::current().chartStyle());
    chart.setOptions(options);
    window.resize(640, 300);
    chart.setGeometry(0, 0, 600, 240);
    window.show();
  }
  void add(quint64 id, const QString& host, const SeriesSamples& samples) {
    FeedBatch batch;
    SeriesItem item;
    item.id = id;
    item.metric = QStringLiteral("cpu");
    item.labels = {{QStringLiteral("host"), host}};
    item.unit = QStringLiteral("%");
    batch.definitions.push_back({item, {QStringLiteral("p/0")}});
    batch.backfill.push_back(samples);
    batch.backfill.back().series_id = id;
    batch.backfill_done = true;
    data.apply(batch);
  }
  void show(int seconds) {
    const qint64 end = kStart + seconds * kSecond;
    chart.refresh({kStart, end}, end, true, true);
  }
  QImage picture() { return chart.grab().toImage(); }
  QRect plot() const { return chart.scale().plot.toAlignedRect(); }
  QColor line(int slot) const { return Theme::current().series(slot); }
  void mouse(QPointF at) {
    QMouseEvent move(QEvent::MouseMove, at, chart.viewport()->mapToGlobal(at), Qt::NoButton, Qt::NoButton,
                     Qt::NoModifier);
    QCoreApplication::sendEvent(chart.viewport(), &move);
  }
};

SeriesSamples flat(int count, double value, qint64 step = kSecond) {
  SeriesSamples samples;
  for (int i = 0; i < count; ++i) {
    samples.times.push_back(kStart + i * step);
    samples.values.push_back(value);
  }
  return samples;
}

TEST(LineChart, NeverDrawsMoreThanFourPointsPerPixelAndLosesNoPeak) {
  ChartStage stage({false, {}, 0.0, 100.0});
  SeriesSamples samples = flat(90'000, 10, kSecond / 100);
  samples.values[45'678] = 95;  // one sample of ten milliseconds in fifteen minutes
  stage.add(1, QStringLiteral("a"), samples);
  stage.show(900);
  EXPECT_LE(stage.chart.drawnPoints(), 4 * stage.chart.plotPixels() + 8);
  const QImage picture = stage.picture();
  QRect top = stage.plot();
  top.setBottom(static_cast<int>(stage.chart.scale().y(85)));
  EXPECT_GT(pixelsLike(picture, stage.line(0), top), 5);
}

TEST(LineChart, LeavesAHoleEmptyAndHatched) {
  ChartStage stage({false, {}, 0.0, 100.0});
  SeriesSamples samples = flat(300, 50);
  samples.times.erase(samples.times.begin() + 100, samples.times.begin() + 180);
  samples.values.erase(samples.values.begin() + 100, samples.values.begin() + 180);
  stage.add(1, QStringLiteral("a"), samples);
  stage.show(300);
  const QImage picture = stage.picture();
  const auto x = [&](int second) { return static_cast<int>(stage.chart.scale().x(kStart + second * kSecond)); };
  const int y = static_cast<int>(stage.chart.scale().y(50));
  const QRect hole(QPoint(x(105), y - 4), QPoint(x(175), y + 4));
  const QRect before(QPoint(x(40), y - 4), QPoint(x(95), y + 4));
  EXPECT_EQ(pixelsLike(picture, stage.line(0), hole, kSmoothed), 0);
  EXPECT_GT(pixelsLike(picture, stage.line(0), before, kSmoothed), 40);
  int hatched = 0;
  for (int px = hole.left(); px < hole.right(); ++px) {
    hatched += picture.pixelColor(px, y + 30) != picture.pixelColor(before.left() + 3, y + 30) ? 1 : 0;
  }
  EXPECT_GT(hatched, hole.width() / 2);
}

TEST(LineChart, RedrawsAmendedSamplesAndMarksThemHollow) {
  ChartStage stage({false, {}, 0.0, 100.0});
  stage.add(1, QStringLiteral("a"), flat(300, 20));
  stage.show(300);
  const QPoint place(static_cast<int>(stage.chart.scale().x(kStart + 150 * kSecond)),
                     static_cast<int>(stage.chart.scale().y(80)));
  const QRect around(place - QPoint(5, 5), place + QPoint(5, 5));
  EXPECT_EQ(pixelsLike(stage.picture(), stage.line(0), around, kSmoothed), 0);
  FeedBatch late;
  late.samples.push_back({1, {kStart + 150 * kSecond}, {80}, true});
  ASSERT_TRUE(stage.data.apply(late));
  stage.show(300);
  const QImage picture = stage.picture();
  EXPECT_GT(pixelsLike(picture, stage.line(0), around, kSmoothed), 6) << "a ring";
  const QRect inside(place - QPoint(0, 1), place + QPoint(1, 0));
  EXPECT_EQ(pixelsLike(picture, stage.line(0), inside, 60), 0) << "with nothing in it";
  const QRect low(QPoint(place.x() - 40, static_cast<int>(stage.chart.scale().y(22))),
                  QPoint(place.x() - 10, static_cast<int>(stage.chart.scale().y(18))));
  EXPECT_GT(pixelsLike(picture, stage.line(0), low, kSmoothed), 20) << "the rest stays";
}

TEST(LineChart, GrowsTheValueAxisAtOnceAndShrinksItLate) {
  ChartStage stage;
  stage.add(1, QStringLiteral("a"), flat(60, 40));
  stage.show(60);
  const double quiet = stage.chart.scale().max;
  EXPECT_GE(quiet, 40);
  FeedBatch more;
  more.samples.push_back({1, {kStart + 61 * kSecond}, {900}});
  stage.data.apply(more);
  stage.show(62);
  const double grown = stage.chart.scale().max;
  EXPECT_GE(grown, 900);
  // A little below: the axis stays.
  more.samples = {{1, {kStart + 61 * kSecond}, {700}}};
  stage.data.apply(more);
  stage.show(63);
  EXPECT_EQ(stage.chart.scale().max, grown);
}

TEST(LineChart, KeepsItsPictureUntilThePixelMoves) {
  ChartStage stage;
  stage.add(1, QStringLiteral("a"), flat(300, 40));
  stage.show(300);
  stage.picture();
  QSignalSpy painted(&stage.chart, &LineChart::painted);
  const TimeRange shown = stage.chart.scale().range;
  const qint64 end = kStart + 300 * kSecond;
  stage.chart.refresh({kStart, end}, end, true, false);
  EXPECT_EQ(stage.chart.scale().range, shown);
  stage.picture();
  EXPECT_EQ(painted.count(), 0);
  stage.chart.refresh({kStart, end}, end, true, true);
  stage.picture();
  EXPECT_EQ(painted.count(), 1);
}

TEST(LineChart, SharesOneCrosshairAndListsTheLargestValueFirst) {
  ChartStage stage({false, {}, 0.0, 100.0});
  stage.add(1, QStringLiteral("low"), flat(300, 20));
  stage.add(2, QStringLiteral("high"), flat(300, 80));
  LineChart other(stage.data, stage.crosshair, &stage.window);
  other.setChartStyle(Theme::current().chartStyle());
  other.setGeometry(0, 0, 600, 240);
  stage.show(300);
  other.refresh({kStart, kStart + 300 * kSecond}, kStart + 300 * kSecond, true, true);
  const QImage before = other.grab().toImage();
  stage.mouse(stage.chart.scale().plot.center());
  ASSERT_TRUE(stage.crosshair.time().has_value());
  EXPECT_NEAR(static_cast<double>(*stage.crosshair.time() - kStart) / kSecond, 150, 2);
  EXPECT_NE(other.grab().toImage(), before);
  const auto* card = stage.window.findChild<HoverCard*>();
  ASSERT_NE(card, nullptr);
  EXPECT_TRUE(card->isVisible());
  const QVector<HoverValue> values = stage.data.valuesAt(*stage.crosshair.time());
  ASSERT_EQ(values.size(), 2);
  EXPECT_GT(values[0].value, values[1].value);
  QEvent leave(QEvent::Leave);
  QCoreApplication::sendEvent(&stage.chart, &leave);
  EXPECT_FALSE(stage.crosshair.time().has_value());
  EXPECT_FALSE(card->isVisible());
}

EventItem eventAt(qint64 id, int second, EventSeverity severity) {
  EventItem event;
  event.id = id;
  event.time = kStart + second * kSecond;
  event.severity = severity;
  event.source = QStringLiteral("deploy");
  event.labels = {{QStringLiteral("service"), QStringLiteral("api")}};
  event.text = QStringLiteral("number %1").arg(id);
  return event;
}

TEST(LineChart, MarksEventsInTheColourOfTheirSeverity) {
  EventLog events;
  events.add({eventAt(1, 60, EventSeverity::Info), eventAt(2, 150, EventSeverity::Warning),
              eventAt(3, 240, EventSeverity::Error)});
  ChartStage stage({false, {}, 0.0, 100.0});
  stage.add(1, QStringLiteral("a"), flat(300, 5));
  stage.chart.setEvents(&events);
  stage.show(300);
  ASSERT_EQ(stage.chart.eventMarks().size(), 3);
  const ChartStyle style = Theme::current().chartStyle();
  const QImage picture = stage.picture();
  for (const EventMark& mark : stage.chart.eventMarks()) {
    const int x = static_cast<int>(stage.chart.scale().x(mark.time));
    const int top = static_cast<int>(stage.plot().top());
    const QRect flag(x - 6, top - 12, 13, 12);
    EXPECT_GT(pixelsLike(picture, eventColor(mark.severity, style), flag), 15) << static_cast<int>(mark.severity);
    const QColor line = picture.pixelColor(x, top + 40);
    EXPECT_NE(line, picture.pixelColor(x + 3, top + 40));
  }
  stage.chart.setEvents(nullptr);
  EXPECT_TRUE(stage.chart.eventMarks().isEmpty());
  EXPECT_EQ(pixelsLike(stage.picture(), style.critical, stage.chart.rect()), 0);
}

TEST(LineChart, TellsTheEventsUnderTheMouseTheWorstFirst) {
  EventLog events;
  for (int i = 1; i <= 6; ++i)
    events.add({eventAt(i, 149 + i / 4, i == 5 ? EventSeverity::Critical : EventSeverity::Info)});
  ChartStage stage({false, {}, 0.0, 100.0});
  stage.add(1, QStringLiteral("a"), flat(300, 20));
  stage.chart.setEvents(&events);
  stage.show(300);
  ASSERT_EQ(stage.chart.eventMarks().size(), 1);
  stage.mouse(QPointF(stage.chart.scale().x(kStart + 149 * kSecond) + 2, stage.chart.scale().plot.center().y()));
  const auto* card = stage.window.findChild<HoverCard*>();
  ASSERT_NE(card, nullptr);
  ASSERT_TRUE(card->isVisible());
  const HoverCard::Content content = card->content();
  ASSERT_EQ(content.events.size(), HoverCard::kMaxEvents);
  EXPECT_EQ(content.hidden_events, 2);
  EXPECT_EQ(content.events[0].severity, EventSeverity::Critical);
  EXPECT_EQ(content.events[0].text, QStringLiteral("number 5"));
  EXPECT_EQ(content.events[0].source, QStringLiteral("deploy"));
  EXPECT_EQ(content.events[0].labels, QStringLiteral("service=api"));
  EXPECT_EQ(content.events[1].text, QStringLiteral("number 1"));
  EXPECT_EQ(content.rows.size(), 1);
  stage.mouse(QPointF(stage.chart.scale().x(kStart + 200 * kSecond), stage.chart.scale().plot.center().y()));
  EXPECT_TRUE(card->content().events.isEmpty());
}

TEST(LineChart, SelectsTheStretchThatWasDraggedOver) {
  ChartStage stage;
  stage.add(1, QStringLiteral("a"), flat(300, 20));
  stage.show(300);
  QSignalSpy selected(&stage.chart, &LineChart::rangeSelected);
  const auto at = [&](int second) { return QPointF(stage.chart.scale().x(kStart + second * kSecond), 100); };
  QMouseEvent press(QEvent::MouseButtonPress, at(100), at(100), Qt::LeftButton, Qt::LeftButton, Qt::NoModifier);
  QMouseEvent release(QEvent::MouseButtonRelease, at(200), at(200), Qt::LeftButton, Qt::NoButton, Qt::NoModifier);
  QCoreApplication::sendEvent(stage.chart.viewport(), &press);
  QCoreApplication::sendEvent(stage.chart.viewport(), &release);
  ASSERT_EQ(selected.count(), 1);
  EXPECT_NEAR(static_cast<double>(selected[0][0].toLongLong() - kStart) / kSecond, 100, 2);
  EXPECT_NEAR(static_cast<double>(selected[0][1].toLongLong() - kStart) / kSecond, 200, 2);
}

TEST(LineChart, LetsEqualLinesTakeTurnsInsteadOfHidingEachOther) {
  ChartStage stage({false, {}, 0.0, 100.0});
  for (quint64 id = 1; id <= 3; ++id) stage.add(id, QString::number(id), flat(300, 60));
  stage.show(300);
  const QImage picture = stage.picture();
  const int y = static_cast<int>(stage.chart.scale().y(60));
  const QRect along(static_cast<int>(stage.plot().left()) + 20, y - 2, static_cast<int>(stage.plot().width()) - 60, 5);
  for (int slot = 0; slot < 3; ++slot) {
    EXPECT_GT(pixelsLike(picture, stage.line(slot), along, kSmoothed), along.width() / 5) << slot;
  }
}

TEST(LineChart, KeepsTheColoursOfAreasApart) {
  ChartStage stage({false, {}, 0.0, 100.0});
  stage.add(1, QStringLiteral("high"), flat(300, 80));
  stage.add(2, QStringLiteral("low"), flat(300, 40));
  stage.show(300);
  const QImage both = stage.picture();
  const auto at = [&](double value) {
    return QPoint(static_cast<int>(stage.plot().center().x()), static_cast<int>(stage.chart.scale().y(value)));
  };
  ChartStage alone({false, {}, 0.0, 100.0});
  alone.add(9, QStringLiteral("skipped slot"), flat(300, 95));
  alone.add(2, QStringLiteral("low"), flat(300, 40));
  alone.show(300);
  EXPECT_EQ(both.pixelColor(at(20)), alone.picture().pixelColor(at(20))) << "below the low line only its own colour";
  EXPECT_NE(both.pixelColor(at(60)), both.pixelColor(at(20)));
}

TEST(LineChart, StacksToTheSum) {
  ChartStage stage({true, {}, std::nullopt, std::nullopt});
  stage.add(1, QStringLiteral("a"), flat(300, 30));
  stage.add(2, QStringLiteral("b"), flat(300, 45));
  stage.show(300);
  EXPECT_GE(stage.chart.scale().max, 75);
  EXPECT_EQ(stage.chart.scale().min, 0);
}

TEST(LineChart, SurvivesValuesThatAreNoNumbersAndVeryLarge) {
  ChartStage stage;
  SeriesSamples samples = flat(10, 1);
  samples.values[3] = std::numeric_limits<double>::quiet_NaN();
  samples.values[5] = 1e300;
  samples.values[7] = -1e300;
  stage.add(1, QStringLiteral("a"), samples);
  stage.show(10);
  EXPECT_FALSE(stage.picture().isNull());
  EXPECT_LT(stage.chart.scale().min, stage.chart.scale().max);
}

QVector<LegendRow> legendRows(int count) {
  QVector<LegendRow> rows;
  for (int i = 0; i < count; ++i) {
    rows.append({static_cast<quint64>(i + 1), i, QStringLiteral("web-%1").arg(i), 0, 1.0 * i, 0, 2.0 * i});
  }
  return rows;
}

TEST(LegendView, TakesFewLinesAndScrollsBeyondTwelveSeries) {
  LegendView legend;
  legend.setChartStyle(Theme::current().chartStyle());
  legend.setRows(legendRows(4), QStringLiteral("%"), 0);
  const int four = legend.heightFor(480);
  EXPECT_GT(four, 0);
  legend.setRows(legendRows(30), QStringLiteral("%"), 0);
  const int thirty = legend.heightFor(480);
  EXPECT_LT(thirty, 130);
  legend.resize(480, thirty);
  legend.show();
  EXPECT_GT(legend.verticalScrollBar()->maximum(), 0);
}

TEST(LegendView, ShowsAllNamesWhereFiguresWouldMakeThemScroll) {
  LegendView legend;
  legend.setChartStyle(Theme::current().chartStyle());
  QVector<LegendRow> rows;
  for (int i = 0; i < 6; ++i) {
    rows.append({static_cast<quint64>(i + 1), i, QStringLiteral("some memory"), kStart, 1.5, 1.0, 2.0, false});
  }
  legend.setRows(rows, QStringLiteral("%"), 0);
  legend.resize(286, legend.heightFor(286));
  legend.show();
  EXPECT_EQ(legend.verticalScrollBar()->maximum(), 0);
}

TEST(LegendView, BringsTheHoveredSeriesForward) {
  LegendView legend;
  legend.setChartStyle(Theme::current().chartStyle());
  legend.setBeside(true);
  legend.setRows(legendRows(4), QStringLiteral("%"), 0);
  legend.resize(300, 200);
  legend.show();
  QSignalSpy highlighted(&legend, &LegendView::highlighted);
  const QPointF third(20, 16 + 2 * 18 + 9);
  QMouseEvent move(QEvent::MouseMove, third, third, Qt::NoButton, Qt::NoButton, Qt::NoModifier);
  QCoreApplication::sendEvent(legend.viewport(), &move);
  ASSERT_EQ(highlighted.count(), 1);
  EXPECT_EQ(highlighted[0][0].toULongLong(), 3U);
}

TEST(LegendView, GreysWhatHasStopped) {
  LegendView legend;
  legend.setChartStyle(Theme::current().chartStyle());
  legend.setBeside(true);
  legend.resize(300, 200);
  legend.show();
  QVector<LegendRow> rows = legendRows(2);
  const QRect swatches(0, 16, 9, 18);
  legend.setRows(rows, QStringLiteral("%"), 0);
  EXPECT_GT(pixelsLike(legend.grab().toImage(), Theme::current().series(0), swatches), 20);
  rows[0].stale = true;
  legend.setRows(rows, QStringLiteral("%"), 0);
  EXPECT_EQ(pixelsLike(legend.grab().toImage(), Theme::current().series(0), swatches), 0);
  rows[0].stale = false;
  legend.setRows(rows, QStringLiteral("%"), 0);
  EXPECT_GT(pixelsLike(legend.grab().toImage(), Theme::current().series(0), swatches), 20);
}

TEST(BarChart, ShowsTheNewestValuesOfTheSeries) {
  ChartStage stage;
  stage.add(1, QStringLiteral("a"), flat(10, 20));
  stage.add(2, QStringLiteral("b"), flat(10, 60));
  BarChart bars(stage.data);
  bars.setChartStyle(Theme::current().chartStyle());
  bars.setScale(QStringLiteral("%"), 100);
  bars.resize(400, 120);
  bars.refresh({kStart, kStart + 10 * kSecond}, true);
  EXPECT_EQ(bars.shownBars(), 2);
  const QImage picture = bars.grab().toImage();
  const int upper = pixelsLike(picture, stage.line(0), QRect(0, 0, 400, 30));
  const int lower = pixelsLike(picture, stage.line(0), QRect(0, 30, 400, 30));
  EXPECT_NEAR(static_cast<double>(upper) / lower, 3, 0.5);
}

}  // namespace
}  // namespace pulseboard::qt

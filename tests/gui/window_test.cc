// The window: what a person sees while data comes, stops coming and comes back.
#include <gtest/gtest.h>

#include <QApplication>
#include <QDropEvent>
#include <QLabel>
#include <QMimeData>
#include <QTreeView>

#include "client-qt/model/series_catalog_model.h"
#include "client-qt/ui/browser_pane.h"
#include "client-qt/ui/theme.h"
#include "common/base/clock.h"
#include "tests/gui/desk.h"

namespace pulseboard::qt {
namespace {

constexpr qint64 kSecond = kNanosPerSecond;

class Window : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new LiveServer();
    ASSERT_TRUE(server_->start().ok());
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  void SetUp() override {
    ASSERT_TRUE(desk_.logIn(*server_));
    ASSERT_TRUE(eventually([this] { return window().movingPanels() >= 3; }, 60'000))
        << window().statusText().toStdString();
  }
  MainWindow& window() { return *desk_.window(); }
  PanelView& cpu() { return *window().panel("cpu"); }
  qint64 newest() { return cpu().data().newestTime().value_or(0); }
  // Pixels of the series drawn last in the load panel: lines in the middle of the plot, whatever the machine does.
  PanelView& load() { return *window().panel("load"); }
  int drawnPixels() {
    const QColor color = Theme::current().series(load().data().slotOf(load().data().series().back().id));
    return pixelsLike(load().lineChart()->grab().toImage(), color);
  }
  bool waitForSeconds(int seconds) {
    const qint64 from = newest();
    return eventually([&] { return newest() >= from + seconds * kSecond; });
  }

  // That much of the past is in the panel, of this test or of one before.
  bool showsSeconds(int seconds) {
    return eventually([&] {
      const TimeRange past{newest() - 60 * kSecond, newest() - (seconds - 1) * kSecond};
      const QVector<SeriesLine> lines = cpu().data().lines(past, 1'000);
      return !lines.isEmpty() && !lines[0].runs.isEmpty();
    });
  }

  // As a deploy script would.
  void pushEvent(const std::string& severity, const std::string& text) {
    const auto output = pulseboard::testing::RunToEnd(
        {pulseboard::testing::BinaryPath("pulseboardd"), "event", "push", "--source", "deploy", "--label",
         "service=api", "--severity", severity, "--text", text, "--server", server_->process().address(), "--user",
         "admin", "--password-file", server_->process().password_file()});
    EXPECT_EQ(output.exit_code, 0) << output.err;
  }
  QWidget* hoverCard() {
    for (QWidget* found : window().findChildren<QWidget*>("hoverCard")) {
      if (found->isVisible()) return found;
    }
    return nullptr;
  }

  static LiveServer* server_;
  Desk desk_;
};
LiveServer* Window::server_ = nullptr;

TEST_F(Window, DrawsTheSeriesOfThisMachineAndTheirValuesMove) {
  ASSERT_TRUE(showsSeconds(5));
  EXPECT_GE(cpu().data().series().size(), 1);
  const QImage before = cpu().lineChart()->grab().toImage();
  EXPECT_GT(drawnPixels(), 5);
  ASSERT_TRUE(waitForSeconds(2));
  EXPECT_NE(cpu().lineChart()->grab().toImage(), before);
  EXPECT_GE(window().movingPanels(), 6);
  EXPECT_TRUE(window().statusText().contains("connected")) << window().statusText().toStdString();
  const LatencyStats latency = desk_.desktop().source().latency();
  EXPECT_GT(latency.push_to_receive_p50_ms, 0);
  EXPECT_LT(latency.push_to_receive_p50_ms, 2'000);
  EXPECT_GT(latency.points_per_second, 20);
  EXPECT_GE(desk_.desktop().source().catalog().size(), 100);
  saveScreenshot(&window(), "main-dark");
}

TEST_F(Window, ChangesItsThemeAtOnce) {
  const QColor dark = window().grab().toImage().pixelColor(800, 20);
  Theme::instance()->setChoice(ThemeChoice::Light);
  ASSERT_TRUE(waitForSeconds(2));
  saveScreenshot(&window(), "main-light");
  EXPECT_GT(window().grab().toImage().pixelColor(800, 20).lightness(), dark.lightness() + 100);
  EXPECT_GT(drawnPixels(), 5);
  Theme::instance()->setChoice(ThemeChoice::Dark);
}

TEST_F(Window, HoldsThePictureWhilePausedAndShowsWhatCameSince) {
  ASSERT_TRUE(showsSeconds(3));
  click(child<QPushButton>(&window(), "pause"));
  EXPECT_EQ(window().timeWindow().mode(), TimeWindow::Mode::Paused);
  const TimeRange held = window().timeWindow().at(0);
  ASSERT_TRUE(waitForSeconds(1));
  const QImage picture = cpu().lineChart()->grab().toImage();
  const qint64 paused_at = newest();
  ASSERT_TRUE(waitForSeconds(2));  // the data goes on
  EXPECT_EQ(cpu().lineChart()->grab().toImage(), picture);
  EXPECT_EQ(window().timeWindow().at(newest()), held);
  click(child<QPushButton>(&window(), "live"));
  EXPECT_TRUE(window().timeWindow().isLive());
  EXPECT_TRUE(eventually([&] { return cpu().lineChart()->grab().toImage() != picture; }));
  EXPECT_TRUE(cpu().data().gaps({paused_at, newest()}, newest()).isEmpty());
}

TEST_F(Window, TakesAMetricDroppedOnTheGrid) {
  auto* browser = child<BrowserPane>(&window(), "browser");
  ASSERT_TRUE(eventually([&] { return browser->model().totalSeries() > 50; }));
  const auto& model = browser->model();
  const QModelIndexList found = model.match(model.index(0, 0), SeriesCatalogModel::MetricRole,
                                            "system.context_switches", 1, Qt::MatchExactly | Qt::MatchRecursive);
  ASSERT_FALSE(found.isEmpty());
  const std::unique_ptr<QMimeData> mime(model.mimeData(found));
  const qsizetype before = window().dashboard().panels.size();
  QWidget* page = child<QScrollArea>(&window(), "grid")->widget();
  const QPoint spot(page->width() / 2, page->height() - 4);
  QDragEnterEvent enter(spot, Qt::CopyAction, mime.get(), Qt::LeftButton, Qt::NoModifier);
  QApplication::sendEvent(page, &enter);
  ASSERT_TRUE(enter.isAccepted());
  QDropEvent drop(spot, Qt::CopyAction, mime.get(), Qt::LeftButton, Qt::NoModifier);
  QApplication::sendEvent(page, &drop);
  ASSERT_EQ(window().dashboard().panels.size(), before + 1);
  PanelView* added = window().panel(window().dashboard().panels.back().id);
  ASSERT_NE(added, nullptr);
  EXPECT_TRUE(eventually([&] { return !added->data().isEmpty(); }));
  // It is there again at the next start.
  ASSERT_TRUE(desk_.logIn(*server_));
  EXPECT_EQ(window().dashboard().panels.size(), before + 1);
}

TEST_F(Window, FiltersTheBrowserAsOneTypes) {
  auto* browser = child<BrowserPane>(&window(), "browser");
  ASSERT_TRUE(eventually([&] { return browser->model().totalSeries() > 50; }));
  auto* filter = child<QWidget>(browser, "filter");
  filter->setFocus();
  QTest::keyClicks(filter, "disk read");
  EXPECT_TRUE(eventually([&] { return browser->model().shownSeries() < browser->model().totalSeries() / 2; }));
  EXPECT_GT(browser->model().shownSeries(), 0);
  saveScreenshot(&window(), "main-filter");
}

TEST_F(Window, TellsTheValuesUnderTheMouse) {
  ASSERT_TRUE(showsSeconds(5));
  click(child<QPushButton>(&window(), "pause"));  // so that the picture stays below the mouse
  LineChart* chart = load().lineChart();
  QWidget* surface = chart->viewport();
  // Near the right edge, where the samples are.
  const QPoint spot(surface->width() - 16, surface->height() / 2);
  QTest::mouseMove(surface, spot - QPoint(3, 0));
  QTest::mouseMove(surface, spot);
  ASSERT_TRUE(eventually([&] { return hoverCard() != nullptr; }));
  saveScreenshot(&window(), "main-hover");
  QTest::mouseMove(&window(), QPoint(100, 900));
  EXPECT_TRUE(eventually([&] { return hoverCard() == nullptr; }));
}

TEST_F(Window, MarksADeployInEveryChartTheMomentItIsPushed) {
  ASSERT_TRUE(showsSeconds(5));
  LineChart* chart = load().lineChart();
  const auto knows = [&](const QString& text) {
    const auto& all = window().events().events();
    return std::any_of(all.begin(), all.end(), [&](const EventItem& event) { return event.text == text; });
  };
  pushEvent("error", "api 1.2.3 does not start");
  ASSERT_TRUE(eventually([&] { return knows("api 1.2.3 does not start") && chart->eventMarks().size() == 1; }));
  EXPECT_EQ(cpu().lineChart()->eventMarks().size(), 1);
  const EventMark mark = chart->eventMarks()[0];
  EXPECT_EQ(mark.severity, EventSeverity::Error);
  EXPECT_LT(std::abs(mark.time - SystemClock().NowUnixNanos()), 30 * kSecond);
  ASSERT_TRUE(waitForSeconds(3));  // a little away from the edge
  click(child<QPushButton>(&window(), "pause"));
  QWidget* surface = chart->viewport();
  const QPoint spot(static_cast<int>(chart->scale().x(mark.time)), surface->height() / 2);
  QTest::mouseMove(surface, spot - QPoint(1, 0));
  QTest::mouseMove(surface, spot);
  ASSERT_TRUE(eventually([&] { return hoverCard() != nullptr; }));
  const HoverCard::Content card = static_cast<HoverCard*>(hoverCard())->content();
  ASSERT_EQ(card.events.size(), 1);
  EXPECT_EQ(card.events[0].source, "deploy");
  EXPECT_EQ(card.events[0].text, "api 1.2.3 does not start");
  EXPECT_EQ(card.events[0].labels, "service=api");
  saveScreenshot(&window(), "main-event");
  click(child<QPushButton>(&window(), "events"));
  EXPECT_TRUE(chart->eventMarks().isEmpty());
  click(child<QPushButton>(&window(), "events"));
  EXPECT_EQ(chart->eventMarks().size(), 1);
  // A new start and a rewind find it in the server's list.
  ASSERT_TRUE(desk_.logIn(*server_));
  ASSERT_TRUE(eventually([&] { return load().lineChart()->eventMarks().size() == 1; }));
  window().setTimeWindow(TimeWindow::custom(mark.time - 20 * kSecond, mark.time + 2 * kSecond));
  ASSERT_TRUE(eventually([&] { return !load().isAwaiting() && load().lineChart()->eventMarks().size() == 1; }));
  window().setTimeWindow(TimeWindow::custom(mark.time - 20 * kSecond, mark.time - 10 * kSecond));
  EXPECT_TRUE(eventually([&] { return load().lineChart()->eventMarks().isEmpty(); }));
}

TEST_F(Window, ChangesItsPanelsOnTheRunningStream) {
  ASSERT_TRUE(showsSeconds(5));
  QSet<FeedId> feeds;
  QObject::connect(&desk_.desktop().source(), &MetricsSource::feedReady, &window(),
                   [&feeds](FeedId feed) { feeds.insert(feed); });
  ASSERT_TRUE(waitForSeconds(1));
  ASSERT_EQ(feeds.size(), 1);
  const qint64 oldest = cpu().data().oldestTime().value_or(0);
  ASSERT_GT(oldest, 0);
  const QVector<SeriesItem> series = cpu().data().series();
  window().addPanel("system.context_switches");
  const QString id = window().dashboard().panels.back().id;
  EXPECT_FALSE(cpu().isAwaiting());
  ASSERT_TRUE(eventually([&] {
    EXPECT_LT(cpu().data().oldestTime().value_or(newest()), oldest + 3 * kSecond);  // never emptied on the way
    return !window().panel(id)->isAwaiting() && !window().panel(id)->data().isEmpty();
  }));
  ASSERT_TRUE(waitForSeconds(2));
  const qint64 added_newest = window().panel(id)->data().newestTime().value_or(0);
  EXPECT_GT(added_newest, newest() - 3 * kSecond);
  EXPECT_EQ(cpu().data().series().size(), series.size());
  EXPECT_TRUE(cpu().data().gaps({newest() - 4 * kSecond, newest()}, newest()).isEmpty());
  window().removePanel(id);
  ASSERT_TRUE(waitForSeconds(2));
  EXPECT_LT(cpu().data().oldestTime().value_or(newest()), oldest + 3 * kSecond);
  EXPECT_EQ(feeds.size(), 1);
}

TEST_F(Window, ReadsTheHistoryOfAFixedRange) {
  ASSERT_TRUE(showsSeconds(6));
  const qint64 end = newest() - kSecond;
  const TimeRange range{end - 5 * kSecond, end};
  window().setTimeWindow(TimeWindow::custom(range.start, range.end));
  ASSERT_TRUE(eventually([&] { return !cpu().isAwaiting() && !load().isAwaiting(); }));
  const QVector<LegendRow> rows = cpu().data().legend(range);
  ASSERT_FALSE(rows.isEmpty());
  EXPECT_GE(cpu().data().lines(range, 1'000)[0].runs[0].size(), 4);
  EXPECT_GT(drawnPixels(), 5);
  click(child<QPushButton>(&window(), "live"));
  EXPECT_TRUE(waitForSeconds(2));
}

TEST_F(Window, BecomesOneColumnWhenNarrow) {
  window().resize(360, 780);
  ASSERT_TRUE(waitForSeconds(2));
  saveScreenshot(&window(), "narrow-dark");
  EXPECT_LE(window().width(), 360);
  EXPECT_GT(cpu().width(), 320);
  EXPECT_LE(cpu().mapTo(&window(), QPoint(cpu().width(), 0)).x(), 360);
}

TEST_F(Window, SaysWhatToDoWhenADashboardIsEmptyOrAPanelHasNoData) {
  DashboardSpec spec;
  spec.title = "Empty";
  window().setDashboard(spec);
  QCoreApplication::processEvents();
  saveScreenshot(&window(), "empty-dashboard");
  spec.addPanel("no.such.metric");
  spec.addPanel("system.load");
  window().setDashboard(spec);
  ASSERT_TRUE(eventually([&] { return !window().panel("panel-1")->data().isLoading(); }));
  ASSERT_TRUE(eventually([&] { return window().panel("panel-2")->liveUpdates() > 1; }));
  EXPECT_TRUE(window().panel("panel-1")->data().isEmpty());
  saveScreenshot(&window(), "empty-panel");
}

TEST_F(Window, GoesOnWithoutAHoleAfterTheServerWasKilled) {
  ASSERT_TRUE(showsSeconds(5));
  const qint64 before = newest();
  server_->process().Kill();
  ASSERT_TRUE(eventually([&] { return desk_.desktop().source().connection().state == ConnectionState::Reconnecting; }));
  EXPECT_TRUE(window().statusText().contains("reconnecting", Qt::CaseInsensitive))
      << window().statusText().toStdString();
  // Until the hole is wide enough to be seen, were it not filled later.
  ASSERT_TRUE(eventually([&] { return SystemClock().NowUnixNanos() - newest() > 4 * kSecond; }));
  saveScreenshot(&window(), "offline");
  EXPECT_GT(pixelsLike(cpu().lineChart()->grab().toImage(), Theme::current().color(ColorRole::Panel)), 1'000);
  ASSERT_TRUE(server_->process().Start().ok());
  ASSERT_TRUE(
      eventually([&] { return desk_.desktop().source().connection().state == ConnectionState::Connected; }, 60'000));
  const qint64 back = SystemClock().NowUnixNanos();
  ASSERT_TRUE(eventually([&] { return newest() > back + 3 * kSecond; }, 60'000));
  // The agent kept its samples and the stream its place: every second is there, once.
  const auto whole = [&] {
    const TimeRange range{before - 4 * kSecond, newest() - kSecond / 2};
    const QVector<SeriesLine> lines = cpu().data().lines(range, 100'000);
    if (lines.isEmpty()) return false;
    for (const SeriesLine& line : lines) {
      if (line.runs.size() != 1) return false;
    }
    return cpu().data().gaps(range, newest()).isEmpty();
  };
  EXPECT_TRUE(eventually(whole, 30'000));
  const TimeRange outage{before, newest()};
  const qsizetype points = cpu().data().lines(outage, 100'000)[0].runs[0].size();
  const double seconds = static_cast<double>(outage.end - outage.start) / static_cast<double>(kSecond);
  EXPECT_GE(static_cast<double>(points), seconds * 0.8);
  EXPECT_LE(static_cast<double>(points), seconds * 1.2 + 3);
  EXPECT_TRUE(window().statusText().contains("connected"));
  saveScreenshot(&window(), "reconnected");
}

}  // namespace
}  // namespace pulseboard::qt

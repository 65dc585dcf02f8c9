// The window and its board against a synthetic source: feeds, time windows, states, layouts, access.
#include "client-qt/ui/main_window.h"

#include <gtest/gtest.h>

#include <QAbstractButton>
#include <QLineEdit>
#include <QPushButton>
#include <QSignalSpy>

#include "client-qt/ui/browser_pane.h"
#include "client-qt/ui/notice_bar.h"
#include "client-qt/ui/panel_view.h"
#include "client-qt/ui/state_card.h"
#include "client-qt/ui/status_line.h"
#include "tests/unit/qt_ui/offscreen_app.h"
#include "tests/unit/qt_ui/synthetic_source.h"

namespace pulseboard::qt {
namespace {

[[maybe_unused]] const auto* const kApp = testing::AddGlobalTestEnvironment(new OffscreenApp);

constexpr qint64 kSecond = kNanosPerSecond;
constexpr qint64 kNow = 1'795'519'507LL * kSecond;

class Window : public testing::Test {
 protected:
  void open(QSize size = QSize(1600, 1000)) {
    source_.addMachine(QStringLiteral("web-01"));
    window_ = std::make_unique<MainWindow>(source_, spec_, clock_);
    window_->resize(size);
    window_->show();
    ASSERT_TRUE(eventually([this] { return !panel("cpu").isAwaiting(); }));
  }
  PanelView& panel(const char* id) { return *window_->panel(QLatin1String(id)); }
  void second() {
    clock_.Advance(kSecond);
    source_.push();
  }
  QImage chartPicture(const char* id) { return panel(id).lineChart()->grab().toImage(); }
  template <typename T>
  T& child(const char* name) {
    T* found = window_->findChild<T*>(QLatin1String(name));
    EXPECT_NE(found, nullptr) << name;
    return *found;
  }
  void settle() {
    bool turned = false;
    QTimer::singleShot(100, window_.get(), [&turned] { turned = true; });
    EXPECT_TRUE(eventually([&turned] { return turned; }));
  }

  ManualClock clock_{kNow};
  SyntheticSource source_{clock_};
  DashboardSpec spec_ = DashboardSpec::thisMachine();
  std::unique_ptr<MainWindow> window_;
};

TEST_F(Window, FillsAllPanelsFromOneFeedAndMovesThem) {
  open();
  EXPECT_EQ(source_.openFeedCount(), 1);
  ASSERT_TRUE(eventually([this] { return panel("cpu").lineChart()->drawnPoints() > 500; }));
  const QImage before = chartPicture("cpu");
  for (int i = 1; i <= 3; ++i) {
    second();
    ASSERT_TRUE(eventually([&] { return panel("cpu").liveUpdates() == i; }));
  }
  EXPECT_EQ(window_->movingPanels(), spec_.panels.size());
  settle();
  EXPECT_NE(chartPicture("cpu"), before);
}

TEST_F(Window, MeasuresArrivalToPixelsAndTellsTheSum) {
  LatencyStats wire;
  wire.push_to_receive_p50_ms = 120;
  wire.push_to_receive_p99_ms = 240;
  source_.setLatency(wire);
  open();
  second();
  ASSERT_TRUE(eventually([this] { return window_->statusText().contains(QStringLiteral("p50 120 ms")); }))
      << window_->statusText().toStdString();
  EXPECT_TRUE(window_->statusText().contains(QStringLiteral("p99 240 ms")));
}

TEST_F(Window, AsksForPixelColumnsWhenTheWindowIsLong) {
  open();
  EXPECT_EQ(source_.openedFeeds().back().max_points, 0);
  settle();
  window_->setTimeWindow(TimeWindow::last(86'400));
  const FeedSpec& asked = source_.openedFeeds().back();
  EXPECT_GE(asked.backfill_seconds, 86'400);
  EXPECT_GE(asked.max_points, 200);
  EXPECT_EQ(source_.openFeedCount(), 1);
}

TEST_F(Window, NeedsNoNewFeedForAShorterWindow) {
  open();
  window_->setTimeWindow(TimeWindow::last(900));
  const size_t feeds = source_.openedFeeds().size();
  ASSERT_TRUE(eventually([this] { return !panel("cpu").isAwaiting(); }));
  window_->setTimeWindow(TimeWindow::last(300));
  EXPECT_EQ(source_.openedFeeds().size(), feeds);
  EXPECT_FALSE(panel("cpu").isAwaiting());
}

TEST_F(Window, KeepsThePixelsUntilNewDataIsHere) {
  open();
  settle();
  const QImage before = chartPicture("cpu");
  source_.holdAnswers(true);
  window_->setTimeWindow(TimeWindow::last(3600));
  settle();
  EXPECT_TRUE(panel("cpu").isAwaiting());
  EXPECT_EQ(chartPicture("cpu"), before);
  // The line under the header comes after 300 ms.
  const QColor accent = Theme::current().color(ColorRole::Accent);
  ASSERT_TRUE(eventually([&] {
    const QImage whole = panel("cpu").grab().toImage();
    return pixelsLike(whole, accent, QRect(2, 32, whole.width() - 4, 2)) > whole.width();
  }));
  source_.holdAnswers(false);
  source_.push();
  ASSERT_TRUE(eventually([this] { return !panel("cpu").isAwaiting(); }));
  settle();
  EXPECT_NE(chartPicture("cpu"), before);
}

TEST_F(Window, AsksHistoryForAFixedRangeAndComesBackLive) {
  open();
  window_->setTimeWindow(TimeWindow::custom(kNow - 7200 * kSecond, kNow - 3600 * kSecond));
  EXPECT_EQ(source_.openFeedCount(), 0);
  ASSERT_TRUE(eventually([this] { return !panel("cpu").isAwaiting(); }));
  const std::optional<qint64> newest = panel("cpu").data().newestTime();
  ASSERT_TRUE(newest.has_value());
  EXPECT_LE(*newest, kNow - 3600 * kSecond);
  child<QPushButton>("live").click();
  EXPECT_TRUE(window_->timeWindow().isLive());
  EXPECT_EQ(source_.openFeedCount(), 1);
  ASSERT_TRUE(eventually([this] { return panel("cpu").data().newestTime() > clock_.NowUnixNanos() - 60 * kSecond; }));
}

TEST_F(Window, HoldsThePictureWhilePausedButKeepsTheData) {
  open();
  settle();
  child<QPushButton>("pause").click();
  EXPECT_EQ(window_->timeWindow().mode(), TimeWindow::Mode::Paused);
  const TimeRange held = panel("cpu").lineChart()->scale().range;
  for (int i = 0; i < 5; ++i) second();
  ASSERT_TRUE(eventually([this] { return panel("cpu").data().newestTime() == clock_.NowUnixNanos(); }));
  settle();
  EXPECT_EQ(panel("cpu").lineChart()->scale().range, held);
  child<QPushButton>("pause").click();
  EXPECT_TRUE(window_->timeWindow().isLive());
}

TEST_F(Window, RemovesAPanelAndTakesItBack) {
  open();
  QSignalSpy changed(window_.get(), &MainWindow::dashboardChanged);
  window_->removePanel(QStringLiteral("load"));
  EXPECT_EQ(window_->panel(QStringLiteral("load")), nullptr);
  auto& notice = child<NoticeBar>("undoNotice");
  EXPECT_TRUE(notice.isVisible());
  notice.findChild<QPushButton*>()->click();
  EXPECT_NE(window_->panel(QStringLiteral("load")), nullptr);
  EXPECT_EQ(window_->dashboard(), spec_);
  EXPECT_EQ(changed.count(), 2);
}

TEST_F(Window, AddsPanelsAndSeries) {
  open();
  window_->addPanel(QStringLiteral("system.pressure"));
  const QString id = window_->dashboard().panels.back().id;
  ASSERT_TRUE(eventually([&] { return window_->panel(id)->data().series().size() == 3; }));
  window_->addToPanel(id, {QStringLiteral("system.load")});
  ASSERT_TRUE(eventually([&] { return window_->panel(id)->data().series().size() == 6; }));
  EXPECT_EQ(source_.openFeedCount(), 1);
}

TEST_F(Window, ChangesPanelsOnTheSameFeedAndFillsOnlyNewOnes) {
  open();
  settle();
  const size_t filled = source_.backfilled().size();
  const quint64 core = panel("cpu").data().series().front().id;
  window_->addPanel(QStringLiteral("system.pressure"));
  const QString id = window_->dashboard().panels.back().id;
  for (const PanelSpec& spec : spec_.panels) EXPECT_FALSE(panel(spec.id.toLatin1().constData()).isAwaiting());
  EXPECT_TRUE(window_->panel(id)->isAwaiting());
  ASSERT_TRUE(eventually([&] { return !window_->panel(id)->isAwaiting(); }));
  EXPECT_EQ(source_.backfilled().size(), filled + 3);
  EXPECT_EQ(window_->panel(id)->data().series().size(), 3);
  EXPECT_EQ(panel("cpu").data().series().front().id, core);
  second();
  ASSERT_TRUE(eventually([&] { return window_->panel(id)->data().newestTime() == clock_.NowUnixNanos(); }));
  EXPECT_EQ(panel("cpu").data().newestTime(), clock_.NowUnixNanos());
  EXPECT_TRUE(panel("cpu").data().gaps({kNow - 100 * kSecond, kNow + kSecond}, kNow).isEmpty());
  window_->removePanel(id);
  EXPECT_FALSE(panel("cpu").isAwaiting());
  EXPECT_EQ(source_.backfilled().size(), filled + 3);
  EXPECT_EQ(source_.openFeedCount(), 1);
}

TEST_F(Window, ReadsTheHistoryOfANewPanelOnly) {
  open();
  window_->setTimeWindow(TimeWindow::custom(kNow - 7200 * kSecond, kNow - 3600 * kSecond));
  ASSERT_TRUE(eventually([this] { return !panel("cpu").isAwaiting() && !panel("load").isAwaiting(); }));
  window_->addPanel(QStringLiteral("system.pressure"));
  const QString id = window_->dashboard().panels.back().id;
  EXPECT_FALSE(panel("cpu").isAwaiting());
  ASSERT_TRUE(eventually([&] { return !window_->panel(id)->isAwaiting(); }));
  EXPECT_FALSE(window_->panel(id)->data().isEmpty());
}

TEST_F(Window, LetsTheOthersGoOnWhenAPanelIsRefused) {
  open();
  const UserError error{QStringLiteral("Too many series"), QStringLiteral("Narrow the selection."), {}};
  source_.refuse(QStringLiteral("system.everything"), error);
  window_->addPanel(QStringLiteral("system.everything"));
  const QString id = window_->dashboard().panels.back().id;
  auto* card = window_->panel(id)->findChild<StateCard*>();
  ASSERT_TRUE(eventually([&] { return card->isVisible() && card->titleText() == error.title; }));
  second();
  ASSERT_TRUE(eventually([&] { return panel("cpu").data().newestTime() == clock_.NowUnixNanos(); }));
  EXPECT_FALSE(panel("cpu").isAwaiting());
  // Another one is not held up by it.
  window_->addPanel(QStringLiteral("system.load"));
  const QString good = window_->dashboard().panels.back().id;
  ASSERT_TRUE(eventually([&] { return window_->panel(good)->data().series().size() == 3; }));
  source_.refuse({}, {});
  card->findChild<QPushButton*>()->click();
  ASSERT_TRUE(eventually([&] { return !window_->panel(id)->isAwaiting(); }));
  EXPECT_EQ(source_.openFeedCount(), 1);
}

EventItem deploy(qint64 id, qint64 time) {
  EventItem event;
  event.id = id;
  event.time = time;
  event.source = QStringLiteral("deploy");
  event.text = QStringLiteral("api 1.2.3");
  return event;
}

TEST_F(Window, MarksEventsOfThePastAndNewOnesAtOnceInEveryChart) {
  source_.pushEvent(deploy(1, kNow - 200 * kSecond));
  source_.pushEvent(deploy(2, kNow - 100'000 * kSecond));
  open();
  const auto marks = [&](const char* id) { return panel(id).lineChart()->eventMarks().size(); };
  ASSERT_TRUE(eventually([&] { return marks("cpu") == 1 && marks("load") == 1; }));
  source_.pushEvent(deploy(3, kNow - 10 * kSecond));
  ASSERT_TRUE(eventually([&] { return marks("cpu") == 2 && marks("load") == 2; }));
  // Rewound and back.
  window_->setTimeWindow(TimeWindow::custom(kNow - 102'000 * kSecond, kNow - 98'000 * kSecond));
  ASSERT_TRUE(eventually([&] { return marks("cpu") == 1; }));
  EXPECT_EQ(panel("cpu").lineChart()->eventMarks()[0].time, kNow - 100'000 * kSecond);
  window_->setTimeWindow(TimeWindow::last(300));
  ASSERT_TRUE(eventually([&] { return marks("cpu") == 2; }));
  window_->setTimeWindow(TimeWindow::last(2 * 86'400));
  ASSERT_TRUE(eventually([&] { return window_->events().events().size() == 3; }));
}

TEST_F(Window, HidesTheEventsAndRemembersIt) {
  source_.pushEvent(deploy(1, kNow - 100 * kSecond));
  open();
  QSignalSpy changed(window_.get(), &MainWindow::dashboardChanged);
  ASSERT_TRUE(eventually([&] { return panel("cpu").lineChart()->eventMarks().size() == 1; }));
  child<QPushButton>("events").click();
  EXPECT_TRUE(panel("cpu").lineChart()->eventMarks().isEmpty());
  EXPECT_FALSE(window_->dashboard().show_events);
  EXPECT_EQ(changed.count(), 1);
  QString error;
  const auto again = DashboardSpec::fromJson(window_->dashboard().toJson(), &error);
  ASSERT_TRUE(again.has_value());
  EXPECT_FALSE(again->show_events);
  child<QPushButton>("events").click();
  EXPECT_EQ(panel("cpu").lineChart()->eventMarks().size(), 1);
}

TEST_F(Window, ShowsTheTimeThereIsDataOfUntilTheWindowIsFull) {
  source_.setBorn(kNow - 40 * kSecond);
  open();
  settle();
  const auto shown = [&] { return panel("cpu").lineChart()->scale().range; };
  EXPECT_NEAR(static_cast<double>(shown().end - shown().start), 40.0 * kSecond, 1.5 * kSecond);
  EXPECT_EQ(shown().end - shown().start,
            panel("load").lineChart()->scale().range.end - panel("load").lineChart()->scale().range.start);
  clock_.Advance(300'000'000);
  ASSERT_TRUE(eventually([&] { return shown().end >= clock_.NowUnixNanos(); }));
  const TimeRange live = shown();
  child<QPushButton>("pause").click();
  EXPECT_EQ(shown(), live);
  child<QPushButton>("pause").click();
  EXPECT_EQ(shown(), live);
  clock_.Advance(60 * kSecond - 300'000'000);
  source_.push();
  ASSERT_TRUE(eventually([&] { return shown().end - shown().start > 98 * kSecond; }));
  EXPECT_LT(shown().end - shown().start, 103 * kSecond);
  clock_.Advance(400 * kSecond);
  source_.push();
  ASSERT_TRUE(eventually([&] { return shown().end - shown().start > 299 * kSecond; }));
  EXPECT_LT(shown().end - shown().start, 303 * kSecond);
  // A long window is shown as it was asked for.
  window_->setTimeWindow(TimeWindow::last(3600));
  ASSERT_TRUE(eventually([&] { return !panel("cpu").isAwaiting() && shown().end - shown().start > 3590 * kSecond; }));
}

TEST_F(Window, SaysInThePanelWhatWentWrongAndTriesAgain) {
  open();
  const UserError error{QStringLiteral("Too many series"), QStringLiteral("Narrow the selection."), {}};
  source_.failFeeds(error);
  auto* card = panel("cpu").findChild<StateCard*>();
  ASSERT_NE(card, nullptr);
  EXPECT_TRUE(card->isVisible());
  EXPECT_EQ(card->titleText(), error.title);
  card->findChild<QPushButton*>()->click();
  ASSERT_TRUE(eventually([&] { return !panel("cpu").isAwaiting() && !card->isVisible(); }));
  EXPECT_EQ(source_.openFeedCount(), 1);
}

TEST_F(Window, DimsThePanelsAndSaysSinceWhenWhileOffline) {
  open();
  settle();
  const QImage bright = chartPicture("cpu");
  ConnectionStatus lost = source_.connection();
  lost.state = ConnectionState::Reconnecting;
  lost.retry_in_ms = 3000;
  lost.last_seen_unix_nanos = kNow;
  source_.setConnection(lost);
  auto& notice = child<NoticeBar>("connectionNotice");
  EXPECT_TRUE(notice.isVisible());
  EXPECT_TRUE(notice.text().contains(QStringLiteral("Last seen 12:25:07, reconnecting in 3 s")))
      << notice.text().toStdString();
  settle();
  const QRect plot = panel("cpu").lineChart()->scale().plot.toAlignedRect();
  EXPECT_LT(pixelsLike(chartPicture("cpu"), Theme::current().series(0), plot),
            pixelsLike(bright, Theme::current().series(0), plot) / 4);
  lost.state = ConnectionState::Connected;
  source_.setConnection(lost);
  EXPECT_FALSE(notice.isVisible());
}

TEST_F(Window, BecomesOneColumnWithTouchTargetsWhenNarrow) {
  open(QSize(360, 780));
  EXPECT_FALSE(child<BrowserPane>("browser").isVisible());
  int bottom = 0;
  for (const PanelSpec& spec : spec_.panels) {
    PanelView* view = window_->panel(spec.id);
    EXPECT_GE(view->width(), 320) << spec.id.toStdString();
    bottom = std::max(bottom, view->geometry().bottom());
  }
  EXPECT_GT(bottom, 9 * 200);
  for (const char* name : {"timeRange", "live", "account", "showBrowser"}) {
    auto& button = child<QPushButton>(name);
    EXPECT_TRUE(button.isVisible()) << name;
    EXPECT_GE(button.height(), kTouchHeight) << name;
    EXPECT_LE(button.mapTo(window_.get(), QPoint(button.width(), 0)).x(), 360) << name;
  }
  child<QPushButton>("showBrowser").click();
  EXPECT_TRUE(child<BrowserPane>("browser").isVisible());
  QKeyEvent escape(QEvent::KeyPress, Qt::Key_Escape, Qt::NoModifier);
  QCoreApplication::sendEvent(window_.get(), &escape);
  EXPECT_FALSE(child<BrowserPane>("browser").isVisible());
}

TEST_F(Window, DrawsNoPanelThatIsOutOfSight) {
  open(QSize(360, 780));
  settle();
  PanelView* last = window_->panel(QStringLiteral("network"));
  QSignalSpy seen(&panel("cpu"), &PanelView::painted);
  QSignalSpy unseen(last, &PanelView::painted);
  second();
  ASSERT_TRUE(eventually([&] { return seen.count() > 0; }));
  EXPECT_EQ(unseen.count(), 0);
  EXPECT_EQ(last->data().newestTime(), clock_.NowUnixNanos());
}

TEST_F(Window, MaximisesAPanelAndRestoresIt) {
  open();
  const QSize before = panel("load").size();
  window_->toggleMaximised(QStringLiteral("load"));
  EXPECT_GT(panel("load").width(), 1200);
  EXPECT_FALSE(panel("cpu").isVisible());
  QKeyEvent escape(QEvent::KeyPress, Qt::Key_Escape, Qt::NoModifier);
  QCoreApplication::sendEvent(window_.get(), &escape);
  EXPECT_EQ(panel("load").size(), before);
  EXPECT_TRUE(panel("cpu").isVisible());
}

TEST_F(Window, NamesEveryControlForScreenReaders) {
  open();
  int named = 0;
  for (const QAbstractButton* button : window_->findChildren<QAbstractButton*>()) {
    if (button->objectName().startsWith(QLatin1String("qt_"))) continue;
    if (button->isHidden() && button->text().isEmpty() && button->accessibleName().isEmpty())
      continue;  // no action now
    const bool speaks = !button->text().isEmpty() || !button->accessibleName().isEmpty();
    EXPECT_TRUE(speaks) << button->objectName().toStdString() << " in "
                        << button->parentWidget()->objectName().toStdString();
    named += speaks ? 1 : 0;
  }
  EXPECT_GT(named, 25);
  for (const QLineEdit* edit : window_->findChildren<QLineEdit*>()) {
    if (edit->objectName().startsWith(QLatin1String("qt_"))) continue;
    EXPECT_FALSE(edit->accessibleName().isEmpty()) << edit->objectName().toStdString();
  }
  for (const LineChart* chart : window_->findChildren<LineChart*>()) EXPECT_FALSE(chart->accessibleName().isEmpty());
}

TEST_F(Window, CanBeWalkedWithTheTabKey) {
  open();
  window_->activateWindow();
  QSet<QString> reached;
  QWidget* at = &child<QLineEdit>("filter");
  for (int i = 0; i < 400; ++i) {
    at = at->nextInFocusChain();
    if (at->isVisible() && (at->focusPolicy() & Qt::TabFocus) != 0) reached.insert(at->objectName());
  }
  for (const char* name : {"filter", "metricTree", "timeRange", "live", "pause", "addPanel", "account"}) {
    EXPECT_TRUE(reached.contains(QLatin1String(name))) << name;
  }
}

TEST_F(Window, ShowsAnInvitationWithoutPanels) {
  spec_ = DashboardSpec();
  window_ = std::make_unique<MainWindow>(source_, spec_, clock_);
  window_->show();
  EXPECT_EQ(source_.openFeedCount(), 0);
  bool invited = false;
  for (const StateCard* card : window_->findChildren<StateCard*>()) {
    invited = invited || (card->isVisible() && card->titleText().contains(QStringLiteral("no panels")));
  }
  EXPECT_TRUE(invited);
}

}  // namespace
}  // namespace pulseboard::qt

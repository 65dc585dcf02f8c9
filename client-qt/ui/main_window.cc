#include "client-qt/ui/main_window.h"

#include <QHBoxLayout>
#include <QKeyEvent>
#include <QPushButton>
#include <QShortcut>
#include <QVBoxLayout>

#include "client-qt/ui/add_panel_popup.h"
#include "client-qt/ui/browser_pane.h"
#include "client-qt/ui/icons.h"
#include "client-qt/ui/notice_bar.h"
#include "client-qt/ui/panel_grid.h"
#include "client-qt/ui/panel_view.h"
#include "client-qt/ui/status_line.h"
#include "client-qt/ui/time_range_popup.h"
#include "client-qt/ui/top_bar.h"

namespace pulseboard::qt {
namespace {

constexpr int kStatusEveryMs = 1000;
constexpr qint64 kSecondsPerDay = 86'400;
constexpr int kUndoMs = 10'000;
constexpr double kScrimOpacity = 0.5;

}  // namespace

MainWindow::MainWindow(MetricsSource& source, const DashboardSpec& spec, const Clock& clock, QWidget* parent)
    : QMainWindow(parent), source_(source), clock_(clock), spec_(spec), board_(new LiveBoard(source, clock, this)) {
  setWindowIcon(themedIcon(Icon::Brand, ColorRole::Accent));
  setMinimumSize(340, 480);
  resize(1600, 1000);
  buildLayout();
  connectParts();
  buildShortcuts();
  connectSource();
  TimeWindow window = TimeWindow::last(spec_.window_seconds);
  board_->setWindow(window);
  showSpec();
  browser_->setCatalog(source_.catalog());
  updateWindow();
  updateConnection();
  updateLayout();
  centralWidget()->setFocus();  // no field is lit before somebody goes there
}

// The board asks the source and points at views: it goes before both.
MainWindow::~MainWindow() { delete board_; }

void MainWindow::buildLayout() {
  auto* root = new QWidget(this);
  root->setObjectName(QStringLiteral("root"));
  setCentralWidget(root);
  browser_ = new BrowserPane(root);
  browser_->setFixedWidth(BrowserPane::kWidth);
  top_bar_ = new TopBar(root);
  connection_notice_ = new NoticeBar(root);
  connection_notice_->setObjectName(QStringLiteral("connectionNotice"));
  undo_notice_ = new NoticeBar(root);
  undo_notice_->setObjectName(QStringLiteral("undoNotice"));
  grid_ = new PanelGrid(crosshair_, root);
  status_ = new StatusLine(root);
  range_popup_ = new TimeRangePopup(this);
  add_popup_ = new AddPanelPopup(this);

  auto* page = new QVBoxLayout;
  page->setContentsMargins(0, 0, 0, 0);
  page->setSpacing(0);
  page->addWidget(top_bar_);
  page->addWidget(connection_notice_);
  page->addWidget(undo_notice_);
  page->addWidget(grid_, 1);
  auto* columns = new QHBoxLayout;
  columns->setContentsMargins(0, 0, 0, 0);
  columns->setSpacing(0);
  columns->addWidget(browser_);
  columns->addLayout(page, 1);
  auto* rows = new QVBoxLayout(root);
  rows->setContentsMargins(0, 0, 0, 0);
  rows->setSpacing(0);
  rows->addLayout(columns, 1);
  rows->addWidget(status_);

  scrim_ = new QWidget(root);
  scrim_->hide();
  scrim_->installEventFilter(this);
  QPalette dark = scrim_->palette();
  QColor shade(Qt::black);
  shade.setAlphaF(static_cast<float>(kScrimOpacity));
  dark.setColor(QPalette::Window, shade);
  scrim_->setPalette(dark);
  scrim_->setAutoFillBackground(true);
}

void MainWindow::connectParts() {
  connect(browser_, &BrowserPane::selectorActivated, this, [this](const QString& selector) {
    addPanel(selector);
    if (drawer_open_) toggleBrowser();
  });
  connect(top_bar_, &TopBar::browserRequested, this, &MainWindow::toggleBrowser);
  connect(top_bar_, &TopBar::rangeRequested, this, &MainWindow::openRangePopup);
  connect(top_bar_, &TopBar::liveRequested, board_, &LiveBoard::goLive);
  connect(top_bar_, &TopBar::pauseRequested, board_, &LiveBoard::pause);
  connect(top_bar_, &TopBar::eventsToggled, this, &MainWindow::setEventsShown);
  connect(board_, &LiveBoard::eventsNoteChanged, this, &MainWindow::updateEvents);
  connect(top_bar_, &TopBar::addPanelRequested, this, &MainWindow::openAddPopup);
  connect(top_bar_, &TopBar::logoutRequested, this, &MainWindow::logoutRequested);
  connect(range_popup_, &TimeRangePopup::chosen, board_, &LiveBoard::setWindow);
  connect(add_popup_, &AddPanelPopup::chosen, this, &MainWindow::addPanel);
  connect(board_, &LiveBoard::windowChanged, this, &MainWindow::updateWindow);
  connect(grid_, &PanelGrid::viewAdded, this, &MainWindow::connectView);
  connect(grid_, &PanelGrid::addRequested, this, &MainWindow::openAddPopup);
  connect(grid_, &PanelGrid::selectorsDropped, this, [this](const QStringList& selectors) {
    for (const QString& selector : selectors) addPanel(selector);
  });
  connect(undo_notice_, &NoticeBar::actionRequested, this, &MainWindow::undoRemoval);
  undo_timer_.setSingleShot(true);
  undo_timer_.setInterval(kUndoMs);
  connect(&undo_timer_, &QTimer::timeout, undo_notice_, &QWidget::hide);
}

void MainWindow::buildShortcuts() {
  const auto key = [this](const QKeySequence& sequence, auto&& action) {
    auto* shortcut = new QShortcut(sequence, this);
    connect(shortcut, &QShortcut::activated, this, action);
  };
  key(QKeySequence(Qt::CTRL | Qt::Key_B), [this] { toggleBrowser(); });
  key(QKeySequence(Qt::CTRL | Qt::Key_E), [this] { setEventsShown(!spec_.show_events); });
  key(QKeySequence(Qt::CTRL | Qt::Key_K), [this] {
    if (!browser_->isVisible()) toggleBrowser();
    browser_->focusFilter();
  });
}

void MainWindow::connectSource() {
  connect(&source_, &MetricsSource::connectionChanged, this, &MainWindow::updateConnection);
  connect(&source_, &MetricsSource::catalogChanged, this, [this] { browser_->setCatalog(source_.catalog()); });
  connect(&source_, &MetricsSource::loggedIn, board_, &LiveBoard::reopen);
  status_timer_.setInterval(kStatusEveryMs);
  connect(&status_timer_, &QTimer::timeout, this, &MainWindow::updateStatus);
  status_timer_.start();
}

void MainWindow::connectView(PanelView* view) {
  const auto id = [view] { return view->spec().id; };
  connect(view, &PanelView::removeRequested, this, [this, id] { removePanel(id()); });
  connect(view, &PanelView::maximiseToggled, this, [this, id] { toggleMaximised(id()); });
  connect(view, &PanelView::retryRequested, board_, &LiveBoard::retry);
  connect(view, &PanelView::widerRangeRequested, this, [this] { board_->setWindow(TimeWindow::last(kSecondsPerDay)); });
  connect(view, &PanelView::selectorsDropped, this,
          [this, id](const QStringList& selectors) { addToPanel(id(), selectors); });
  connect(view, &PanelView::rangeSelected, this,
          [this](qint64 start, qint64 end) { board_->setWindow(TimeWindow::custom(start, end)); });
  connect(view, &PanelView::zoomRequested, this, [this](double factor, qint64 center) {
    // About what is seen, which is less than the window while there is not so much data yet.
    const qint64 now = clock_.NowUnixNanos();
    const TimeRange shown = board_->shownRange(now);
    TimeWindow window = TimeWindow::custom(shown.start, shown.end);
    window.zoom(factor, center, now);
    board_->setWindow(window);
  });
}

void MainWindow::setDashboard(const DashboardSpec& spec) {
  spec_ = spec;
  board_->setWindow(TimeWindow::last(spec_.window_seconds));
  showSpec();
}

void MainWindow::showSpec() {
  setWindowTitle(spec_.title + QStringLiteral(" – Pulseboard"));
  top_bar_->setTitle(spec_.title);
  grid_->setPanels(spec_.panels);
  board_->setEventsShown(spec_.show_events);
  updateEvents();
  board_->show(spec_, grid_->views());
}

void MainWindow::changeSpec() {
  showSpec();
  Q_EMIT dashboardChanged(spec_);
}

void MainWindow::addPanel(const QString& selector) {
  const QString id = spec_.addPanel(selector).id;
  changeSpec();
  grid_->scrollTo(id);
}

void MainWindow::addToPanel(const QString& panel_id, const QStringList& selectors) {
  PanelSpec* panel = spec_.find(panel_id);
  if (panel == nullptr) return;
  bool changed = false;
  for (const QString& selector : selectors) {
    if (panel->selectors.contains(selector)) continue;
    panel->selectors << selector;
    changed = true;
  }
  if (changed) changeSpec();
}

void MainWindow::removePanel(const QString& panel_id) {
  const PanelSpec* panel = spec_.find(panel_id);
  if (panel == nullptr) return;
  before_removal_ = spec_;
  undo_notice_->say(Icon::Close, ColorRole::Unknown, QStringLiteral("Panel “%1” removed").arg(panel->title), QString(),
                    QStringLiteral("Undo"));
  undo_timer_.start();
  spec_.removePanel(panel_id);
  changeSpec();
}

void MainWindow::undoRemoval() {
  undo_notice_->hide();
  undo_timer_.stop();
  if (!before_removal_) return;
  spec_ = *std::exchange(before_removal_, std::nullopt);
  changeSpec();
}

void MainWindow::toggleMaximised(const QString& panel_id) {
  grid_->setMaximised(grid_->maximised() == panel_id ? QString() : panel_id);
}

PanelView* MainWindow::panel(const QString& panel_id) const { return grid_->view(panel_id); }

int MainWindow::movingPanels(int updates) const {
  const auto& views = grid_->views();
  return static_cast<int>(
      std::count_if(views.begin(), views.end(), [&](const PanelView* v) { return v->liveUpdates() >= updates; }));
}

QString MainWindow::statusText() const { return status_->text(); }

void MainWindow::toggleBrowser() {
  if (layout_ == Layout::Wide) {
    browser_wanted_ = !browser_wanted_;
  } else {
    drawer_open_ = !drawer_open_;
  }
  updateLayout();
}

void MainWindow::resizeEvent(QResizeEvent* event) {
  QMainWindow::resizeEvent(event);
  updateLayout();
}

void MainWindow::updateLayout() {
  const int wide = width();
  const Layout layout = wide < kNarrowBelow ? Layout::Narrow : wide < kDrawerBelow ? Layout::Drawer : Layout::Wide;
  if (layout != layout_) {
    layout_ = layout;
    drawer_open_ = false;
    const bool narrow = layout == Layout::Narrow;
    top_bar_->setNarrow(narrow);
    status_->setNarrow(narrow);
    browser_->setTouch(narrow);
    grid_->setDensity(narrow                     ? PanelGrid::Density::Narrow
                      : layout == Layout::Drawer ? PanelGrid::Density::Medium
                                                 : PanelGrid::Density::Wide);
  }
  placeBrowser();
}

void MainWindow::placeBrowser() {
  auto* columns = static_cast<QHBoxLayout*>(centralWidget()->layout()->itemAt(0)->layout());
  const bool docked = layout_ == Layout::Wide;
  if (docked && columns->indexOf(browser_) < 0) columns->insertWidget(0, browser_);
  if (!docked && columns->indexOf(browser_) >= 0) columns->removeWidget(browser_);
  const bool visible = docked ? browser_wanted_ : drawer_open_;
  browser_->setVisible(visible);
  scrim_->setVisible(!docked && visible);
  top_bar_->setBrowserHidden(!visible || !docked);
  if (docked || !visible) return;
  const QRect area = centralWidget()->rect().adjusted(0, 0, 0, -StatusLine::kHeight);
  scrim_->setGeometry(area);
  scrim_->raise();
  browser_->setGeometry(0, 0, BrowserPane::kWidth, area.height());
  browser_->raise();
}

bool MainWindow::eventFilter(QObject* watched, QEvent* event) {
  if (watched == scrim_ && event->type() == QEvent::MouseButtonPress) {
    toggleBrowser();
    return true;
  }
  return QMainWindow::eventFilter(watched, event);
}

void MainWindow::keyPressEvent(QKeyEvent* event) {
  if (event->key() == Qt::Key_Escape) {
    if (drawer_open_) return toggleBrowser();
    if (!grid_->maximised().isEmpty()) return grid_->setMaximised(QString());
  }
  if (event->key() == Qt::Key_Space) {
    if (board_->window().isLive()) return board_->pause();
    return board_->goLive();
  }
  QMainWindow::keyPressEvent(event);
}

void MainWindow::openRangePopup() {
  range_popup_->openBelow(top_bar_->rangeButton(), board_->window(), clock_.NowUnixNanos(), layout_ == Layout::Narrow);
}

void MainWindow::openAddPopup() { add_popup_->openBelow(top_bar_->addAnchor(), source_.catalog()); }

void MainWindow::setEventsShown(bool shown) {
  if (shown == spec_.show_events) return;
  spec_.show_events = shown;
  if (before_removal_) before_removal_->show_events = shown;
  board_->setEventsShown(shown);
  updateEvents();
  Q_EMIT dashboardChanged(spec_);
}

void MainWindow::updateEvents() { top_bar_->setEvents(spec_.show_events, board_->eventsNote()); }

void MainWindow::updateWindow() { top_bar_->setWindow(board_->window()); }

void MainWindow::updateConnection() {
  const ConnectionStatus status = source_.connection();
  top_bar_->setConnection(status);
  status_->setConnection(status, clock_.NowUnixNanos());
  const bool lost = status.state == ConnectionState::Reconnecting || status.state == ConnectionState::Offline;
  grid_->setOffline(lost);
  connection_notice_->setVisible(lost);
  if (lost) {
    const QString title = status.error.isEmpty() ? QStringLiteral("Connection lost") : status.error.title;
    connection_notice_->say(Icon::Offline, ColorRole::Warning, title, lostConnectionWords(status), QString());
  }
  updateStatus();
}

void MainWindow::updateStatus() {
  StatusLine::Figures figures;
  figures.wire = source_.latency();
  figures.paint_p50_ms = board_->paintLatency().quantileMs(0.5);
  figures.paint_p99_ms = board_->paintLatency().quantileMs(0.99);
  figures.series = board_->shownSeries();
  status_->setFigures(figures);
}

}  // namespace pulseboard::qt

#include "client-qt/ui/live_board.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "client-qt/ui/panel_view.h"

namespace pulseboard::qt {
namespace {

constexpr int kMinScrollMs = 100;
constexpr int kMaxScrollMs = 5000;
constexpr int kHistoryDelayMs = 120;
constexpr int kMinColumns = 200;
// Of the time that is shown before there is data for the whole window.
constexpr qint64 kShortestShown = 20 * kNanosPerSecond;
constexpr qint64 kGrowthStep = kNanosPerSecond;
constexpr qint64 kTrimEvery = 10 * kNanosPerSecond;
// A frame may take a third of the time.
constexpr int kFrameShare = 3;

QString panelOf(const FeedQuery& query) { return query.id.section(QLatin1Char('/'), 0, 0); }

}  // namespace

LiveBoard::LiveBoard(MetricsSource& source, const Clock& clock, QObject* parent)
    : QObject(parent), source_(source), clock_(clock) {
  connect(&source_, &MetricsSource::feedReady, this, &LiveBoard::onFeedReady);
  connect(&source_, &MetricsSource::feedFailed, this, &LiveBoard::onFeedFailed);
  connect(&source_, &MetricsSource::feedUpdateRefused, this, &LiveBoard::onFeedRefused);
  connect(&source_, &MetricsSource::eventsReady, this, &LiveBoard::onEventsReady);
  connect(&source_, &MetricsSource::eventsFailed, this, [this](RequestId request, const UserError& error) {
    if (request != events_request_) return;
    events_request_ = 0;
    events_note_ = error.title;
    Q_EMIT eventsNoteChanged();
  });
  connect(&source_, &MetricsSource::historyReady, this, &LiveBoard::onHistoryReady);
  connect(&source_, &MetricsSource::historyFailed, this, &LiveBoard::onHistoryFailed);
  drain_timer_.setSingleShot(true);
  drain_timer_.setTimerType(Qt::PreciseTimer);
  connect(&drain_timer_, &QTimer::timeout, this, &LiveBoard::drain);
  connect(&scroll_timer_, &QTimer::timeout, this, &LiveBoard::refreshPanels);
  history_delay_.setSingleShot(true);
  history_delay_.setInterval(kHistoryDelayMs);
  connect(&history_delay_, &QTimer::timeout, this, &LiveBoard::requestHistory);
}

LiveBoard::~LiveBoard() {
  stop();
  for (PanelView* panel : panels_) {
    if (panel != nullptr) panel->setEvents(nullptr);
  }
}

void LiveBoard::show(const DashboardSpec& spec, const QVector<PanelView*>& panels) {
  spec_ = spec;
  QVector<PanelView*> changed;
  QHash<PanelView*, QStringList> selectors;
  for (PanelView* panel : panels) {
    selectors.insert(panel, panel->spec().selectors);
    if (panels_.contains(panel) && selectors_.value(panel) == panel->spec().selectors) continue;
    changed.append(panel);
    refused_.remove(panel->spec().id);
    panel->setEvents(events_shown_ ? &events_ : nullptr);
    connect(panel, &PanelView::painted, this, &LiveBoard::onPainted, Qt::UniqueConnection);
  }
  panels_ = QVector<QPointer<PanelView>>(panels.begin(), panels.end());
  selectors_ = std::move(selectors);
  if (window_.mode() == TimeWindow::Mode::Custom) {
    for (PanelView* panel : changed) requestHistoryOf(panel);
  } else if (feed_open_) {
    updateFeed();
  } else {
    openFeed();
  }
}

void LiveBoard::retry() {
  if (window_.mode() != TimeWindow::Mode::Custom && feed_open_ && !refused_.isEmpty()) {
    refused_.clear();
    return updateFeed();
  }
  reopen();
}

void LiveBoard::reopen() {
  if (window_.mode() == TimeWindow::Mode::Custom) {
    history_delay_.start(0);
  } else {
    openFeed();
  }
}

void LiveBoard::stop() {
  closeFeed();
  cancelHistory();
  history_delay_.stop();
  scroll_timer_.stop();
  if (events_request_ != 0) source_.cancelRequest(std::exchange(events_request_, 0));
}

void LiveBoard::setWindow(const TimeWindow& window) {
  if (window == window_) return;
  const bool was_custom = window_.mode() == TimeWindow::Mode::Custom;
  const qint64 seconds = window.lengthNanos() / kNanosPerSecond;
  window_ = window;
  if (window.mode() == TimeWindow::Mode::Custom) {
    closeFeed();
    cancelHistory();
    for (PanelView* panel : panels_) {
      if (panel != nullptr) panel->beginLoading();
    }
    history_delay_.start();
  } else {
    cancelHistory();
    history_delay_.stop();
    // What is here is enough for a shorter window, unless it was reduced for a much longer one.
    const bool too_coarse = column_nanos_ > 0 && seconds * 2 < backfill_seconds_;
    if (was_custom || !feed_open_) {
      openFeed();
    } else if (seconds > backfill_seconds_ || too_coarse) {
      refused_.clear();
      measureWindow();
      updateFeed();
      requestEvents();
    }
  }
  scheduleScroll();
  refreshPanels();
  Q_EMIT windowChanged();
}

void LiveBoard::goLive() {
  TimeWindow window = window_;
  window.goLive();
  setWindow(window);
}

void LiveBoard::pause() {
  TimeWindow window = window_;
  window.pause(clock_.NowUnixNanos());
  setWindow(window);
}

int LiveBoard::plotPixels() const {
  int widest = kMinColumns;
  for (const PanelView* panel : panels_) {
    if (panel != nullptr) widest = std::max(widest, panel->plotPixels());
  }
  return widest;
}

void LiveBoard::measureWindow() {
  const qint64 seconds = std::max<qint64>(1, window_.lengthNanos() / kNanosPerSecond);
  // A little more than is shown, so that the line reaches the left edge when the window moves by a pixel.
  backfill_seconds_ = seconds + std::max<qint64>(2, seconds / 50);
  columns_ = seconds > kRawWindowSeconds ? plotPixels() : 0;
  column_nanos_ = columns_ > 0 ? backfill_seconds_ * kNanosPerSecond / columns_ : 0;
}

FeedSpec LiveBoard::wantedFeed() const {
  FeedSpec feed = spec_.feedSpec(backfill_seconds_, columns_);
  feed.queries.removeIf([this](const FeedQuery& query) { return refused_.contains(panelOf(query)); });
  return feed;
}

void LiveBoard::openFeed() {
  closeFeed();
  refused_.clear();
  if (spec_.panels.isEmpty()) return;
  measureWindow();
  for (PanelView* panel : panels_) {
    if (panel != nullptr) panel->beginLoading();
  }
  feed_spec_ = wantedFeed();
  granted_spec_ = {};
  feed_ = source_.openFeed(feed_spec_);
  feed_open_ = true;
  scheduleScroll();
}

void LiveBoard::updateFeed() {
  const FeedSpec wanted = wantedFeed();
  if (wanted.queries.isEmpty()) return openFeed();
  const bool whole =
      wanted.backfill_seconds != feed_spec_.backfill_seconds || wanted.max_points != feed_spec_.max_points;
  const auto queriesOf = [](const FeedSpec& feed, const QString& panel) {
    QVector<FeedQuery> out;
    std::copy_if(feed.queries.begin(), feed.queries.end(), std::back_inserter(out),
                 [&](const FeedQuery& query) { return panelOf(query) == panel; });
    return out;
  };
  for (PanelView* panel : panels_) {
    if (panel == nullptr || refused_.contains(panel->spec().id)) continue;
    const QVector<FeedQuery> queries = queriesOf(wanted, panel->spec().id);
    if (queries.isEmpty()) {
      panel->finishLoading();  // nothing will come for it
    } else if (whole || queries != queriesOf(feed_spec_, panel->spec().id)) {
      panel->beginLoading();
    }
  }
  if (wanted == feed_spec_) return;
  granted_spec_ = std::exchange(feed_spec_, wanted);
  source_.updateFeed(feed_, wanted);
}

// What was asked for last is not to be had. Panels that were filled before go on.
void LiveBoard::onFeedRefused(FeedId feed, const UserError& error) {
  if (!feed_open_ || feed != feed_) return;
  const auto is_filled = [](const PanelView* panel) { return panel != nullptr && !panel->isAwaiting(); };
  if (std::none_of(panels_.begin(), panels_.end(), is_filled)) {
    closeFeed();
  } else {
    feed_spec_ = granted_spec_;
  }
  for (PanelView* panel : panels_) {
    if (panel == nullptr || !panel->isAwaiting()) continue;
    refused_.insert(panel->spec().id);
    panel->fail(error);
  }
}

void LiveBoard::closeFeed() {
  if (feed_open_) source_.closeFeed(feed_);
  feed_open_ = false;
  drain_timer_.stop();
  arrived_ = 0;
}

void LiveBoard::cancelHistory() {
  for (auto it = history_.cbegin(); it != history_.cend(); ++it) source_.cancelRequest(it.key());
  history_.clear();
}

void LiveBoard::requestHistory() {
  cancelHistory();
  for (PanelView* panel : panels_) {
    if (panel != nullptr) requestHistoryOf(panel);
  }
  requestEvents();
}

void LiveBoard::requestHistoryOf(PanelView* panel) {
  const TimeRange range = window_.at(clock_.NowUnixNanos());
  panel->beginLoading();
  const int columns = std::max(kMinColumns, panel->plotPixels());
  bool first = true;
  for (const QString& selector : panel->spec().selectors) {
    const RequestId request = source_.requestHistory(selector, range.start, range.end, columns);
    history_.insert(request, {panel, range, (range.end - range.start) / columns, first});
    first = false;
  }
}

void LiveBoard::onHistoryReady(RequestId request, const HistoryResult& result) {
  const auto found = history_.find(request);
  if (found == history_.end()) return;
  const History asked = *found;
  history_.erase(found);
  if (asked.panel == nullptr) return;
  asked.panel->applyHistory(result, asked.range, asked.column_nanos, asked.first);
  // Other selectors of the panel may answer in any order: only the first answer clears.
  for (History& other : history_) {
    if (other.panel == asked.panel) other.first = false;
  }
  refreshPanels();
}

void LiveBoard::onHistoryFailed(RequestId request, const UserError& error) {
  const auto found = history_.find(request);
  if (found == history_.end()) return;
  const QPointer<PanelView> panel = found->panel;
  history_.erase(found);
  if (panel != nullptr) panel->fail(error);
}

void LiveBoard::onFeedReady(FeedId feed) {
  if (!feed_open_ || feed != feed_) return;
  const qint64 now = clock_.MonotonicNanos();
  if (arrived_ == 0) arrived_ = now;
  if (drain_timer_.isActive()) return;
  const qint64 due = last_drain_ + frame_ms_ * kNanosPerMilli;
  drain_timer_.start(static_cast<int>(std::max<qint64>(0, (due - now + kNanosPerMilli - 1) / kNanosPerMilli)));
}

void LiveBoard::onFeedFailed(FeedId feed, const UserError& error) {
  if (!feed_open_ || feed != feed_) return;
  feed_open_ = false;  // closed by the source
  for (PanelView* panel : panels_) {
    if (panel != nullptr) panel->fail(error);
  }
}

void LiveBoard::drain() {
  if (!feed_open_) return;
  last_drain_ = clock_.MonotonicNanos();
  const FeedBatch batch = source_.drain(feed_);
  if (batch.empty()) {
    arrived_ = 0;
    return;
  }
  bool changed = false;
  for (PanelView* panel : panels_) {
    if (panel != nullptr) changed = panel->apply(batch, column_nanos_) || changed;
  }
  // Only live samples tell how late the screen is; a backfill is old by nature.
  if (!batch.events.empty() && events_.add(batch.events)) noteEvents();
  if (events_request_ != 0) fresh_events_.add(batch.events);
  if (batch.reset) requestEvents();  // from here on the feed tells of new ones
  updateDataSince();
  if (changed && !batch.samples.empty() && batch.backfill.empty() && drawing_since_ == 0) drawing_since_ = arrived_;
  arrived_ = 0;
  refreshPanels();
  trim();
}

void LiveBoard::updateDataSince() {
  std::optional<qint64> oldest;
  for (const PanelView* panel : panels_) {
    if (panel == nullptr) continue;
    if (panel->isAwaiting()) return;
    const std::optional<qint64> time = panel->data().oldestTime();
    if (time) oldest = std::min(oldest.value_or(*time), *time);
  }
  data_since_ = oldest;
}

TimeRange LiveBoard::shownRange(qint64 now_unix_nanos) const {
  TimeRange range = window_.at(now_unix_nanos);
  const bool may_grow =
      window_.mode() != TimeWindow::Mode::Custom && window_.lengthNanos() <= kRawWindowSeconds * kNanosPerSecond;
  if (!may_grow || !data_since_ || *data_since_ <= range.start) return range;
  // By whole seconds: what changes its scale with every frame is hard to look at.
  // Paused as well: the picture must not move by being held.
  range.end = (range.end + kGrowthStep - 1) / kGrowthStep * kGrowthStep;
  range.start = std::max<qint64>(range.start, std::min<qint64>(*data_since_, range.end - kShortestShown));
  return range;
}

void LiveBoard::refreshPanels() {
  const qint64 now = clock_.NowUnixNanos();
  const TimeRange range = shownRange(now);
  bool drawn = false;
  for (PanelView* panel : panels_) {
    if (panel != nullptr) drawn = panel->refresh(range, now, window_.isLive()) || drawn;
  }
  if (!drawn) drawing_since_ = 0;
}

// The last panel to paint a frame ends it.
void LiveBoard::onPainted() {
  if (drawing_since_ == 0) return;
  const qint64 now = clock_.MonotonicNanos();
  paint_latency_.add(now - drawing_since_);
  const int cost_ms = static_cast<int>((now - last_drain_) / kNanosPerMilli);
  frame_ms_ = std::clamp(cost_ms * kFrameShare, kFrameMs, kMaxFrameMs);
  // Panels painted later in this pass of the event loop belong to the same frame.
  QTimer::singleShot(0, this, [this] { drawing_since_ = 0; });
}

void LiveBoard::scheduleScroll() {
  if (window_.mode() != TimeWindow::Mode::Live) {
    scroll_timer_.stop();
    return;
  }
  const qint64 pixel_ms = window_.lengthNanos() / std::max(1, plotPixels()) / kNanosPerMilli;
  scroll_timer_.start(static_cast<int>(std::clamp<qint64>(pixel_ms / 2, kMinScrollMs, kMaxScrollMs)));
}

void LiveBoard::trim() {
  const qint64 mono = clock_.MonotonicNanos();
  if (mono - last_trim_ < kTrimEvery || window_.mode() == TimeWindow::Mode::Custom) return;
  last_trim_ = mono;
  const qint64 now = clock_.NowUnixNanos();
  const qint64 oldest = std::min<qint64>(window_.at(now).start, now - backfill_seconds_ * kNanosPerSecond);
  const qint64 slack = window_.lengthNanos() / 20 + kNanosPerSecond;
  for (PanelView* panel : panels_) {
    if (panel != nullptr) panel->trim(oldest - slack);
  }
  events_.trim(oldest - slack);
}

int LiveBoard::shownSeries() const {
  int count = 0;
  for (const PanelView* panel : panels_) {
    if (panel != nullptr) count += static_cast<int>(panel->data().series().size());
  }
  return count;
}

}  // namespace pulseboard::qt

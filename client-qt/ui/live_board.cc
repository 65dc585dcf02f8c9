#include "client-qt/ui/live_board.h"

#include <algorithm>

#include "client-qt/ui/panel_view.h"

namespace pulseboard::qt {
namespace {

constexpr int kMinScrollMs = 100;
constexpr int kMaxScrollMs = 5000;
constexpr int kHistoryDelayMs = 120;
constexpr int kMinColumns = 200;
constexpr qint64 kTrimEvery = 10 * kNanosPerSecond;
// A frame may take a third of the time.
constexpr int kFrameShare = 3;

}  // namespace

LiveBoard::LiveBoard(MetricsSource& source, const Clock& clock, QObject* parent)
    : QObject(parent), source_(source), clock_(clock) {
  connect(&source_, &MetricsSource::feedReady, this, &LiveBoard::onFeedReady);
  connect(&source_, &MetricsSource::feedFailed, this, &LiveBoard::onFeedFailed);
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

LiveBoard::~LiveBoard() { stop(); }

void LiveBoard::show(const DashboardSpec& spec, const QVector<PanelView*>& panels) {
  spec_ = spec;
  panels_.clear();
  for (PanelView* panel : panels) {
    panels_.append(panel);
    connect(panel, &PanelView::painted, this, &LiveBoard::onPainted, Qt::UniqueConnection);
  }
  retry();
}

void LiveBoard::retry() {
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
      updateFeed();
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

FeedSpec LiveBoard::prepareFeed() {
  const qint64 seconds = std::max<qint64>(1, window_.lengthNanos() / kNanosPerSecond);
  // A little more than is shown, so that the line reaches the left edge when the window moves by a pixel.
  backfill_seconds_ = seconds + std::max<qint64>(2, seconds / 50);
  const int columns = seconds > kRawWindowSeconds ? plotPixels() : 0;
  column_nanos_ = columns > 0 ? backfill_seconds_ * kNanosPerSecond / columns : 0;
  for (PanelView* panel : panels_) {
    if (panel != nullptr) panel->beginLoading();
  }
  return spec_.feedSpec(backfill_seconds_, columns);
}

void LiveBoard::openFeed() {
  closeFeed();
  if (spec_.panels.isEmpty()) return;
  feed_ = source_.openFeed(prepareFeed());
  feed_open_ = true;
  scheduleScroll();
}

void LiveBoard::updateFeed() { source_.updateFeed(feed_, prepareFeed()); }

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
  const TimeRange range = window_.at(clock_.NowUnixNanos());
  for (PanelView* panel : panels_) {
    if (panel == nullptr) continue;
    panel->beginLoading();
    const int columns = std::max(kMinColumns, panel->plotPixels());
    bool first = true;
    for (const QString& selector : panel->spec().selectors) {
      const RequestId request = source_.requestHistory(selector, range.start, range.end, columns);
      history_.insert(request, {panel, range, (range.end - range.start) / columns, first});
      first = false;
    }
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
  if (changed && !batch.samples.empty() && batch.backfill.empty() && drawing_since_ == 0) drawing_since_ = arrived_;
  arrived_ = 0;
  refreshPanels();
  trim();
}

void LiveBoard::refreshPanels() {
  const qint64 now = clock_.NowUnixNanos();
  const TimeRange range = window_.at(now);
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
}

int LiveBoard::shownSeries() const {
  int count = 0;
  for (const PanelView* panel : panels_) {
    if (panel != nullptr) count += static_cast<int>(panel->data().series().size());
  }
  return count;
}

}  // namespace pulseboard::qt

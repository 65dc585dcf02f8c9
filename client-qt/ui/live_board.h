// LiveBoard: keeps the panels of one dashboard filled: one live feed for all of them, or one history request per
// selector for a fixed range; drains on one coalescing timer and moves the time window.
//
// The first data after a quiet time is drawn at once; then at most every kFrameMs, later when frames cost much. Panels
// that cannot be seen take their data but draw nothing. GUI thread.
#pragma once

#include <QHash>
#include <QObject>
#include <QPointer>
#include <QTimer>
#include <QVector>

#include "client-qt/model/dashboard_spec.h"
#include "client-qt/model/metrics_source.h"
#include "client-qt/model/time_window.h"
#include "client-qt/ui/latency_meter.h"
#include "common/base/clock.h"

namespace pulseboard::qt {

class PanelView;

class LiveBoard : public QObject {
  Q_OBJECT

 public:
  static constexpr int kFrameMs = 33;
  static constexpr int kMaxFrameMs = 250;
  static constexpr qint64 kRawWindowSeconds = 15 * 60;  // longer windows are backfilled reduced to pixels

  // `source` and `clock` outlive the board.
  LiveBoard(MetricsSource& source, const Clock& clock, QObject* parent = nullptr);
  ~LiveBoard() override;

  // The panels to fill, from now on; opens a feed for them. Pixels of panels that stay are kept meanwhile.
  void show(const DashboardSpec& spec, const QVector<PanelView*>& panels);
  void setWindow(const TimeWindow& window);
  const TimeWindow& window() const { return window_; }
  void goLive();
  void pause();
  // Asks again for what failed.
  void retry();
  // Closes the feed; the pixels stay.
  void stop();

  // Arrival to pixels.
  const LatencyMeter& paintLatency() const { return paint_latency_; }
  // Series of all panels.
  int shownSeries() const;

 Q_SIGNALS:
  void windowChanged();

 private:
  struct History {
    QPointer<PanelView> panel;
    TimeRange range;
    qint64 column_nanos = 0;
    bool first = false;
  };

  // What the window asks for; the panels wait for it from now on.
  FeedSpec prepareFeed();
  void openFeed();
  void updateFeed();
  void closeFeed();
  void requestHistory();
  void cancelHistory();
  void onFeedReady(FeedId feed);
  void onFeedFailed(FeedId feed, const UserError& error);
  void onHistoryReady(RequestId request, const HistoryResult& result);
  void onHistoryFailed(RequestId request, const UserError& error);
  void drain();
  void refreshPanels();
  void scheduleScroll();
  void trim();
  int plotPixels() const;
  void onPainted();

  MetricsSource& source_;
  const Clock& clock_;
  DashboardSpec spec_;
  QVector<QPointer<PanelView>> panels_;
  TimeWindow window_;
  FeedId feed_ = 0;
  bool feed_open_ = false;
  qint64 backfill_seconds_ = 0;
  qint64 column_nanos_ = 0;
  QHash<RequestId, History> history_;
  QTimer drain_timer_;
  QTimer scroll_timer_;
  QTimer history_delay_;      // zooming asks once, at the end
  qint64 last_drain_ = 0;     // monotonic nanoseconds
  qint64 arrived_ = 0;        // of the oldest data not drained yet; 0 none
  qint64 drawing_since_ = 0;  // arrival of the data of the frame being drawn; 0 none
  qint64 last_trim_ = 0;
  int frame_ms_ = kFrameMs;
  LatencyMeter paint_latency_;
};

}  // namespace pulseboard::qt

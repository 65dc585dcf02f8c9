// LiveBoard: keeps the panels of one dashboard filled: one live feed for all of them, or one history request per
// selector for a fixed range; drains on one coalescing timer and moves the time window. Events of the same time come
// along: those of the past by a list, new ones by the feed.
//
// When panels change, the feed goes on: only panels with new or changed queries are filled anew.
//
// A short live window that is longer than the time there is data of shows that time only, and grows with it: the first
// minutes of a new server fill the charts from edge to edge.
//
// The first data after a quiet time is drawn at once; then at most every kFrameMs, later when frames cost much. Panels
// that cannot be seen take their data but draw nothing. GUI thread.
#pragma once

#include <QHash>
#include <QObject>
#include <QPointer>
#include <QSet>
#include <QTimer>
#include <QVector>
#include <optional>

#include "client-qt/model/dashboard_spec.h"
#include "client-qt/model/event_log.h"
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

  // The panels to fill, from now on. Panels that were there with the same queries go on without a break.
  void show(const DashboardSpec& spec, const QVector<PanelView*>& panels);
  void setWindow(const TimeWindow& window);
  const TimeWindow& window() const { return window_; }
  void goLive();
  void pause();
  // Whether events are marked.
  void setEventsShown(bool shown);
  const EventLog& events() const { return events_; }
  // What is to be said of them: that they could not be read, or not all; mostly empty.
  const QString& eventsNote() const { return events_note_; }
  // What is shown at `now`: the window, or the part of it since there is data.
  TimeRange shownRange(qint64 now_unix_nanos) const;
  // Asks again for what failed.
  void retry();
  // Asks for all again: the feed of before is gone.
  void reopen();
  // Closes the feed; the pixels stay.
  void stop();

  // Arrival to pixels.
  const LatencyMeter& paintLatency() const { return paint_latency_; }
  // Series of all panels.
  int shownSeries() const;

 Q_SIGNALS:
  void windowChanged();
  void eventsNoteChanged();

 private:
  struct History {
    QPointer<PanelView> panel;
    TimeRange range;
    qint64 column_nanos = 0;
    bool first = false;
  };

  // What the window asks for.
  FeedSpec wantedFeed() const;
  void measureWindow();
  void openFeed();
  void updateFeed();
  void closeFeed();
  void requestHistory();
  void requestHistoryOf(PanelView* panel);
  void requestEvents();
  void onFeedRefused(FeedId feed, const UserError& error);
  void onEventsReady(RequestId request, const EventHistory& history);
  void noteEvents();
  void updateDataSince();
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
  QHash<PanelView*, QStringList> selectors_;  // of panels_
  TimeWindow window_;
  FeedId feed_ = 0;
  bool feed_open_ = false;
  FeedSpec feed_spec_;     // as last asked for
  FeedSpec granted_spec_;  // before that
  QSet<QString> refused_;  // panels whose queries the server would not have
  EventLog events_;
  bool events_shown_ = true;
  RequestId events_request_ = 0;  // 0 none; its answer replaces all but fresh_events_
  EventLog fresh_events_;         // that came since
  QString events_note_;
  qint64 backfill_seconds_ = 0;
  int columns_ = 0;  // 0: raw samples
  qint64 column_nanos_ = 0;
  QHash<RequestId, History> history_;
  std::optional<qint64> data_since_;  // the oldest sample there is, when all panels are filled
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

// PanelView: one panel of the grid: header, chart, legend, and the states empty, loading, error, offline.
// Owns its PanelData. Fed and told to refresh by LiveBoard; asks for changes by signals. GUI thread.
#pragma once

#include <QFrame>
#include <QStringList>
#include <QTimer>
#include <optional>

#include "client-qt/chart/bar_chart.h"
#include "client-qt/chart/crosshair.h"
#include "client-qt/chart/legend_view.h"
#include "client-qt/chart/line_chart.h"
#include "client-qt/model/dashboard_spec.h"
#include "client-qt/model/panel_data.h"

namespace pulseboard::qt {

class PanelHeader;
class StateCard;

class PanelView : public QFrame {
  Q_OBJECT

 public:
  PanelView(const PanelSpec& spec, Crosshair& crosshair, QWidget* parent = nullptr);
  ~PanelView() override;

  const PanelSpec& spec() const { return spec_; }
  void setSpec(const PanelSpec& spec);
  const PanelData& data() const { return *data_; }
  // Null for a bar panel.
  LineChart* lineChart() { return line_chart_; }
  const LegendView& legend() const { return *legend_; }

  // Takes this panel's part of a batch. True when there is something new to draw.
  bool apply(const FeedBatch& batch, qint64 backfill_column_nanos);
  // Events that line charts mark; null for none. Not owned. noteEvents() after each change of them.
  void setEvents(const EventLog* events);
  void noteEvents() { changed_ = true; }
  // New data was asked for: the picture stays until it is here; after 300 ms a line under the header tells.
  void beginLoading();
  void applyHistory(const HistoryResult& history, TimeRange range, qint64 column_nanos, bool first);
  void finishLoading();
  bool isAwaiting() const { return awaiting_; }
  void fail(const UserError& error);
  void trim(qint64 oldest_unix_nanos) { data_->trim(oldest_unix_nanos); }

  // Draws what changed since the last call, if anything of the panel can be seen. True when it asked for a repaint
  // that brings new data.
  bool refresh(TimeRange range, qint64 now_unix_nanos, bool live);
  void setOffline(bool offline);
  PanelHeader& header() { return *header_; }
  int plotPixels() const;
  // Frames with live samples that were painted; for "data moves" checks.
  qint64 liveUpdates() const { return live_updates_; }

 Q_SIGNALS:
  void painted();
  void removeRequested();
  void maximiseToggled();
  void retryRequested();
  // Nothing is in the shown time: look at a day.
  void widerRangeRequested();
  void selectorsDropped(const QStringList& selectors);
  void rangeSelected(qint64 start_unix_nanos, qint64 end_unix_nanos);
  void zoomRequested(double factor, qint64 center_unix_nanos);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void enterEvent(QEnterEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dragLeaveEvent(QDragLeaveEvent* event) override;
  void dropEvent(QDropEvent* event) override;
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void buildChart();
  void applyStyle();
  void updateHeader();
  void updateBadge(qint64 now_unix_nanos, bool live);
  void updateState();
  void updateLegend(TimeRange range);
  void layoutBody();
  void updateActive();
  void onPainted();
  bool hasFocusInside() const;

  PanelSpec spec_;
  Crosshair& crosshair_;
  std::unique_ptr<PanelData> data_;

  PanelHeader* header_ = nullptr;
  LineChart* line_chart_ = nullptr;
  BarChart* bar_chart_ = nullptr;
  LegendView* legend_ = nullptr;
  StateCard* state_ = nullptr;

  UserError error_;
  bool awaiting_ = true;
  bool changed_ = false;
  bool offline_ = false;
  bool drop_target_ = false;
  bool loading_line_ = false;
  bool live_pending_ = false;  // live samples wait for the next paint
  qint64 live_updates_ = 0;
  qint64 legend_due_ = 0;       // monotonic ms
  bool legend_behind_ = false;  // shows less than there is
  TimeRange legend_range_;
  qint64 shown_nanos_ = 0;
  QTimer loading_delay_;
};

}  // namespace pulseboard::qt

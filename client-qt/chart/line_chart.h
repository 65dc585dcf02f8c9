// LineChart: one live time series chart. Qt Charts carries frame, plot area, axes and grid; lines, gaps, labels and
// crosshair are painted by us on top, from a cached picture that is redrawn only when data or the shown range changes.
//
// GUI thread. Reads a PanelData it does not own; refresh() pulls from it, nothing is pushed. While the data is loading
// the last picture stays.
#pragma once

#include <QChartView>
#include <QPixmap>
#include <QPointer>
#include <QTimeZone>
#include <optional>

#include "client-qt/chart/axis_painter.h"
#include "client-qt/chart/chart_style.h"
#include "client-qt/chart/crosshair.h"
#include "client-qt/chart/hover_card.h"
#include "client-qt/chart/plot_painter.h"
#include "client-qt/chart/plot_scale.h"
#include "client-qt/model/axis_ticks.h"
#include "client-qt/model/event_log.h"
#include "client-qt/model/panel_data.h"
#include "client-qt/model/units.h"

class QLineSeries;
class QValueAxis;

namespace pulseboard::qt {

class LineChart : public QChartView {
  Q_OBJECT

 public:
  struct Options {
    bool stacked = false;
    QString unit;  // UCUM; empty: the series' own
    std::optional<double> axis_min;
    std::optional<double> axis_max;
  };

  // `panel_data` and `crosshair` outlive the chart.
  LineChart(const PanelData& panel_data, Crosshair& crosshair, QWidget* parent = nullptr);
  void setOptions(const Options& options);
  void setChartStyle(const ChartStyle& style);
  void setTimeZone(const QTimeZone& zone);

  // Events to be marked; null for none. Not owned; outlives the chart or is taken away before. Call refresh() with
  // `data_changed` when they changed.
  void setEvents(const EventLog* events);

  // Shows `wanted` as of `now`. Cheap when neither data nor the range (to the pixel) changed.
  // `live`: the right edge is now, so the newest values carry dots.
  void refresh(TimeRange wanted, qint64 now_unix_nanos, bool live, bool data_changed);
  // Old data of a lost connection: drawn at 60 %.
  void setDimmed(bool dimmed);
  // Brings one series forward; 0 for none.
  void setHighlighted(quint64 series_id);

  // Pixels across which samples are reduced.
  int plotPixels() const;
  // What is drawn, for tests and latency.
  const PlotScale& scale() const { return scale_; }
  int drawnPoints() const { return drawn_points_; }
  const QVector<EventMark>& eventMarks() const { return event_marks_; }
  // Suffix of the axis' figures: "GiB", "%".
  const QString& axisUnit() const { return axis_unit_.suffix; }

 Q_SIGNALS:
  // New data reached the window's pixels.
  void painted();
  void axisUnitChanged(const QString& suffix);
  // Dragged over a stretch of time.
  void rangeSelected(qint64 start_unix_nanos, qint64 end_unix_nanos);
  // Ctrl + wheel, or + and - keys.
  void zoomRequested(double factor, qint64 center_unix_nanos);

 protected:
  void drawForeground(QPainter* painter, const QRectF& exposed) override;
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void hideEvent(QHideEvent* event) override;

 private:
  static constexpr int kRightMargin = 12;     // room for the halo of the live edge
  static constexpr int kCrosshairMargin = 6;  // rings reach this far around the crosshair

  void buildChart();
  void layoutPlot();
  void applyChartLayout();
  void rebuild();
  void updateAxis();
  void renderPlot();
  void invalidate();
  QString unit() const;
  QString timeText(qint64 time, bool with_zone) const;
  void hoverAt(const QPointF& position);
  void pointAt(qint64 time);
  void onCrosshairMoved();
  QRect crosshairArea() const;
  // Null when none is near the mouse.
  const EventMark* hoveredEvent() const;
  void addEvents(const EventMark& mark, HoverCard::Content* content) const;
  void showCard();
  void hideCard();

  const PanelData& data_;
  Crosshair& crosshair_;
  Options options_;
  const EventLog* events_ = nullptr;
  ChartStyle style_;
  QTimeZone zone_ = QTimeZone::systemTimeZone();
  QChart* chart_ = nullptr;
  QValueAxis* time_axis_ = nullptr;
  QValueAxis* value_axis_ = nullptr;

  TimeRange wanted_;
  qint64 now_ = 0;
  bool live_ = false;
  bool dimmed_ = false;
  quint64 highlighted_ = 0;
  PlotScale scale_;
  ValueAxis axis_;
  bool axis_known_ = false;
  UnitScale axis_unit_;
  ValueLabels labels_;
  int gutter_ = 0;
  QVector<TimeTick> time_ticks_;
  QVector<SeriesLine> lines_;
  QVector<StackLayer> stack_;
  QVector<GapItem> gaps_;
  QVector<AmendMark> amends_;
  QVector<EventMark> event_marks_;
  QVector<HoverValue> edge_;
  QVector<HoverValue> hover_;
  QRect covered_;  // by the crosshair when it was last drawn
  int drawn_points_ = 0;
  QPixmap picture_;
  bool picture_stale_ = true;
  bool fresh_paint_ = false;  // the next paint event brings new data

  std::optional<QPointF> mouse_;
  std::optional<double> selecting_from_;
  QPointer<HoverCard> card_;
};

}  // namespace pulseboard::qt

// LegendView: colour, name, last, min and max of each series of a panel, in as many columns as fit. More rows than
// there is room for scroll. Hovering a row brings its line forward. A series that has stopped is grey and says so.
#pragma once

#include <QAbstractScrollArea>
#include <QVector>

#include "client-qt/chart/chart_style.h"
#include "client-qt/model/panel_data.h"
#include "client-qt/model/units.h"

namespace pulseboard::qt {

class LegendView : public QAbstractScrollArea {
  Q_OBJECT

 public:
  static constexpr int kCompactSeries = 12;  // beyond: a table with more, scrollable rows

  explicit LegendView(QWidget* parent = nullptr);
  void setChartStyle(const ChartStyle& style);
  // `hidden_series`: told in a last line when not 0.
  void setRows(const QVector<LegendRow>& rows, const QString& unit, int hidden_series);
  const QVector<LegendRow>& rows() const { return rows_; }
  int heightFor(int width) const;
  // Beside the chart: one column with all figures, as high as it is given.
  void setBeside(bool beside);
  // Width that shows the names in full, within reason.
  int widthBeside() const;

 Q_SIGNALS:
  // 0 when none.
  void highlighted(quint64 series_id);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void leaveEvent(QEvent* event) override;
  // The whole name with all figures, also where only the newest has room.
  bool viewportEvent(QEvent* event) override;

 private:
  struct Grid {
    int columns = 1;
    int lines = 0;  // rows of cells
    int cell_width = 0;
    int figures = 3;  // last, min, max; 1: last alone; 0: none
    int figure_width = 0;
  };
  Grid gridFor(int width) const;
  int rowAt(const QPoint& position) const;
  void measure();
  void updateScrollBar();
  void paintCell(QPainter& painter, const Grid& grid, const QRect& cell, const LegendRow& row, bool hovered) const;

  ChartStyle style_;
  QVector<LegendRow> rows_;
  QString unit_;
  UnitScale scale_;
  int hidden_series_ = 0;
  int figure_width_ = 48;
  int name_width_ = 0;
  bool beside_ = false;
  int hovered_ = -1;
};

}  // namespace pulseboard::qt

// HoverCard: the one tooltip of a chart: time on top, then colour, name and value of each series, largest first.
// A child of the window, so that it may reach beyond its panel; never takes the mouse.
#pragma once

#include <QVector>
#include <QWidget>

#include "client-qt/chart/chart_style.h"

namespace pulseboard::qt {

class HoverCard : public QWidget {
  Q_OBJECT

 public:
  struct Row {
    QColor color;
    QString name;
    QString value;
  };
  static constexpr int kMaxRows = 16;

  explicit HoverCard(QWidget* window);
  void setChartStyle(const ChartStyle& style);
  // Shows beside `point` (window coordinates), on the side with room. `hidden_rows`: rows beyond those given.
  void showAt(const QPoint& point, const QString& time, const QVector<Row>& rows, int hidden_rows);

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  QSize wantedSize() const;
  void place(const QPoint& point);

  ChartStyle style_;
  QString time_;
  QVector<Row> rows_;
  int hidden_rows_ = 0;
};

}  // namespace pulseboard::qt

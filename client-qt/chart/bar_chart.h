// BarChart: the newest value of each series as a bar, largest first. Same life as LineChart: reads a PanelData it does
// not own when refresh() says so. GUI thread.
#pragma once

#include <QWidget>
#include <optional>

#include "client-qt/chart/chart_style.h"
#include "client-qt/model/panel_data.h"

namespace pulseboard::qt {

class BarChart : public QWidget {
  Q_OBJECT

 public:
  explicit BarChart(const PanelData& panel_data, QWidget* parent = nullptr);
  void setChartStyle(const ChartStyle& style);
  // `axis_max`: length of a full bar; nothing: the largest value.
  void setScale(const QString& unit, std::optional<double> axis_max);
  void refresh(TimeRange range, bool data_changed);
  void setDimmed(bool dimmed);
  int shownBars() const { return static_cast<int>(values_.size()); }

 Q_SIGNALS:
  void painted();

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  const PanelData& data_;
  ChartStyle style_;
  QString unit_;
  std::optional<double> axis_max_;
  QVector<HoverValue> values_;
  bool dimmed_ = false;
  bool fresh_paint_ = false;
};

}  // namespace pulseboard::qt

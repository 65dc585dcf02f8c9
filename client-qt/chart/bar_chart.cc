#include "client-qt/chart/bar_chart.h"

#include <QPainter>
#include <algorithm>

#include "client-qt/model/units.h"

namespace pulseboard::qt {
namespace {

constexpr int kBar = 14;
constexpr int kMaxPitch = 30;
constexpr int kMinPitch = 20;
constexpr int kGap = 8;
constexpr double kDimmedOpacity = 0.6;

}  // namespace

BarChart::BarChart(const PanelData& panel_data, QWidget* parent) : QWidget(parent), data_(panel_data) {}

void BarChart::setChartStyle(const ChartStyle& style) {
  style_ = style;
  update();
}

void BarChart::setScale(const QString& unit, std::optional<double> axis_max) {
  unit_ = unit;
  axis_max_ = axis_max;
  update();
}

void BarChart::setDimmed(bool dimmed) {
  dimmed_ = dimmed;
  update();
}

void BarChart::refresh(TimeRange range, bool data_changed) {
  if (!data_changed || (data_.isLoading() && data_.isEmpty())) return;
  values_ = data_.liveEdge(range);
  std::stable_sort(values_.begin(), values_.end(),
                   [](const HoverValue& a, const HoverValue& b) { return a.value > b.value; });
  fresh_paint_ = true;
  update();
}

void BarChart::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  if (dimmed_) painter.setOpacity(kDimmedOpacity);
  const int count = std::min<int>(static_cast<int>(values_.size()), std::max(1, height() / kMinPitch));
  if (count > 0) {
    const QString unit = unit_.isEmpty() ? data_.unit() : unit_;
    // Each figure in its own unit: lengths compare already, and 0.01 GiB says little.
    const auto figure = [&unit](double value) { return formatValue(value, unit); };
    const double full = std::max(axis_max_.value_or(values_.first().value), 1e-12);
    const QFontMetrics names(style_.base);
    const QFontMetrics figures(style_.figures);
    int name_width = 0;
    int value_width = 0;
    for (int i = 0; i < count; ++i) {
      name_width = std::max(name_width, names.horizontalAdvance(values_[i].name));
      value_width = std::max(value_width, figures.horizontalAdvance(figure(values_[i].value)));
    }
    name_width = std::min(name_width, width() * 2 / 5);
    const int pitch = std::clamp(height() / count, kMinPitch, kMaxPitch);
    for (int i = 0; i < count; ++i) {
      const QRect row(0, i * pitch, width(), pitch);
      painter.setFont(style_.base);
      painter.setPen(style_.text);
      painter.drawText(QRect(0, row.top(), name_width, pitch), Qt::AlignRight | Qt::AlignVCenter,
                       names.elidedText(values_[i].name, Qt::ElideMiddle, name_width));
      const QRectF track(name_width + kGap, row.center().y() - kBar / 2.0 + 0.5,
                         std::max(1, width() - name_width - value_width - 2 * kGap), kBar);
      painter.setPen(Qt::NoPen);
      QColor quiet = style_.border;
      quiet.setAlphaF(0.5F);
      painter.setBrush(quiet);
      painter.drawRoundedRect(track, 3, 3);
      QRectF bar = track;
      bar.setWidth(std::max(2.0, track.width() * std::clamp(values_[i].value / full, 0.0, 1.0)));
      painter.setBrush(style_.series[0]);
      painter.drawRoundedRect(bar, 3, 3);
      painter.setFont(style_.figures);
      painter.setPen(style_.secondary);
      painter.drawText(row, Qt::AlignRight | Qt::AlignVCenter, figure(values_[i].value));
    }
  }
  if (fresh_paint_) {
    fresh_paint_ = false;
    Q_EMIT painted();
  }
}

}  // namespace pulseboard::qt

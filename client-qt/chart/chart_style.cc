#include "client-qt/chart/chart_style.h"

namespace pulseboard::qt {

ChartStyle::Line ChartStyle::line(int index) const {
  static constexpr std::array kDashes = {Qt::SolidLine, Qt::DashLine, Qt::DotLine};
  const int lap = index / kSeriesColors;
  Line line{series[index % kSeriesColors], kDashes[lap % 3]};
  const int shade = (lap / 3) % 3;
  if (shade == 1) line.color = line.color.lighter(128);
  if (shade == 2) line.color = line.color.darker(124);
  return line;
}

}  // namespace pulseboard::qt

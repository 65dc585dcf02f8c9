// Colours and fonts of a chart, by role. chart/ knows roles only; ui/theme fills them in from the tokens.
#pragma once

#include <QColor>
#include <QFont>
#include <array>

namespace pulseboard::qt {

inline constexpr int kSeriesColors = 8;

struct ChartStyle {
  QColor panel;
  QColor raised;
  QColor border;
  QColor text;
  QColor secondary;
  QColor muted;
  QColor accent;
  QColor warning;
  QColor critical;
  std::array<QColor, kSeriesColors> series;
  QFont base;
  QFont caption;
  QFont figures;  // monospaced: numbers never jiggle

  // Looks of the n-th line of a panel: after eight colours the dash changes, after another eight the lightness.
  struct Line {
    QColor color;
    Qt::PenStyle dash = Qt::SolidLine;
  };
  Line line(int index) const;
};

}  // namespace pulseboard::qt

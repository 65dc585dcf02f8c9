// Where axes are labelled. Pure functions.
#pragma once

#include <QString>
#include <QTimeZone>
#include <QVector>

#include "client-qt/model/panel_data.h"
#include "common/model/samples.h"

namespace pulseboard::qt {

struct TimeTick {
  qint64 unix_nanos = 0;
  QString text;  // "12:05", "12:05:30", "24 Nov"
};

// Ticks at natural steps (1, 2, 5, 10, 15, 30 s and min; 1, 2, 3, 6, 12 h; days; weeks; months of local time), at most
// `max_labels`. The same instants whatever the range's start, so that labels scroll with the data and never dance.
QVector<TimeTick> timeTicks(TimeRange range, int max_labels, const QTimeZone& zone);

struct ValueAxis {
  double min = 0;
  double max = 1;
  QVector<double> ticks;  // 4 to 6, ascending, first is min, last is max
};

// A quiet axis for values in `range`: starts at 0 where values are not negative and 0 is near. For bytes (`By`) steps
// are powers of two.
ValueAxis valueAxis(ValueRange range, const QString& ucum);
// Grows at once, shrinks only when the data would fit in half of what `shown` spans.
ValueAxis steadyAxis(const ValueAxis& shown, const ValueAxis& wanted);

}  // namespace pulseboard::qt

// Numbers as people read them. Units are UCUM (`By`, `By/s`, `%`, `s`, `1/s`, `1`); bytes scale by 1024 (KiB), byte
// rates and all else by 1000. Figures keep a fixed number of decimals, so that they do not jiggle.
#pragma once

#include <QString>

namespace pulseboard::qt {

// One scale for a whole axis or legend.
struct UnitScale {
  double divisor = 1;
  QString suffix;    // "GiB", "MB/s", "%"; may be empty
  int decimals = 1;  // for values of this scale

  // "12.4": without suffix. "–" for NaN.
  QString number(double value) const;
  // "12.4 GiB": with a thin no-break space before the suffix.
  QString text(double value) const;
};

// The scale in which values up to `largest_magnitude` read well.
UnitScale unitScale(double largest_magnitude, const QString& ucum);
// A single value in its own scale: "12.4 GiB", "1.2 MB/s", "43.1 %", "2 h 5 min", "1,420 /s".
QString formatValue(double value, const QString& ucum);
// The unit alone, for captions: "%", "bytes", "bytes/s".
QString unitCaption(const QString& ucum);
// "38 s", "4 min 10 s", "2 h 5 min", "3 d 4 h", "120 ms".
QString formatDuration(qint64 nanos);
// 1420 -> "1,420".
QString formatCount(qint64 count);

}  // namespace pulseboard::qt

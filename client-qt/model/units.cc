#include "client-qt/model/units.h"

#include <QLocale>
#include <array>
#include <cmath>

#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr QChar kNarrowNoBreakSpace(0x202f);

const QLocale& numberLocale() {
  static const QLocale locale(QLocale::English, QLocale::UnitedStates);
  return locale;
}

int decimalsFor(double magnitude) {
  if (magnitude >= 100) return 0;
  return magnitude >= 10 ? 1 : 2;
}

// `base` 1000 or 1024; prefixes from the unit itself upwards. `grows_at`: below it the unit itself is used.
UnitScale prefixed(double magnitude, double base, double grows_at, const std::array<const char*, 6>& prefixes,
                   const QString& unit) {
  UnitScale scale;
  size_t step = 0;
  if (magnitude >= grows_at) {
    while (step + 1 < prefixes.size() && magnitude / scale.divisor >= base * 0.9995) {
      scale.divisor *= base;
      ++step;
    }
  }
  scale.suffix = QString::fromUtf8(prefixes[step]) + unit;
  scale.decimals = decimalsFor(magnitude / scale.divisor);
  return scale;
}

UnitScale secondsScale(double magnitude) {
  struct Step {
    double seconds;
    const char* suffix;
  };
  static constexpr std::array kSteps = {Step{86'400, "d"}, Step{3'600, "h"}, Step{60, "min"},
                                        Step{1, "s"},      Step{1e-3, "ms"}, Step{1e-6, "µs"}};
  for (const Step& step : kSteps) {
    if (magnitude >= step.seconds) {
      return {step.seconds, QString::fromUtf8(step.suffix), decimalsFor(magnitude / step.seconds)};
    }
  }
  return magnitude > 0 ? UnitScale{1e-9, QStringLiteral("ns"), 0} : UnitScale{1, QStringLiteral("s"), 0};
}

}  // namespace

QString UnitScale::number(double value) const {
  if (std::isnan(value)) return QStringLiteral("–");
  if (std::isinf(value)) return value > 0 ? QStringLiteral("∞") : QStringLiteral("−∞");
  QString text = numberLocale().toString(std::abs(value) / divisor, 'f', decimals);
  const bool is_zero = std::abs(value) / divisor < 0.5 * std::pow(10.0, -decimals);
  return value < 0 && !is_zero ? QChar(0x2212) + text : text;
}

QString UnitScale::text(double value) const {
  return suffix.isEmpty() || std::isnan(value) ? number(value) : number(value) + kNarrowNoBreakSpace + suffix;
}

UnitScale unitScale(double largest_magnitude, const QString& ucum) {
  const double magnitude = std::isfinite(largest_magnitude) ? std::abs(largest_magnitude) : 0;
  if (ucum == QLatin1String("%")) return {1, QStringLiteral("%"), 1};
  if (ucum == QLatin1String("By")) {
    UnitScale scale = prefixed(magnitude, 1024, 1024, {"", "Ki", "Mi", "Gi", "Ti", "Pi"}, QStringLiteral("B"));
    if (scale.divisor == 1) scale.decimals = 0;
    return scale;
  }
  if (ucum == QLatin1String("By/s")) {
    UnitScale scale = prefixed(magnitude, 1000, 1000, {"", "k", "M", "G", "T", "P"}, QStringLiteral("B/s"));
    if (scale.divisor == 1) scale.decimals = 0;
    return scale;
  }
  if (ucum == QLatin1String("s")) return secondsScale(magnitude);
  if (ucum == QLatin1String("ms")) {
    UnitScale scale = secondsScale(magnitude / 1e3);
    scale.divisor *= 1e3;
    return scale;
  }
  QString unit = ucum == QLatin1String("1") ? QString() : ucum;
  if (unit.startsWith(QLatin1String("1/"))) unit.remove(0, 1);  // "1/s" reads "/s"
  UnitScale scale = prefixed(magnitude, 1000, 10'000, {"", "k", "M", "G", "T", "P"}, unit);
  if (scale.divisor == 1 && magnitude >= 1'000) scale.decimals = 0;
  return scale;
}

QString formatValue(double value, const QString& ucum) {
  if (ucum == QLatin1String("s") && std::isfinite(value) && std::abs(value) >= 60) {
    return formatDuration(static_cast<qint64>(std::min(std::abs(value), 9e9) * 1e9)).prepend(value < 0 ? "−" : "");
  }
  return unitScale(value, ucum).text(value);
}

QString unitCaption(const QString& ucum) {
  if (ucum == QLatin1String("By")) return QStringLiteral("bytes");
  if (ucum == QLatin1String("By/s")) return QStringLiteral("bytes/s");
  if (ucum == QLatin1String("1")) return {};
  if (ucum.startsWith(QLatin1String("1/"))) return QStringLiteral("per ") + ucum.mid(2);
  return ucum;
}

QString formatDuration(qint64 nanos) {
  const auto two = [](qint64 large, const char* large_unit, qint64 small, const char* small_unit) {
    QString text = QStringLiteral("%1 %2").arg(large).arg(QLatin1String(large_unit));
    if (small > 0) text += QStringLiteral(" %1 %2").arg(small).arg(QLatin1String(small_unit));
    return text;
  };
  if (nanos < kNanosPerMilli) return QStringLiteral("%1 µs").arg(nanos / kNanosPerMicro);
  if (nanos < kNanosPerSecond) return QStringLiteral("%1 ms").arg(nanos / kNanosPerMilli);
  const qint64 seconds = (nanos + kNanosPerSecond / 2) / kNanosPerSecond;
  if (seconds < 60) return QStringLiteral("%1 s").arg(seconds);
  if (seconds < 3'600) return two(seconds / 60, "min", seconds % 60, "s");
  if (seconds < 86'400) return two(seconds / 3'600, "h", seconds % 3'600 / 60, "min");
  return two(seconds / 86'400, "d", seconds % 86'400 / 3'600, "h");
}

QString formatCount(qint64 count) { return numberLocale().toString(count); }

}  // namespace pulseboard::qt

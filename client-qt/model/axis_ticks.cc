#include "client-qt/model/axis_ticks.h"

#include <QDateTime>
#include <QLocale>
#include <algorithm>
#include <array>
#include <cmath>

#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr std::array<qint64, 17> kSteps = {1,   2,   5,     10,    15,    30,     60,     120,   300,
                                           600, 900, 1'800, 3'600, 7'200, 10'800, 21'600, 43'200};
constexpr std::array<int, 4> kDaySteps = {1, 2, 7, 14};

qint64 startOfDay(const QDate& date, const QTimeZone& zone) {
  return QDateTime(date, QTime(0, 0), zone).toSecsSinceEpoch();
}

QVector<TimeTick> clockTicks(TimeRange range, qint64 step, const QTimeZone& zone) {
  QVector<TimeTick> out;
  const QLocale c = QLocale::c();
  // Aligned to local midnight, day by day, so that a change of the clock moves nothing but that day.
  QDate day = QDateTime::fromMSecsSinceEpoch(range.start / kNanosPerMilli, zone).date();
  for (; startOfDay(day, zone) * kNanosPerSecond < range.end; day = day.addDays(1)) {
    const qint64 midnight = startOfDay(day, zone);
    const qint64 next = startOfDay(day.addDays(1), zone);
    const qint64 first = std::max<qint64>(midnight, range.start / kNanosPerSecond);
    const qint64 last = std::min<qint64>(next, range.end / kNanosPerSecond + 1);
    for (qint64 t = midnight + (first - midnight + step - 1) / step * step; t < last; t += step) {
      if (!range.Contains(t * kNanosPerSecond)) continue;
      const QDateTime local = QDateTime::fromSecsSinceEpoch(t, zone);
      const bool is_midnight = t == midnight && step >= 60;
      const QString format =
          is_midnight ? QStringLiteral("d MMM") : (step < 60 ? QStringLiteral("HH:mm:ss") : QStringLiteral("HH:mm"));
      out.push_back({t * kNanosPerSecond, c.toString(local, format)});
    }
  }
  return out;
}

QVector<TimeTick> dayTicks(TimeRange range, int days, const QTimeZone& zone) {
  QVector<TimeTick> out;
  QDate day = QDateTime::fromMSecsSinceEpoch(range.start / kNanosPerMilli, zone).date();
  // Counted from the epoch: the same days whatever the range.
  const qint64 phase = QDate(1970, 1, 5).daysTo(day) % days;
  day = day.addDays(phase == 0 ? 0 : days - phase);
  for (; startOfDay(day, zone) * kNanosPerSecond < range.end; day = day.addDays(days)) {
    const qint64 t = startOfDay(day, zone) * kNanosPerSecond;
    if (range.Contains(t)) out.push_back({t, QLocale::c().toString(day, QStringLiteral("d MMM"))});
  }
  return out;
}

QVector<TimeTick> monthTicks(TimeRange range, int months, const QTimeZone& zone) {
  QVector<TimeTick> out;
  const QDate first = QDateTime::fromMSecsSinceEpoch(range.start / kNanosPerMilli, zone).date();
  QDate day(first.year(), (first.month() - 1) / months * months + 1, 1);
  for (; startOfDay(day, zone) * kNanosPerSecond < range.end; day = day.addMonths(months)) {
    const qint64 t = startOfDay(day, zone) * kNanosPerSecond;
    if (range.Contains(t)) out.push_back({t, QLocale::c().toString(day, QStringLiteral("MMM yyyy"))});
  }
  return out;
}

// The smallest step of the unit's kind of at least `wanted`.
double niceStep(double wanted, bool binary) {
  if (binary && wanted >= 1) return std::exp2(std::ceil(std::log2(wanted)));
  const double power = std::pow(10.0, std::floor(std::log10(wanted)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= wanted * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

}  // namespace

QVector<TimeTick> timeTicks(TimeRange range, int max_labels, const QTimeZone& zone) {
  if (range.empty() || max_labels < 1) return {};
  const double seconds = static_cast<double>(range.end - range.start) / static_cast<double>(kNanosPerSecond);
  const double wanted = seconds / max_labels;
  for (const qint64 step : kSteps) {
    if (static_cast<double>(step) >= wanted) return clockTicks(range, step, zone);
  }
  for (const int days : kDaySteps) {
    if (days * 86'400.0 >= wanted) return dayTicks(range, days, zone);
  }
  for (const int months : {1, 2, 3, 6}) {
    if (months * 28 * 86'400.0 >= wanted) return monthTicks(range, months, zone);
  }
  return monthTicks(range, 12, zone);
}

ValueAxis valueAxis(ValueRange range, const QString& ucum) {
  double low = range.min;
  double high = range.max;
  if (!(low <= high) || !std::isfinite(low) || !std::isfinite(high)) {
    low = 0;
    high = 1;
  }
  if (low >= 0 && low <= 0.7 * high) low = 0;
  if (high <= 0 && high >= 0.7 * low) high = 0;
  if (high == low) {
    const double room = high == 0 ? 1 : std::abs(high) * 0.1;
    high += room;
    low = low >= 0 ? std::max(0.0, low - room) : low - room;
  }
  const double step = niceStep((high - low) / 4.5, ucum == QLatin1String("By"));
  ValueAxis axis;
  const double first = std::floor(low / step + 1e-9);
  const double last = std::max(std::ceil(high / step - 1e-9), first + 1);
  for (double i = first; i <= last; i += 1) axis.ticks.push_back(i * step);
  axis.min = std::min(axis.ticks.front(), low);  // a multiple of the step may round past its end
  axis.max = std::max(axis.ticks.back(), high);
  return axis;
}

ValueAxis steadyAxis(const ValueAxis& shown, const ValueAxis& wanted) {
  const bool outgrown = wanted.min < shown.min || wanted.max > shown.max;
  const bool far_too_large = wanted.max - wanted.min < 0.5 * (shown.max - shown.min);
  return outgrown || far_too_large || shown.ticks.isEmpty() ? wanted : shown;
}

}  // namespace pulseboard::qt

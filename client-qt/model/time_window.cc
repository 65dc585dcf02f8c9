#include "client-qt/model/time_window.h"

#include <QDateTime>
#include <QLocale>
#include <algorithm>
#include <cmath>

#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr qint64 kShortest = kNanosPerSecond;
constexpr qint64 kLongest = 400 * kNanosPerDay;

QString lengthText(qint64 seconds) {
  if (seconds % 86'400 == 0 && seconds > 86'400) return QStringLiteral("%1 d").arg(seconds / 86'400);
  if (seconds % 3'600 == 0) return QStringLiteral("%1 h").arg(seconds / 3'600);
  if (seconds % 60 == 0) return QStringLiteral("%1 min").arg(seconds / 60);
  return QStringLiteral("%1 s").arg(seconds);
}

}  // namespace

const QVector<TimeWindow::Preset>& TimeWindow::presets() {
  static const QVector<Preset> all = [] {
    QVector<Preset> out;
    for (const qint64 seconds :
         {300, 900, 1'800, 3'600, 10'800, 21'600, 43'200, 86'400, 2 * 86'400, 7 * 86'400, 30 * 86'400}) {
      out.push_back({seconds, QStringLiteral("Last ") + lengthText(seconds)});
    }
    return out;
  }();
  return all;
}

TimeWindow TimeWindow::last(qint64 seconds) {
  return TimeWindow(Mode::Live, 0, std::clamp<qint64>(seconds, 1, kLongest / kNanosPerSecond) * kNanosPerSecond);
}

TimeWindow TimeWindow::custom(qint64 start_unix_nanos, qint64 end_unix_nanos) {
  return TimeWindow(Mode::Custom, start_unix_nanos, std::clamp(end_unix_nanos - start_unix_nanos, kShortest, kLongest));
}

TimeRange TimeWindow::at(qint64 now_unix_nanos) const {
  if (mode_ == Mode::Live) return {now_unix_nanos - length_, now_unix_nanos};
  return {start_, start_ + length_};
}

void TimeWindow::pause(qint64 now_unix_nanos) {
  if (mode_ != Mode::Live) return;
  mode_ = Mode::Paused;
  start_ = now_unix_nanos - length_;
}

void TimeWindow::goLive() {
  mode_ = Mode::Live;
  start_ = 0;
}

void TimeWindow::shift(qint64 nanos, qint64 now_unix_nanos) {
  const TimeRange shown = at(now_unix_nanos);
  mode_ = Mode::Custom;
  start_ = shown.start + nanos;
}

void TimeWindow::zoom(double factor, qint64 center_unix_nanos, qint64 now_unix_nanos) {
  const TimeRange shown = at(now_unix_nanos);
  const double wanted = static_cast<double>(length_) * factor;
  const qint64 length =
      static_cast<qint64>(std::clamp(wanted, static_cast<double>(kShortest), static_cast<double>(kLongest)));
  const double share = static_cast<double>(center_unix_nanos - shown.start) / static_cast<double>(length_);
  mode_ = Mode::Custom;
  start_ = center_unix_nanos - static_cast<qint64>(share * static_cast<double>(length));
  length_ = length;
}

QString TimeWindow::text() const {
  if (mode_ != Mode::Custom) return QStringLiteral("Last ") + lengthText(length_ / kNanosPerSecond);
  const QDateTime start = QDateTime::fromMSecsSinceEpoch(start_ / kNanosPerMilli);
  const QDateTime end = QDateTime::fromMSecsSinceEpoch((start_ + length_) / kNanosPerMilli);
  const QLocale c = QLocale::c();
  const QString time = length_ < 600 * kNanosPerSecond ? QStringLiteral("HH:mm:ss") : QStringLiteral("HH:mm");
  const QString day = QStringLiteral("d MMM ");
  const QString end_format = start.date() == end.date() ? time : day + time;
  return c.toString(start, day + time) + QStringLiteral(" – ") + c.toString(end, end_format);
}

}  // namespace pulseboard::qt

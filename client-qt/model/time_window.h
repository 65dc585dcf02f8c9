// TimeWindow: which stretch of time the screen shows. One for all panels of a dashboard.
#pragma once

#include <QString>
#include <QVector>

#include "common/model/samples.h"

namespace pulseboard::qt {

// A plain value; copy it freely. Times are unix nanoseconds.
class TimeWindow {
 public:
  // Live follows now; Paused stands still where Live was (data keeps filling behind it); Custom is a fixed range.
  enum class Mode { Live, Paused, Custom };

  struct Preset {
    qint64 seconds;
    QString text;  // "Last 5 min"
  };
  // 5 min, 15 min, 30 min, 1 h, 3 h, 6 h, 12 h, 24 h, 2 d, 7 d, 30 d.
  static const QVector<Preset>& presets();

  // The last `seconds` (at least 1), following now.
  static TimeWindow last(qint64 seconds);
  // [start, end); an end not after start is moved to start + 1 s.
  static TimeWindow custom(qint64 start_unix_nanos, qint64 end_unix_nanos);

  TimeWindow() : TimeWindow(last(300)) {}

  Mode mode() const { return mode_; }
  bool isLive() const { return mode_ == Mode::Live; }
  qint64 lengthNanos() const { return length_; }

  // What to show when the time is `now`. Only Live depends on it.
  TimeRange at(qint64 now_unix_nanos) const;

  // Live becomes Paused at `now`; other modes stay.
  void pause(qint64 now_unix_nanos);
  // Back to Live with the same length. A Custom window becomes the last stretch of the same length.
  void goLive();
  // A fixed window that starts `nanos` later (negative: earlier) than what is shown at `now`; for keys and the
  // scrubber.
  void shift(qint64 nanos, qint64 now_unix_nanos);
  // A fixed window zoomed about `center`: factor 0.5 shows half as much time. Never below 1 s, never above 400 days.
  void zoom(double factor, qint64 center_unix_nanos, qint64 now_unix_nanos);

  // "Last 5 min" or "24 Nov 12:00 – 12:30", in local time.
  QString text() const;

  bool operator==(const TimeWindow&) const = default;

 private:
  TimeWindow(Mode mode, qint64 start, qint64 length) : mode_(mode), start_(start), length_(length) {}

  Mode mode_;
  qint64 start_;  // of Paused and Custom
  qint64 length_;
};

}  // namespace pulseboard::qt

// Crosshair: the instant under the mouse, shared by all panels of a window. GUI thread.
#pragma once

#include <QObject>
#include <optional>

namespace pulseboard::qt {

class Crosshair : public QObject {
  Q_OBJECT

 public:
  using QObject::QObject;
  // Unix nanoseconds; nothing while the mouse is over no chart.
  std::optional<qint64> time() const { return time_; }
  void moveTo(std::optional<qint64> time) {
    if (time == time_) return;
    time_ = time;
    Q_EMIT moved();
  }

 Q_SIGNALS:
  void moved();

 private:
  std::optional<qint64> time_;
};

}  // namespace pulseboard::qt

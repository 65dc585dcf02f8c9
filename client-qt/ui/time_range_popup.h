// TimeRangePopup: the presets and a custom stretch of time. Closes when one is chosen.
#pragma once

#include <QFrame>
#include <QVector>

#include "client-qt/model/time_window.h"

class QDateTimeEdit;
class QLabel;
class QPushButton;

namespace pulseboard::qt {

class TimeRangePopup : public QFrame {
  Q_OBJECT

 public:
  explicit TimeRangePopup(QWidget* parent);
  // Opens below `anchor`, marking what is shown now.
  void openBelow(QWidget* anchor, const TimeWindow& window, qint64 now_unix_nanos, bool touch);

 Q_SIGNALS:
  void chosen(const pulseboard::qt::TimeWindow& window);

 private:
  void choose(const TimeWindow& window);
  void applyCustom();

  QVector<QPushButton*> presets_;
  QDateTimeEdit* from_;
  QDateTimeEdit* to_;
  QLabel* complaint_;
};

}  // namespace pulseboard::qt

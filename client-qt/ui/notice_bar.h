// NoticeBar: one line above the grid: a lost connection, or an offer to undo. Never a modal box.
#pragma once

#include <QFrame>

#include "client-qt/ui/icons.h"

class QLabel;
class QPushButton;

namespace pulseboard::qt {

class NoticeBar : public QFrame {
  Q_OBJECT

 public:
  explicit NoticeBar(QWidget* parent = nullptr);
  // An empty `action` leaves the button out.
  void say(Icon icon, ColorRole role, const QString& title, const QString& detail, const QString& action);
  QString text() const;

 Q_SIGNALS:
  void actionRequested();

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  Icon icon_ = Icon::Offline;
  ColorRole role_ = ColorRole::Warning;
  QLabel* title_;
  QLabel* detail_;
  QPushButton* action_;
};

}  // namespace pulseboard::qt

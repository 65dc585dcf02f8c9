// StateCard: what a panel or page says when it has nothing to draw: one sentence, what it means, one action.
#pragma once

#include <QWidget>

#include "client-qt/ui/icons.h"

class QLabel;
class QPushButton;

namespace pulseboard::qt {

class StateCard : public QWidget {
  Q_OBJECT

 public:
  explicit StateCard(QWidget* parent = nullptr);
  // An empty `action` leaves the button out.
  void setWords(Icon icon, const QString& title, const QString& detail, const QString& action);
  QString titleText() const;

 Q_SIGNALS:
  void actionRequested();

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  Icon icon_ = Icon::Brand;
  QLabel* title_;
  QLabel* detail_;
  QPushButton* action_;
};

}  // namespace pulseboard::qt

// Chip: a rounded label such as "env prod ×". Clicking, Delete or Backspace removes it.
#pragma once

#include <QAbstractButton>

namespace pulseboard::qt {

class Chip : public QAbstractButton {
  Q_OBJECT

 public:
  Chip(const QString& name, const QString& value, QWidget* parent = nullptr);
  QSize sizeHint() const override;

 Q_SIGNALS:
  void removeRequested();

 protected:
  void paintEvent(QPaintEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  QString name_;
  QString value_;
};

}  // namespace pulseboard::qt

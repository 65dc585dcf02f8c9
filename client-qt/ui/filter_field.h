// FilterField: a line edit with a magnifier and, while empty, the key that leads to it.
#pragma once

#include <QLineEdit>

namespace pulseboard::qt {

class FilterField : public QLineEdit {
  Q_OBJECT

 public:
  explicit FilterField(const QString& key_hint, QWidget* parent = nullptr);

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  QString key_hint_;
};

}  // namespace pulseboard::qt

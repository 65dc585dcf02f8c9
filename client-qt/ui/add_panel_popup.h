// AddPanelPopup: choose a metric for a new panel: type a part of its name, Enter. For keyboards and small windows,
// where nothing can be dragged.
#pragma once

#include <QFrame>
#include <QVector>

#include "client-qt/model/types.h"

class QLineEdit;
class QListWidget;

namespace pulseboard::qt {

class AddPanelPopup : public QFrame {
  Q_OBJECT

 public:
  explicit AddPanelPopup(QWidget* parent);
  void openBelow(QWidget* anchor, const QVector<SeriesItem>& catalog);

 Q_SIGNALS:
  void chosen(const QString& selector);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void fill();
  void choose();

  struct Metric {
    QString name;
    QString unit;
    int series = 0;
  };
  QVector<Metric> metrics_;
  QLineEdit* filter_;
  QListWidget* list_;
};

}  // namespace pulseboard::qt

// BrowserPane: the metric browser at the left: filter box, label chips and the tree to drag from. GUI thread.
#pragma once

#include <QFrame>
#include <QVector>

#include "client-qt/model/series_catalog_model.h"

class QLabel;
class QLineEdit;
class QPushButton;
class QTreeView;

namespace pulseboard::qt {

class FlowLayout;
class MetricDelegate;
class StateCard;

class BrowserPane : public QFrame {
  Q_OBJECT

 public:
  static constexpr int kWidth = 272;

  explicit BrowserPane(QWidget* parent = nullptr);
  void setCatalog(const QVector<SeriesItem>& series);
  void focusFilter();
  void setTouch(bool touch);
  const SeriesCatalogModel& model() const { return *model_; }

 Q_SIGNALS:
  // Enter or double click on a metric or series.
  void selectorActivated(const QString& selector);

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void applyFilter();
  void rebuildChips();
  void openLabelMenu();
  void activate(const QModelIndex& index);
  void updateCounts();
  void expandFirstLevels();

  SeriesCatalogModel* model_;
  QVector<SeriesItem> catalog_;
  QLineEdit* filter_;
  QVector<LabelItem> chip_labels_;
  QWidget* chips_;
  FlowLayout* chip_flow_;
  QPushButton* add_chip_;
  QLabel* count_;
  QTreeView* tree_;
  MetricDelegate* delegate_;
  StateCard* empty_;
  bool expanded_once_ = false;
};

}  // namespace pulseboard::qt

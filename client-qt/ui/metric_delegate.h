// MetricDelegate: rows of the metric lists: name at the left, number of series (or the unit) at the right.
#pragma once

#include <QStyledItemDelegate>

namespace pulseboard::qt {

class MetricDelegate : public QStyledItemDelegate {
  Q_OBJECT

 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  void setTouch(bool touch) { touch_ = touch; }
  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override;
  QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override;

 private:
  bool touch_ = false;
};

}  // namespace pulseboard::qt

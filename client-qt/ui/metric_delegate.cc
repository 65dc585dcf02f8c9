#include "client-qt/ui/metric_delegate.h"

#include <QPainter>

#include "client-qt/model/series_catalog_model.h"
#include "client-qt/ui/theme.h"

namespace pulseboard::qt {
namespace {

constexpr int kRowHeight = 26;

}  // namespace

void MetricDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const {
  const Theme& theme = Theme::current();
  const int kind = index.data(SeriesCatalogModel::KindRole).toInt();
  const bool lit = option.state & (QStyle::State_Selected | QStyle::State_MouseOver);
  painter->save();
  if (lit) {
    painter->setRenderHint(QPainter::Antialiasing);
    painter->setPen(option.state & QStyle::State_HasFocus ? QPen(theme.color(ColorRole::Accent)) : QPen(Qt::NoPen));
    painter->setBrush(option.state & QStyle::State_Selected ? theme.color(ColorRole::Accent, 0.14)
                                                            : theme.color(ColorRole::Border, 0.5));
    painter->drawRoundedRect(QRectF(option.rect).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4);
  }
  QRect line = option.rect.adjusted(4, 0, -spacing::kBase, 0);
  const int count = index.data(SeriesCatalogModel::SeriesCountRole).toInt();
  if (kind != SeriesCatalogModel::Series && count > 0) {
    const QString words = QString::number(count);
    painter->setFont(theme.font(FontRole::FiguresSmall));
    painter->setPen(theme.color(ColorRole::Secondary));
    painter->drawText(line, Qt::AlignRight | Qt::AlignVCenter, words);
    line.setRight(line.right() - painter->fontMetrics().horizontalAdvance(words) - spacing::kBase);
  }
  painter->setFont(theme.font(FontRole::Base));
  painter->setPen(theme.color(kind == SeriesCatalogModel::Series ? ColorRole::Secondary : ColorRole::Text));
  const QString name = index.data(Qt::DisplayRole).toString();
  painter->drawText(line, Qt::AlignLeft | Qt::AlignVCenter,
                    painter->fontMetrics().elidedText(name, Qt::ElideMiddle, line.width()));
  painter->restore();
}

QSize MetricDelegate::sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const {
  return {QStyledItemDelegate::sizeHint(option, index).width(), touch_ ? kTouchHeight : kRowHeight};
}

}  // namespace pulseboard::qt

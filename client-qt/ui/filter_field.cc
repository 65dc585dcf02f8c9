#include "client-qt/ui/filter_field.h"

#include <QPainter>

#include "client-qt/ui/theme.h"

namespace pulseboard::qt {

FilterField::FilterField(const QString& key_hint, QWidget* parent) : QLineEdit(parent), key_hint_(key_hint) {}

void FilterField::paintEvent(QPaintEvent* event) {
  QLineEdit::paintEvent(event);
  if (!text().isEmpty()) return;
  const Theme& theme = Theme::current();
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setFont(theme.font(FontRole::Caption));
  const double wide = painter.fontMetrics().horizontalAdvance(key_hint_) + 10;
  const QRectF hint(width() - wide - 6.5, (height() - 18) / 2.0 + 0.5, wide, 17);
  painter.setPen(theme.color(ColorRole::Border));
  painter.drawRoundedRect(hint, 3, 3);
  painter.setPen(theme.color(ColorRole::Secondary));
  painter.drawText(hint, Qt::AlignCenter, key_hint_);
}

}  // namespace pulseboard::qt

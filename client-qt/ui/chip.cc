#include "client-qt/ui/chip.h"

#include <QKeyEvent>
#include <QPainter>

#include "client-qt/ui/icons.h"
#include "client-qt/ui/theme.h"

namespace pulseboard::qt {
namespace {

constexpr int kHeight = 24;
constexpr int kPadding = 10;
constexpr int kCross = 12;
constexpr int kGap = 5;
constexpr int kMaxWidth = 232;

}  // namespace

Chip::Chip(const QString& name, const QString& value, QWidget* parent)
    : QAbstractButton(parent), name_(name), value_(value) {
  setFocusPolicy(Qt::StrongFocus);
  setCursor(Qt::PointingHandCursor);
  setAccessibleName(QStringLiteral("Remove filter %1 = %2").arg(name, value));
  setToolTip(QStringLiteral("%1 = %2\nClick to remove").arg(name, value));
  connect(this, &QAbstractButton::clicked, this, &Chip::removeRequested);
}

QSize Chip::sizeHint() const {
  const QFontMetrics metrics(Theme::current().font(FontRole::Base));
  const int width =
      2 * kPadding + metrics.horizontalAdvance(name_) + kGap + metrics.horizontalAdvance(value_) + kGap + kCross;
  return {std::min(width, kMaxWidth), kHeight};
}

void Chip::paintEvent(QPaintEvent*) {
  const Theme& theme = Theme::current();
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const bool lit = hasFocus() || underMouse();
  painter.setPen(theme.color(hasFocus() ? ColorRole::Accent : lit ? ColorRole::Muted : ColorRole::Border));
  painter.setBrush(theme.color(ColorRole::Raised));
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), kHeight / 2.0 - 0.5, kHeight / 2.0 - 0.5);
  painter.setFont(theme.font(FontRole::Base));
  const QFontMetrics metrics = painter.fontMetrics();
  QRect line = rect().adjusted(kPadding, 0, -kPadding, 0);
  painter.setPen(theme.color(ColorRole::Secondary));
  painter.drawText(line, Qt::AlignLeft | Qt::AlignVCenter, name_);
  line.setLeft(line.left() + metrics.horizontalAdvance(name_) + kGap);
  line.setRight(line.right() - kCross - kGap);
  painter.setPen(theme.color(ColorRole::Text));
  painter.drawText(line, Qt::AlignLeft | Qt::AlignVCenter,
                   metrics.elidedText(value_, Qt::ElideRight, line.width() + 1));
  paintIcon(painter, Icon::Close, QRectF(width() - kPadding - kCross + 2, (height() - kCross) / 2.0, kCross, kCross),
            theme.color(lit ? ColorRole::Text : ColorRole::Secondary));
}

void Chip::keyPressEvent(QKeyEvent* event) {
  if (event->key() == Qt::Key_Delete || event->key() == Qt::Key_Backspace) {
    Q_EMIT removeRequested();
    return;
  }
  QAbstractButton::keyPressEvent(event);
}

}  // namespace pulseboard::qt

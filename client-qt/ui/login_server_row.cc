#include "client-qt/ui/login_server_row.h"

#include <QPainter>

#include "client-qt/ui/theme.h"

namespace pulseboard::qt {
namespace {

constexpr int kHeight = 40;
constexpr int kMarkRadius = 4;

}  // namespace

QString shortServerName(const QString& server) {
  const QString port = QStringLiteral(":7443");
  return server.endsWith(port) ? server.chopped(port.size()) : server;
}

ServerRow::ServerRow(const QString& server, const QString& user, QWidget* parent)
    : QAbstractButton(parent), server_(server), user_(user) {
  setText(shortServerName(server));
  setCheckable(true);
  setAutoExclusive(true);
  setFocusPolicy(Qt::StrongFocus);
  setAttribute(Qt::WA_Hover);
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  describe();
}

void ServerRow::setProbe(const ServerProbe& probe) {
  probe_ = probe;
  describe();
  update();
}

void ServerRow::describe() {
  const QString state = !probe_ ? tr("not asked yet") : (probe_->reachable ? tr("reachable") : tr("not reachable"));
  setAccessibleName(tr("%1, %2").arg(text(), state));
  setToolTip(user_.isEmpty() ? state : tr("%1, last used as %2").arg(state, user_));
}

QSize ServerRow::sizeHint() const { return {fontMetrics().horizontalAdvance(text()) + 40, kHeight}; }

void ServerRow::paintEvent(QPaintEvent*) {
  const Theme& theme = Theme::current();
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const QRectF frame = QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5);
  if (isChecked() || underMouse() || hasFocus()) {
    painter.setPen(hasFocus() ? theme.color(ColorRole::Accent)
                              : (isChecked() ? theme.color(ColorRole::Border) : QColor(Qt::transparent)));
    painter.setBrush(theme.color(ColorRole::Raised));
    painter.drawRoundedRect(frame, kPanelRadius, kPanelRadius);
  }
  const QPointF mark(16, height() / 2.0);
  if (probe_ && probe_->reachable) {
    painter.setPen(Qt::NoPen);
    painter.setBrush(theme.color(ColorRole::Ok));
    painter.drawEllipse(mark, kMarkRadius, kMarkRadius);
  } else {
    painter.setPen(QPen(theme.color(ColorRole::Unknown), 1.5));
    painter.setBrush(Qt::NoBrush);
    painter.drawEllipse(mark, kMarkRadius - 0.75, kMarkRadius - 0.75);
  }
  painter.setPen(theme.color(ColorRole::Text));
  const QRect text_rect = rect().adjusted(28, 0, -12, 0);
  painter.drawText(text_rect, Qt::AlignVCenter | Qt::AlignLeft,
                   fontMetrics().elidedText(text(), Qt::ElideMiddle, text_rect.width()));
}

}  // namespace pulseboard::qt

#include "client-qt/ui/status_line.h"

#include <QDateTime>
#include <QPainter>
#include <QTimeZone>
#include <cmath>

#include "client-qt/model/units.h"
#include "client-qt/ui/icons.h"
#include "client-qt/ui/theme.h"
#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr int kSegmentGap = 20;

QString stateWord(ConnectionState state) {
  switch (state) {
    case ConnectionState::Connected:
      return QStringLiteral("connected");
    case ConnectionState::Connecting:
      return QStringLiteral("connecting");
    case ConnectionState::Reconnecting:
      return QStringLiteral("reconnecting");
    case ConnectionState::Offline:
      break;
  }
  return QStringLiteral("offline");
}

ColorRole stateRole(ConnectionState state) {
  switch (state) {
    case ConnectionState::Connected:
      return ColorRole::Ok;
    case ConnectionState::Connecting:
      return ColorRole::Unknown;
    case ConnectionState::Reconnecting:
      return ColorRole::Warning;
    case ConnectionState::Offline:
      break;
  }
  return ColorRole::Critical;
}

QString millis(double ms) {
  if (ms < 0) return QStringLiteral("–");
  return ms < 9.5 ? QString::number(ms, 'f', 1) + QStringLiteral(" ms")
                  : formatCount(std::llround(ms)) + QStringLiteral(" ms");
}

// Upper bound where both parts are known: the 99th percentile of a sum is at most about the sum of both.
double sum(double a, double b) { return a < 0 || b < 0 ? -1 : a + b; }

}  // namespace

StatusLine::StatusLine(QWidget* parent) : QWidget(parent) {
  setObjectName(QStringLiteral("statusLine"));
  setFixedHeight(kHeight);
  setAccessibleName(QStringLiteral("Status"));
}

void StatusLine::setConnection(const ConnectionStatus& status, qint64) {
  status_ = status;
  setAccessibleDescription(text());
  update();
}

void StatusLine::setFigures(const Figures& figures) {
  figures_ = figures;
  setToolTip(QStringLiteral("On-screen latency: from the push to the pixels.\nPush to arrival: p50 %1, p99 %2\n"
                            "Arrival to pixels: p50 %3, p99 %4")
                 .arg(millis(figures.wire.push_to_receive_p50_ms), millis(figures.wire.push_to_receive_p99_ms),
                      millis(figures.paint_p50_ms), millis(figures.paint_p99_ms)));
  setAccessibleDescription(text());
  update();
}

void StatusLine::setNarrow(bool narrow) {
  narrow_ = narrow;
  update();
}

QVector<StatusLine::Piece> StatusLine::left() const {
  QVector<Piece> pieces;
  QString connection = stateWord(status_.state);
  if (!status_.server.isEmpty() && !narrow_) connection += QStringLiteral(" · ") + status_.server;
  if (status_.tls && status_.state == ConnectionState::Connected && !narrow_) connection += QStringLiteral(" · TLS");
  pieces.append({connection});
  const double p50 = sum(figures_.wire.push_to_receive_p50_ms, figures_.paint_p50_ms);
  const double p99 = sum(figures_.wire.push_to_receive_p99_ms, figures_.paint_p99_ms);
  pieces.append({narrow_ ? QStringLiteral("p50") : QStringLiteral("screen latency p50"), false, kSegmentGap});
  pieces.append({millis(p50), true, 4});
  pieces.append({QStringLiteral("p99"), false, 6});
  pieces.append({millis(p99), true, 4});
  if (narrow_) return pieces;
  pieces.append({QStringLiteral("%1 series · %2 points/s")
                     .arg(formatCount(figures_.series), formatCount(std::llround(figures_.wire.points_per_second))),
                 false, kSegmentGap});
  QString losses = QStringLiteral("gaps %1").arg(formatCount(figures_.wire.gap_count));
  if (figures_.wire.dropped_samples > 0) {
    losses += QStringLiteral(" · %1 samples dropped").arg(formatCount(figures_.wire.dropped_samples));
  }
  pieces.append({losses, false, kSegmentGap});
  return pieces;
}

QVector<StatusLine::Piece> StatusLine::right() const {
  if (narrow_) return {};
  QVector<Piece> pieces;
  if (!status_.user.isEmpty()) pieces.append({QStringLiteral("%1 · %2").arg(status_.user, status_.role), false, 0});
  pieces.append({QString::fromLatin1(QTimeZone::systemTimeZoneId()), false, kSegmentGap});
  return pieces;
}

QString StatusLine::text() const {
  QString words;
  for (const Piece& piece : left()) words += (words.isEmpty() ? QString() : QStringLiteral(" ")) + piece.words;
  for (const Piece& piece : right()) words += QStringLiteral(" ") + piece.words;
  return words;
}

void StatusLine::paintEvent(QPaintEvent*) {
  const Theme& theme = Theme::current();
  QPainter painter(this);
  painter.fillRect(rect(), theme.color(ColorRole::Raised));
  painter.setPen(theme.color(ColorRole::Border));
  painter.drawLine(0, 0, width(), 0);
  const bool solid = status_.state == ConnectionState::Connected;
  paintIcon(painter, solid ? Icon::Dot : Icon::Ring, QRectF(spacing::kBase, 1, 16, kHeight - 1),
            theme.color(stateRole(status_.state)));

  QFont plain = theme.font(FontRole::Caption);
  QFont strong = plain;
  strong.setWeight(QFont::DemiBold);
  const auto width_of = [&](const Piece& piece) {
    return piece.gap_before + QFontMetrics(piece.strong ? strong : plain).horizontalAdvance(piece.words);
  };
  const auto draw = [&](const Piece& piece, int x) {
    painter.setFont(piece.strong ? strong : plain);
    painter.setPen(theme.color(piece.strong ? ColorRole::Text : ColorRole::Secondary));
    painter.drawText(QRect(x + piece.gap_before, 1, width(), kHeight - 1), Qt::AlignLeft | Qt::AlignVCenter,
                     piece.words);
  };
  const QVector<Piece> at_right = right();
  int right_width = 0;
  for (const Piece& piece : at_right) right_width += width_of(piece);
  int x = spacing::kBase + 20;
  for (const Piece& piece : left()) {
    if (x + width_of(piece) > width() - right_width - kSegmentGap && piece.gap_before == kSegmentGap) break;
    draw(piece, x);
    x += width_of(piece);
  }
  x = width() - spacing::kWide - right_width;
  for (const Piece& piece : at_right) {
    draw(piece, x);
    x += width_of(piece);
  }
}

QString lostConnectionWords(const ConnectionStatus& status) {
  QStringList parts;
  if (status.last_seen_unix_nanos > 0) {
    parts << QStringLiteral("last seen ") + QDateTime::fromMSecsSinceEpoch(status.last_seen_unix_nanos / kNanosPerMilli)
                                                .toString(QStringLiteral("HH:mm:ss"));
  }
  if (status.state == ConnectionState::Reconnecting) {
    parts << (status.retry_in_ms >= 1000 ? QStringLiteral("reconnecting in %1 s").arg((status.retry_in_ms + 999) / 1000)
                                         : QStringLiteral("reconnecting now"));
  }
  QString words = parts.join(QStringLiteral(", "));
  if (!words.isEmpty()) words[0] = words[0].toUpper();
  return words;
}

}  // namespace pulseboard::qt

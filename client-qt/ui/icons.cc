#include "client-qt/ui/icons.h"

#include <QIconEngine>
#include <QPainterPath>
#include <QPixmap>
#include <algorithm>
#include <initializer_list>

namespace pulseboard::qt {
namespace {

QPainterPath lines(std::initializer_list<std::initializer_list<QPointF>> strokes) {
  QPainterPath path;
  for (const auto& stroke : strokes) {
    bool first = true;
    for (const QPointF& point : stroke) {
      if (first) {
        path.moveTo(point);
      } else {
        path.lineTo(point);
      }
      first = false;
    }
  }
  return path;
}

QPainterPath sunPath() {
  QPainterPath path;
  path.addEllipse(QPointF(8, 8), 3, 3);
  path.addPath(lines({{{8, 1}, {8, 2.5}},
                      {{8, 13.5}, {8, 15}},
                      {{1, 8}, {2.5, 8}},
                      {{13.5, 8}, {15, 8}},
                      {{3, 3}, {4, 4}},
                      {{12, 12}, {13, 13}},
                      {{3, 13}, {4, 12}},
                      {{12, 4}, {13, 3}}}));
  return path;
}

QPainterPath personPath() {
  QPainterPath path;
  path.addEllipse(QPointF(8, 5), 2.8, 2.8);
  path.moveTo(2.5, 14);
  path.cubicTo(2.5, 8.6, 13.5, 8.6, 13.5, 14);
  return path;
}

QPainterPath searchPath() {
  QPainterPath path;
  path.addEllipse(QPointF(7, 7), 4.5, 4.5);
  path.addPath(lines({{{10.4, 10.4}, {14, 14}}}));
  return path;
}

QPainterPath pathOf(Icon icon) {
  switch (icon) {
    case Icon::Brand:
      return lines({{{0.5, 9}, {3.5, 9}, {5.5, 2.5}, {9, 13.5}, {11.5, 7}, {15.5, 7}}});
    case Icon::Check:
      return lines({{{3.5, 8.5}, {6.5, 11.5}, {12.5, 5}}});
    case Icon::ChevronDown:
      return lines({{{4.5, 6.5}, {8, 10}, {11.5, 6.5}}});
    case Icon::ChevronRight:
      return lines({{{6.5, 4.5}, {10, 8}, {6.5, 11.5}}});
    case Icon::ChevronUp:
      return lines({{{4.5, 9.5}, {8, 6}, {11.5, 9.5}}});
    case Icon::Close:
      return lines({{{4, 4}, {12, 12}}, {{12, 4}, {4, 12}}});
    case Icon::Maximise:
      return lines(
          {{{3, 6.5}, {3, 3}, {6.5, 3}}, {{9.5, 13}, {13, 13}, {13, 9.5}}, {{3, 3}, {7, 7}}, {{9, 9}, {13, 13}}});
    case Icon::Restore:
      return lines({{{6.5, 3}, {6.5, 6.5}, {3, 6.5}},
                    {{9.5, 13}, {9.5, 9.5}, {13, 9.5}},
                    {{2.5, 2.5}, {6.5, 6.5}},
                    {{9.5, 9.5}, {13.5, 13.5}}});
    case Icon::Menu:
      return lines({{{2.5, 4}, {13.5, 4}}, {{2.5, 8}, {13.5, 8}}, {{2.5, 12}, {13.5, 12}}});
    case Icon::Pause:
      return lines({{{5.5, 3.5}, {5.5, 12.5}}, {{10.5, 3.5}, {10.5, 12.5}}});
    case Icon::Play:
      return lines({{{5, 3.5}, {12.5, 8}, {5, 12.5}, {5, 3.5}}});
    case Icon::Plus:
      return lines({{{8, 3}, {8, 13}}, {{3, 8}, {13, 8}}});
    case Icon::Search:
      return searchPath();
    case Icon::Person:
      return personPath();
    case Icon::Sun:
      return sunPath();
    case Icon::Warning:
      return lines({{{8, 2.5}, {14.5, 13.5}, {1.5, 13.5}, {8, 2.5}}, {{8, 6.5}, {8, 9.5}}, {{8, 11.4}, {8, 11.5}}});
    case Icon::Offline:
      return lines({{{2.5, 2.5}, {13.5, 13.5}},
                    {{2, 7}, {4.5, 5.2}},
                    {{8, 4.2}, {11, 5}, {14, 7}},
                    {{5, 9.5}, {7, 8.6}},
                    {{8, 12.4}, {8, 12.5}}});
    case Icon::Flag:
      return lines({{{4, 14}, {4, 2.5}, {12.5, 2.5}, {10.5, 5.5}, {12.5, 8.5}, {4, 8.5}}});
    case Icon::FlagOff:
      return lines({{{4, 14}, {4, 5.5}},
                    {{6.5, 2.5}, {12.5, 2.5}, {10.5, 5.5}, {12, 7.75}},
                    {{4, 8.5}, {7.5, 8.5}},
                    {{2, 2}, {14, 14}}});
    case Icon::Dot:
    case Icon::Ring: {
      QPainterPath path;
      path.addEllipse(QPointF(8, 8), 3.25, 3.25);
      return path;
    }
  }
  return {};
}

class PathIconEngine : public QIconEngine {
 public:
  PathIconEngine(Icon icon, ColorRole role) : icon_(icon), role_(role) {}
  void paint(QPainter* painter, const QRect& rect, QIcon::Mode mode, QIcon::State) override {
    paintIcon(*painter, icon_, rect, Theme::current().color(mode == QIcon::Disabled ? ColorRole::Muted : role_));
  }
  QPixmap pixmap(const QSize& size, QIcon::Mode mode, QIcon::State state) override {
    QPixmap pixmap(size);
    pixmap.fill(Qt::transparent);
    QPainter painter(&pixmap);
    paint(&painter, QRect(QPoint(0, 0), size), mode, state);
    return pixmap;
  }
  QPixmap scaledPixmap(const QSize& size, QIcon::Mode mode, QIcon::State state, qreal) override {
    return pixmap(size, mode, state);
  }
  QIconEngine* clone() const override { return new PathIconEngine(*this); }

 private:
  Icon icon_;
  ColorRole role_;
};

}  // namespace

void paintIcon(QPainter& painter, Icon icon, const QRectF& rect, const QColor& color) {
  // Inside a pixmap of a scaled screen the rect is in device pixels and larger than 16: then fill it.
  const double side = std::min(rect.width(), rect.height());
  const double size = side > 24 ? side : std::min(side, 16.0);
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  painter.translate(rect.center() - QPointF(size / 2, size / 2));
  painter.scale(size / 16, size / 16);
  painter.setPen(
      QPen(color, icon == Icon::Brand || icon == Icon::Pause ? 2 : 1.5, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
  painter.setBrush(icon == Icon::Play || icon == Icon::Dot ? QBrush(color) : QBrush(Qt::NoBrush));
  painter.drawPath(pathOf(icon));
  painter.restore();
}

QIcon themedIcon(Icon icon, ColorRole role) { return QIcon(new PathIconEngine(icon, role)); }

}  // namespace pulseboard::qt

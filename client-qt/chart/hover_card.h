// HoverCard: the one tooltip of a chart: the events of the mark under the mouse, then the time and colour, name and
// value of each series, largest first. A child of the window, so that it may reach beyond its panel; never takes the
// mouse.
#pragma once

#include <QVector>
#include <QWidget>

#include "client-qt/chart/chart_style.h"
#include "client-qt/model/types.h"

namespace pulseboard::qt {

class HoverCard : public QWidget {
  Q_OBJECT

 public:
  struct Row {
    QColor color;
    QString name;
    QString value;
  };
  struct Event {
    EventSeverity severity = EventSeverity::Info;
    QString source;
    QString time;
    QString text;    // in one piece; broken into lines here
    QString labels;  // may be empty
  };
  struct Content {
    QString time;
    QVector<Row> rows;
    int hidden_rows = 0;  // beyond those given
    QVector<Event> events;
    int hidden_events = 0;
  };
  static constexpr int kMaxRows = 16;
  static constexpr int kMaxEvents = 4;

  explicit HoverCard(QWidget* window);
  void setChartStyle(const ChartStyle& style);
  // Shows beside `point` (window coordinates), on the side with room.
  void showAt(const QPoint& point, const Content& content);
  const Content& content() const { return content_; }

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  QSize wantedSize() const;
  int textWidth() const;
  int eventsHeight() const;
  int textHeight(const Event& event) const;
  void paintEvents(QPainter& painter, QRect* line) const;
  void place(const QPoint& point);

  ChartStyle style_;
  Content content_;
};

}  // namespace pulseboard::qt

// StatusLine: the bar at the bottom: connection, latency on screen, what flows, who and where. GUI thread.
#pragma once

#include <QWidget>

#include "client-qt/model/types.h"

namespace pulseboard::qt {

class StatusLine : public QWidget {
  Q_OBJECT

 public:
  static constexpr int kHeight = 26;

  struct Figures {
    LatencyStats wire;
    double paint_p50_ms = -1;  // arrival to pixels
    double paint_p99_ms = -1;
    int series = 0;
  };

  explicit StatusLine(QWidget* parent = nullptr);
  void setConnection(const ConnectionStatus& status, qint64 now_unix_nanos);
  void setFigures(const Figures& figures);
  void setNarrow(bool narrow);
  // What is written, left part then right part, for tests and screen readers.
  QString text() const;

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  // Words of one look; a segment of several is kept together.
  struct Piece {
    QString words;
    bool strong = false;
    int gap_before = 0;
  };
  QVector<Piece> left() const;
  QVector<Piece> right() const;

  ConnectionStatus status_;
  Figures figures_;
  bool narrow_ = false;
};

// "Last seen 12:24:55, reconnecting in 3 s": for the banner.
QString lostConnectionWords(const ConnectionStatus& status);

}  // namespace pulseboard::qt

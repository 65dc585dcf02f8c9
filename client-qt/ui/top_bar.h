// TopBar: dashboard title, time range, Live, pause, + Panel and the account menu. Asks by signals; shows what it is
// told. In small windows the less used buttons move into the menu.
#pragma once

#include <QFrame>

#include "client-qt/model/time_window.h"
#include "client-qt/model/types.h"

class QLabel;
class QMenu;
class QPushButton;

namespace pulseboard::qt {

class TopBar : public QFrame {
  Q_OBJECT

 public:
  static constexpr int kHeight = 56;

  explicit TopBar(QWidget* parent = nullptr);
  void setTitle(const QString& title);
  void setWindow(const TimeWindow& window);
  // `note`: what is to be said of the events; mostly empty.
  void setEvents(bool shown, const QString& note);
  void setConnection(const ConnectionStatus& status);
  // Whether the browser is out of sight, so that a button must bring it.
  void setBrowserHidden(bool hidden);
  void setNarrow(bool narrow);
  QPushButton* rangeButton() { return range_; }
  // Where popups for a new panel open.
  QWidget* addAnchor();

 Q_SIGNALS:
  void browserRequested();
  void rangeRequested();
  void liveRequested();
  void pauseRequested();
  void eventsToggled(bool shown);
  void addPanelRequested();
  void logoutRequested();

 protected:
  void resizeEvent(QResizeEvent* event) override;
  void paintEvent(QPaintEvent* event) override;

 private:
  void openMenu();
  void toggleEvents();
  void updateTitle();
  void updateRange();

  QString title_text_;
  TimeWindow window_;
  ConnectionStatus status_;
  bool narrow_ = false;
  bool events_shown_ = true;
  QPushButton* browser_;
  QLabel* title_;
  QPushButton* range_;
  QPushButton* live_;
  QPushButton* pause_;
  QPushButton* events_;
  QPushButton* add_;
  QPushButton* account_;
};

}  // namespace pulseboard::qt

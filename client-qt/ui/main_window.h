// MainWindow: browser, top bar, grid and status line around one dashboard of one server. Wires objects; the work is in
// LiveBoard and the widgets. GUI thread.
//
// The caller logs in first (or lets the source go on with a kept session) and shows the window; after logoutRequested()
// it hides it and asks for credentials again. A change of the dashboard by hand is told by dashboardChanged().
#pragma once

#include <QMainWindow>
#include <QTimer>
#include <optional>

#include "client-qt/chart/crosshair.h"
#include "client-qt/model/dashboard_spec.h"
#include "client-qt/model/metrics_source.h"
#include "client-qt/ui/live_board.h"
#include "common/base/clock.h"

namespace pulseboard::qt {

class AddPanelPopup;
class BrowserPane;
class NoticeBar;
class PanelGrid;
class PanelView;
class StatusLine;
class TimeRangePopup;
class TopBar;

class MainWindow : public QMainWindow {
  Q_OBJECT

 public:
  static constexpr int kDrawerBelow = 1000;  // window width in px: the browser becomes a drawer
  static constexpr int kNarrowBelow = 640;   // one column, touch targets

  // `source` and `clock` outlive the window.
  MainWindow(MetricsSource& source, const DashboardSpec& spec, const Clock& clock = SystemClock(),
             QWidget* parent = nullptr);
  ~MainWindow() override;

  void setDashboard(const DashboardSpec& spec);
  const DashboardSpec& dashboard() const { return spec_; }
  void setTimeWindow(const TimeWindow& window) { board_->setWindow(window); }
  const TimeWindow& timeWindow() const { return board_->window(); }

  void addPanel(const QString& selector);
  void addToPanel(const QString& panel_id, const QStringList& selectors);
  void removePanel(const QString& panel_id);
  void toggleMaximised(const QString& panel_id);
  void toggleBrowser();
  void setEventsShown(bool shown);
  const EventLog& events() const { return board_->events(); }

  // Null when there is none.
  PanelView* panel(const QString& panel_id) const;
  // Panels in which live samples were drawn at least `updates` times.
  int movingPanels(int updates = 2) const;
  QString statusText() const;

 Q_SIGNALS:
  void dashboardChanged(const pulseboard::qt::DashboardSpec& spec);
  void logoutRequested();

 protected:
  void resizeEvent(QResizeEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  enum class Layout { Wide, Drawer, Narrow };

  void buildLayout();
  void connectParts();
  void buildShortcuts();
  void connectSource();
  void connectView(PanelView* view);
  void showSpec();
  void changeSpec();
  void updateLayout();
  void updateConnection();
  void updateStatus();
  void updateWindow();
  void updateEvents();
  void placeBrowser();
  void openRangePopup();
  void openAddPopup();
  void undoRemoval();

  MetricsSource& source_;
  const Clock& clock_;
  DashboardSpec spec_;
  Crosshair crosshair_;
  LiveBoard* board_;
  BrowserPane* browser_;
  QWidget* scrim_;  // dims the page behind the drawer; a click closes it
  TopBar* top_bar_;
  NoticeBar* connection_notice_;
  NoticeBar* undo_notice_;
  PanelGrid* grid_;
  StatusLine* status_;
  TimeRangePopup* range_popup_;
  AddPanelPopup* add_popup_;
  Layout layout_ = Layout::Wide;
  bool browser_wanted_ = true;  // in the wide layout
  bool drawer_open_ = false;
  std::optional<DashboardSpec> before_removal_;
  QTimer status_timer_;
  QTimer undo_timer_;
};

}  // namespace pulseboard::qt

// Memory: what the app remembers between starts, in QSettings ($XDG_CONFIG_HOME/pulseboard). No secrets.
#pragma once

#include <QByteArray>
#include <QSettings>
#include <QThreadPool>
#include <QVector>

#include "client-qt/model/dashboard_spec.h"
#include "client-qt/ui/login_dialog.h"
#include "client-qt/ui/theme.h"

namespace pulseboard::qt {

// GUI thread; dashboards are written by a thread of its own, which the destructor waits for.
class Memory {
 public:
  static constexpr qsizetype kMaxServers = 6;

  Memory();

  // Most recent first.
  QVector<RememberedServer> servers() const;
  void rememberServer(const RememberedServer& server);
  QByteArray geometry() const;
  void rememberGeometry(const QByteArray& geometry);
  ThemeChoice theme() const;
  void rememberTheme(ThemeChoice choice);
  // The saved layout, else the built-in one (also when the file is damaged: it is kept aside under another name).
  DashboardSpec dashboard() const;
  void rememberDashboard(const DashboardSpec& spec) const;

 private:
  QString dashboardPath() const;
  QSettings settings_;
  mutable QThreadPool writer_;  // one thread: saves stay in order, and no disk is waited for on the GUI thread
};

}  // namespace pulseboard::qt

// Desk: what a GUI test sits at: a server with an agent that pushes this machine's metrics, and the desktop app as a
// person meets it, with folders of its own.
#pragma once

#include <gtest/gtest.h>
#include <QColor>
#include <QImage>
#include <QPushButton>
#include <QTest>
#include <functional>
#include <memory>
#include <string>

#include "client-qt/app/desktop.h"
#include "client-qt/ui/login_dialog.h"
#include "client-qt/ui/main_window.h"
#include "client-qt/ui/panel_view.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace pulseboard::qt {

// A server and an agent pushing to it every second. Started by start().
class LiveServer {
 public:
  explicit LiveServer(pulseboard::testing::ServerProcessOptions options = {}) : server_(std::move(options)) {}
  absl::Status start();
  pulseboard::testing::ServerProcess& process() { return server_; }
  QString address() const { return QString::fromStdString(server_.address()); }
  QString password() const { return QString::fromStdString(server_.admin_password()); }

 private:
  pulseboard::testing::ServerProcess server_;
  std::unique_ptr<pulseboard::testing::Process> agent_;
};

class Desk {
 public:
  Desk();
  ~Desk();

  // Starts the app (again).
  void open(CommandLine options = {});
  void close();
  LoginDialog* dialog() { return desktop_->dialog(); }
  MainWindow* window() { return desktop_->window(); }
  Desktop& desktop() { return *desktop_; }

  // Types server, user and password into the dialog, key by key, and presses Enter.
  void typeLogin(const QString& server, const QString& user, const QString& password);
  // Starts the app, logs in as admin and waits for the window. The window is 1600 x 1000.
  bool logIn(LiveServer& server);
  const pulseboard::testing::TempDir& dir() const { return dir_; }

 private:
  pulseboard::testing::TempDir dir_;
  std::unique_ptr<Desktop> desktop_;
};

// Keeps the event loop turning until `condition` holds; false after `timeout_ms`.
bool eventually(const std::function<bool()>& condition, int timeout_ms = 30'000);

// Pixels of `image` within a small distance of `color`.
int pixelsLike(const QImage& image, const QColor& color);

// Saves what `widget` shows as <name>.png under build/*/screenshots.
void saveScreenshot(QWidget* widget, const char* name);

template <typename T>
T* child(QWidget* parent, const char* name) {
  return parent->findChild<T*>(QString::fromLatin1(name));
}

void click(QWidget* widget);

}  // namespace pulseboard::qt

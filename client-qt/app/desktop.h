// Desktop: composes source, login dialog and window, and moves between them.
#pragma once

#include <QElapsedTimer>
#include <QObject>
#include <QTimer>
#include <memory>

#include "client-qt/app/command_line.h"
#include "client-qt/app/memory.h"
#include "client-qt/net/grpc_source.h"

namespace pulseboard::qt {

class MainWindow;

// GUI thread; one per process, between QApplication's construction and exec().
class Desktop : public QObject {
  Q_OBJECT

 public:
  explicit Desktop(CommandLine options);
  ~Desktop() override;

  // Logs in with what the command line or a kept session gives, else shows the dialog.
  void start();

  LoginDialog* dialog() const { return dialog_.get(); }
  // Null while nobody is logged in.
  MainWindow* window() const { return window_.get(); }
  MetricsSource& source() { return source_; }

 private:
  void onLoggedIn();
  void onLoginFailed(const UserError& error);
  void showDialog(const UserError& error);
  void closeWindow();
  void checkScreenshot();
  bool screenshotIsDue();
  // Says why on stderr and ends the program with 1: for runs that nobody sits in front of.
  bool failUnattended(const UserError& error);

  const CommandLine options_;
  Memory memory_;
  GrpcSource source_;
  std::unique_ptr<LoginDialog> dialog_;
  std::unique_ptr<MainWindow> window_;
  QTimer screenshot_timer_;
  QElapsedTimer screenshot_wait_;
  QElapsedTimer moving_;  // runs since enough panels moved
};

}  // namespace pulseboard::qt

// pulseboard: the desktop app.
#include <fcntl.h>
#include <unistd.h>

#include <QApplication>
#include <QSocketNotifier>
#include <csignal>
#include <cstdio>

#include "absl/synchronization/mutex.h"
#include "client-qt/app/command_line.h"
#include "client-qt/app/desktop.h"
#include "client-qt/app/memory.h"
#include "client-qt/ui/theme.h"
#include "common/base/log.h"

namespace {

int g_signal_pipe[2] = {-1, -1};

extern "C" void onSignal(int) {
  const char byte = 1;
  [[maybe_unused]] const ssize_t written = write(g_signal_pipe[1], &byte, 1);
}

// SIGTERM and SIGINT close the app as its window would: geometry saved, calls ended.
bool watchSignals() {
  if (pipe2(g_signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return false;
  struct sigaction action = {};
  action.sa_handler = onSignal;
  return sigaction(SIGTERM, &action, nullptr) == 0 && sigaction(SIGINT, &action, nullptr) == 0;
}

bool hasDisplay() {
  for (const char* name : {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}) {
    if (!qEnvironmentVariableIsEmpty(name)) return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  // Debian's Abseil aborts on a mere lock-order inversion inside gRPC.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  pulseboard::InitLogging("warn");
  int exit_code = 0;
  const auto options = pulseboard::qt::parseCommandLine(argc, argv, &exit_code);
  if (!options) return exit_code;
  if (!hasDisplay()) {
    std::fprintf(stderr, "pulseboard: no display. Run it in a graphical session, or: xvfb-run -a pulseboard …\n");
    return 2;
  }
  QGuiApplication::setHighDpiScaleFactorRoundingPolicy(Qt::HighDpiScaleFactorRoundingPolicy::PassThrough);
  QApplication app(argc, argv);
  QApplication::setApplicationName(QStringLiteral("pulseboard"));
  QApplication::setApplicationDisplayName(QStringLiteral("Pulseboard"));
  QApplication::setQuitOnLastWindowClosed(false);
  if (pulseboard::qt::Theme::sansFamily().isEmpty()) {
    std::fprintf(
        stderr,
        "pulseboard: no fonts on this machine, text would be boxes. Install fonts-inter or fonts-dejavu-core.\n");
    return 2;
  }
  const pulseboard::qt::ThemeChoice choice = options->theme.value_or(pulseboard::qt::Memory().theme());
  pulseboard::qt::Theme theme(app, choice);
  std::unique_ptr<QSocketNotifier> signals_notifier;
  if (watchSignals()) {
    signals_notifier = std::make_unique<QSocketNotifier>(g_signal_pipe[0], QSocketNotifier::Read);
    QObject::connect(signals_notifier.get(), &QSocketNotifier::activated, &app, [] { QApplication::quit(); });
  }
  pulseboard::qt::Desktop desktop(*options);
  desktop.start();
  return QApplication::exec();
}

#include <gtest/gtest.h>

#include <QApplication>

#include "absl/synchronization/mutex.h"
#include "client-qt/ui/theme.h"
#include "common/base/log.h"

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  pulseboard::InitLogging("warn");
  testing::InitGoogleTest(&argc, argv);
  QApplication app(argc, argv);
  QApplication::setQuitOnLastWindowClosed(false);
  const pulseboard::qt::Theme theme(app, pulseboard::qt::ThemeChoice::Dark);
  return RUN_ALL_TESTS();
}

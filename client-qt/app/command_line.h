// The command line of `pulseboard`.
#pragma once

#include <QSize>
#include <QString>
#include <optional>

#include "client-qt/ui/theme.h"

namespace pulseboard::qt {

struct CommandLine {
  QString server;
  QString user;
  QString password;             // first line of --password-file; never an argument
  QString trusted_fingerprint;  // SHA-256 of a certificate to trust without asking
  QString screenshot;           // where to save a PNG; empty: none
  bool screenshot_when_moving = false;
  int screenshot_after_s = 0;  // how long it has to move first
  int screenshot_timeout_s = 90;
  bool stay = false;  // go on after the screenshot
  std::optional<ThemeChoice> theme;
  QSize size;  // of the window; empty: as last time

  bool hasCredentials() const { return !server.isEmpty() && !user.isEmpty() && !password.isEmpty(); }
};

// Nothing when the program is to end at once with `exit_code` (help, version, or a mistake that was said on stderr).
std::optional<CommandLine> parseCommandLine(int argc, char** argv, int* exit_code);

}  // namespace pulseboard::qt

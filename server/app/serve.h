// `pulseboardd serve`: from settings to exit.
#pragma once

#include <string>

#include "server/app/config_loader.h"

namespace pulseboard {

struct ServeOptions {
  ConfigSources sources;
  std::string admin_password_file;
};

// Runs the server until SIGTERM or SIGINT and returns the exit code. Prints `pulseboardd ready …` on stdout and tells
// systemd once calls are taken. SIGHUP reads the settings again. After SIGTERM it exits within server.exit; a second
// signal ends the process at once. Call before other threads start.
int RunServe(const ServeOptions& options);

}  // namespace pulseboard

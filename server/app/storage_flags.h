// The command line of `pulseboardd backup|restore|verify|delete|storage`.
#pragma once

#include "server/app/storage_command.h"

namespace CLI {
class App;
}

namespace pulseboard {

// `server`, `user`, `password-file` and `pins` of commands that speak to a server.
void AddConnectionFlags(CLI::App* command, ConnectionFlags* flags);
// Adds the subcommands; parsing fills `options`, which must live as long as `app`.
void AddStorageCommands(CLI::App* app, StorageCommandOptions* options);
// Whether one of them was given.
bool StorageCommandGiven(const CLI::App& app);

}  // namespace pulseboard

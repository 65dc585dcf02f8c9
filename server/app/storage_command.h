// `pulseboardd backup|restore|verify|delete|storage`: looking after a store, over the API or, with no server running,
// on its files.
#pragma once

#include <string>
#include <vector>

#include "server/app/api_connection.h"

namespace pulseboard {

struct StorageCommandOptions {
  enum class Action {
    kBackupCreate,
    kBackupList,
    kBackupPrune,
    kBackupVerify,
    kVerify,
    kDelete,
    kStatus,
    kRetention,
    kRestore,       // offline
    kVerifyOffline  // offline
  };

  Action action = Action::kStatus;
  ConnectionFlags connection;    // of an ADMIN; not for offline actions
  std::string name;              // of the backup; kBackupCreate: may be empty
  int keep = 0;                  // kBackupPrune
  std::string selector;          // kDelete
  std::string from;              // kDelete: see moment.h; empty: the beginning
  std::string to;                // kDelete: likewise; empty: the end
  bool dry_run = false;          // kDelete
  bool count = false;            // kStatus: also samples
  std::vector<std::string> set;  // kRetention: key=value of settings to try
  std::string backup;            // kRestore: a backup's folder, or that of all backups
  std::string data;              // kRestore, kVerifyOffline: data directory
};

// Does it. Results go to stdout, progress and errors to stderr. Returns the exit code: 0; 1 after an error; 2 when a
// verification found something.
int RunStorageCommand(const StorageCommandOptions& options);

}  // namespace pulseboard

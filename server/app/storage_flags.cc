#include "server/app/storage_flags.h"

#include <CLI/CLI.hpp>

#include <array>
#include <string>

#include "server/app/moment.h"

namespace pulseboard {
namespace {

using Action = StorageCommandOptions::Action;

constexpr std::array kCommands = {"backup", "restore", "verify", "delete", "storage", "retention"};

CLI::App* AddAction(CLI::App* parent, const char* name, const char* help, Action action,
                    StorageCommandOptions* options) {
  CLI::App* command = parent->add_subcommand(name, help);
  command->callback([options, action] { options->action = action; });
  return command;
}

CLI::App* AddOnlineAction(CLI::App* parent, const char* name, const char* help, Action action,
                          StorageCommandOptions* options) {
  CLI::App* command = AddAction(parent, name, help, action, options);
  AddConnectionFlags(command, &options->connection);
  return command;
}

void AddBackup(CLI::App* app, StorageCommandOptions* options) {
  CLI::App* backup = app->add_subcommand("backup", "Makes, lists, prunes and checks the server's backups");
  backup->require_subcommand(1);
  AddOnlineAction(backup, "create", "Makes a backup while the server goes on", Action::kBackupCreate, options)
      ->add_option("--name", options->name, "Its name; from the time by default")
      ->type_name("NAME");
  AddOnlineAction(backup, "list", "Lists backups, oldest first", Action::kBackupList, options);
  AddOnlineAction(backup, "prune", "Removes all but the newest backups", Action::kBackupPrune, options)
      ->add_option("--keep", options->keep, "How many stay")
      ->type_name("N")
      ->required();
  AddOnlineAction(backup, "verify", "Reads a backup and compares its checksums; exit code 2: damaged",
                  Action::kBackupVerify, options)
      ->add_option("--name", options->name, "Its name")
      ->type_name("NAME")
      ->required();
}

void AddVerify(CLI::App* app, StorageCommandOptions* options) {
  CLI::App* verify = app->add_subcommand(
      "verify",
      "Reads and checks everything in a store, of a running server or, with --data, of none; exit code 2: damaged");
  verify->callback([options] { options->action = options->data.empty() ? Action::kVerify : Action::kVerifyOffline; });
  CLI::Option* data = verify->add_option("--data", options->data, "Data directory; no server may be running on it");
  data->type_name("DIR");
  CLI::Option* server = verify->add_option("--server", options->connection.server, "The server");
  server->type_name("HOST:PORT")->excludes(data);
  CLI::Option* user = verify->add_option("--user", options->connection.user, "An ADMIN")->type_name("NAME");
  CLI::Option* file =
      verify->add_option("--password-file", options->connection.password_file, "Its first line is the user's password");
  file->type_name("FILE");
  verify->add_option("--pins", options->connection.pins_file, "Where the certificates of first visits are kept")
      ->type_name("FILE");
  server->needs(user)->needs(file);
  verify->require_option(1, 4);
}

}  // namespace

void AddConnectionFlags(CLI::App* command, ConnectionFlags* flags) {
  command->add_option("--server", flags->server, "The server")->type_name("HOST:PORT")->required();
  command->add_option("--user", flags->user, "Who asks")->type_name("NAME")->required();
  command->add_option("--password-file", flags->password_file, "Its first line is the asker's password")
      ->type_name("FILE")
      ->required();
  command->add_option("--pins", flags->pins_file, "Where the certificates of first visits are kept")->type_name("FILE");
}

void AddStorageCommands(CLI::App* app, StorageCommandOptions* options) {
  AddBackup(app, options);
  AddVerify(app, options);
  CLI::App* restore = AddAction(app, "restore", "Makes a data directory from a backup", Action::kRestore, options);
  restore->add_option("--backup", options->backup, "The backup's folder, or that of all backups for the newest one")
      ->type_name("DIR")
      ->required();
  restore->add_option("--data", options->data, "Missing or empty; the server's storage.directory then")
      ->type_name("DIR")
      ->required();
  CLI::App* remove = AddOnlineAction(app, "delete", "Deletes samples for good", Action::kDelete, options);
  remove->add_option("--selector", options->selector, "Of which series")->type_name("SELECTOR")->required();
  remove
      ->add_option("--from", options->from,
                   "First instant: " + std::string(kMomentSpellings) + "; the beginning by default")
      ->type_name("TIME");
  remove->add_option("--to", options->to, "First instant after, likewise; the end by default")->type_name("TIME");
  remove->add_flag("--dry-run", options->dry_run, "Only says what would go");
  AddOnlineAction(app, "storage", "Says what the store holds, by tier, window and tenant", Action::kStatus, options)
      ->add_flag("--count", options->count, "Also counts samples, which reads every block's header");
  CLI::App* retention =
      AddOnlineAction(app, "retention", "Says what retention would drop now", Action::kRetention, options);
  retention->add_flag("--dry-run", options->dry_run, "Only says it; the server does it by itself")->required();
  retention
      ->add_option(
          "--set", options->set,
          "Tries storage.max_size, storage.raw_retention, storage.tiers or storage.tenant_retention; may be given "
          "again")
      ->type_name("table.key=value");
}

bool StorageCommandGiven(const CLI::App& app) {
  for (const char* name : kCommands) {
    if (app.got_subcommand(name)) return true;
  }
  return false;
}

}  // namespace pulseboard

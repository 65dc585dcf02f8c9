// pulseboardd: serve, agent, user, cardinality, query, event, backup, restore, verify, delete, storage, import, export,
// wal, config, version.
#include <absl/synchronization/mutex.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <string>
#include <vector>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "common/base/units.h"
#include "server/agent/agent.h"
#include "server/app/cardinality_command.h"
#include "server/app/config_loader.h"
#include "server/app/config_registry.h"
#include "server/app/event_command.h"
#include "server/app/exit_code.h"
#include "server/app/query_command.h"
#include "server/app/serve.h"
#include "server/app/storage_command.h"
#include "server/app/storage_flags.h"
#include "server/app/transfer_command.h"
#include "server/app/user_command.h"
#include "server/app/wal_command.h"

namespace pulseboard {
namespace {

struct ConfigFlags {
  std::string file;
  std::string data;
  std::string listen;
  std::vector<std::string> sets;
};

void AddConfigFlags(CLI::App* command, ConfigFlags* flags) {
  command->add_option("--config", flags->file, "Settings, TOML")->type_name("FILE");
  command->add_option("--data", flags->data, "Same as --set storage.directory=DIR")->type_name("DIR");
  command->add_option("--listen", flags->listen, "Same as --set server.listen=HOST:PORT")->type_name("HOST:PORT");
  command->add_option("--set", flags->sets, "Overrides one setting; may be given again")->type_name("table.key=value");
}

absl::StatusOr<ConfigSources> ToSources(const ConfigFlags& flags) {
  ConfigSources sources;
  sources.file = flags.file;
  sources.environment = ProcessEnvironment();
  for (const std::string& text : flags.sets) {
    PB_ASSIGN_OR_RETURN(ConfigFlag flag, ParseSetFlag(text));
    sources.flags.push_back(std::move(flag));
  }
  if (!flags.data.empty()) sources.flags.push_back({"--data", "storage.directory", flags.data});
  if (!flags.listen.empty()) sources.flags.push_back({"--listen", "server.listen", flags.listen});
  return sources;
}

int RunConfig(const ConfigFlags& flags, bool sample) {
  if (sample) {
    std::fputs(SampleConfigFile().c_str(), stdout);
    return 0;
  }
  const auto sources = ToSources(flags);
  if (!sources.ok()) return ExitCodeOf(sources.status());
  const auto config = LoadConfig(*sources);
  if (!config.ok()) return ExitCodeOf(config.status());
  std::fputs(FormatEffectiveConfig(*config).c_str(), stdout);
  return 0;
}

struct AgentFlags {
  AgentOptions options;
  std::string interval = "1s";
};

CLI::App* AddAgent(CLI::App* app, AgentFlags* flags) {
  AgentOptions& options = flags->options;
  CLI::App* agent = app->add_subcommand("agent", "Pushes this machine's metrics to a server");
  agent->add_option("--server", options.server, "The server")->type_name("HOST:PORT")->required();
  agent->add_option("--user", options.user, "Account with role INGEST, EDITOR or ADMIN")->type_name("NAME")->required();
  agent->add_option("--password-file", options.password_file, "Its first line is the password")
      ->type_name("FILE")
      ->required();
  agent->add_option("--interval", flags->interval, "Time between two readings")
      ->type_name("DURATION")
      ->capture_default_str();
  agent->add_option("--pins", options.pins_file, "Where the certificates of first visits are kept")->type_name("FILE");
  agent->add_option("--ack-mode", options.ack_mode, "How safe a reading must be before it is forgotten here")
      ->type_name("fsynced|buffered");
  return agent;
}

int RunAgentCommand(AgentFlags flags) {
  const auto interval = ParseDuration(flags.interval);
  if (!interval || *interval < kMinAgentInterval.count() || *interval > kMaxAgentInterval.count())
    return ExitCodeOf(BadField("--interval", flags.interval, "100ms to 1h"));
  flags.options.interval = std::chrono::nanoseconds(*interval);
  InitLogging("info");
  return RunAgent(flags.options);
}

CLI::App* AddCardinality(CLI::App* app, CardinalityCommandOptions* options) {
  CLI::App* command = app->add_subcommand("cardinality", "Says which metrics and labels have, or make, most series");
  AddConnectionFlags(command, &options->connection);
  command->add_option("--selector", options->selector, "Only series this picks")->type_name("SELECTOR");
  command->add_option("--order", options->order, "Largest first by: series, hour or day (created since)")
      ->type_name("WHAT")
      ->capture_default_str();
  command->add_option("--limit", options->limit, "Rows per table, at most 1000")->capture_default_str();
  return command;
}

// One `user` action with the flags it needs.
void AddUserAction(CLI::App* user, const char* name, const char* help, UserCommandOptions::Action action,
                   const std::vector<const char*>& flags, UserCommandOptions* options) {
  CLI::App* command = user->add_subcommand(name, help);
  command->callback([options, action] { options->action = action; });
  AddConnectionFlags(command, &options->connection);
  for (const std::string flag : flags) {
    if (flag == "name") command->add_option("--name", options->name, "The account")->type_name("NAME")->required();
    if (flag == "name?") command->add_option("--name", options->name, "The account; the asker's own by default");
    if (flag == "role") command->add_option("--role", options->role, "ADMIN, EDITOR, VIEWER or INGEST")->required();
    if (flag == "profile") {
      command->add_option("--email", options->email, "E-mail")->type_name("ADDRESS");
      command->add_option("--display-name", options->display_name, "Name for people")->type_name("TEXT");
    }
    if (flag == "password") {
      command->add_option("--new-password-file", options->new_password_file, "Its first line is the new password")
          ->type_name("FILE")
          ->required();
    }
  }
}

CLI::App* AddUser(CLI::App* app, UserCommandOptions* options) {
  using Action = UserCommandOptions::Action;
  CLI::App* user = app->add_subcommand("user", "Makes, lists and changes accounts");
  user->require_subcommand(1);
  AddUserAction(user, "create", "Makes an account", Action::kCreate, {"name", "role", "profile", "password"}, options);
  AddUserAction(user, "list", "Lists all accounts", Action::kList, {}, options);
  AddUserAction(user, "set-role", "Gives an account another role", Action::kSetRole, {"name", "role"}, options);
  AddUserAction(user, "deactivate", "Ends an account's sessions and keeps it out", Action::kDeactivate, {"name"},
                options);
  AddUserAction(user, "activate", "Lets a deactivated account in again", Action::kActivate, {"name"}, options);
  AddUserAction(user, "password", "Sets a new password", Action::kPassword, {"name?", "password"}, options);
  return user;
}

struct WalFlags {
  ConfigFlags config;
  WalCommandOptions options;
};

CLI::App* AddWal(CLI::App* app, WalFlags* flags) {
  CLI::App* wal = app->add_subcommand("wal", "Looks through the write-ahead log of a stopped server, repairs it");
  wal->require_subcommand(1);
  CLI::App* inspect = wal->add_subcommand("inspect", "Lists segments, records and damage; changes nothing");
  CLI::App* repair = wal->add_subcommand("repair", "Leaves out what is damaged and keeps all the rest");
  repair->callback([flags] { flags->options.repair = true; });
  repair->add_flag("--dry-run", flags->options.dry_run, "Only says what it would do");
  for (CLI::App* command : {inspect, repair}) {
    command->add_option("--config", flags->config.file, "Settings, TOML")->type_name("FILE");
    command->add_option("--data", flags->config.data, "The data directory; else the settings'")->type_name("DIR");
  }
  return wal;
}

int RunWal(const WalFlags& flags) {
  const auto sources = ToSources(flags.config);
  if (!sources.ok()) return ExitCodeOf(sources.status());
  const auto config = LoadConfig(*sources);
  if (!config.ok()) return ExitCodeOf(config.status());
  WalCommandOptions options = flags.options;
  options.directory = config->values.store.directory;
  return RunWalCommand(options);
}

int Run(int argc, char** argv) {
  CLI::App app("Pulseboard's server: takes, keeps and streams metrics.", "pulseboardd");
  app.require_subcommand(1);

  ConfigFlags config_flags;
  std::string admin_password_file;
  CLI::App* serve = app.add_subcommand("serve", "Runs the server");
  AddConfigFlags(serve, &config_flags);
  serve
      ->add_option("--admin-password-file", admin_password_file,
                   "First start: the admin's password, read from here, or made and written here")
      ->type_name("FILE");

  bool sample = false;
  CLI::App* config = app.add_subcommand("config", "Prints the effective settings and where each comes from");
  AddConfigFlags(config, &config_flags);
  config->add_flag("--sample", sample, "Prints a commented file with all settings and their defaults instead");

  AgentFlags agent_flags;
  const CLI::App* agent = AddAgent(&app, &agent_flags);
  UserCommandOptions user_options;
  const CLI::App* user = AddUser(&app, &user_options);
  QueryCommandOptions query_options;
  AddQueryCommand(&app, &query_options);
  EventCommandOptions event_options;
  AddEventCommand(&app, &event_options);
  StorageCommandOptions storage_options;
  AddStorageCommands(&app, &storage_options);
  CardinalityCommandOptions cardinality_options;
  const CLI::App* cardinality = AddCardinality(&app, &cardinality_options);
  WalFlags wal_flags;
  const CLI::App* wal = AddWal(&app, &wal_flags);
  TransferCommandOptions transfer_options;
  AddTransferCommands(&app, &transfer_options);
  const CLI::App* version = app.add_subcommand("version", "Prints the version");

  CLI11_PARSE(app, argc, argv);
  if (serve->parsed()) {
    auto sources = ToSources(config_flags);
    if (!sources.ok()) return ExitCodeOf(sources.status());
    return RunServe({*std::move(sources), admin_password_file});
  }
  if (agent->parsed()) return RunAgentCommand(std::move(agent_flags));
  if (user->parsed()) return RunUserCommand(user_options);
  if (QueryCommandGiven(app)) return RunQueryCommand(query_options);
  if (EventCommandGiven(app)) return RunEventCommand(event_options);
  if (StorageCommandGiven(app)) return RunStorageCommand(storage_options);
  if (cardinality->parsed()) return RunCardinalityCommand(cardinality_options);
  if (wal->parsed()) return RunWal(wal_flags);
  if (TransferCommandGiven(app)) return RunTransferCommand(transfer_options);
  if (config->parsed()) return RunConfig(config_flags, sample);
  if (version->parsed()) std::printf("pulseboardd %s\n", PULSEBOARD_VERSION);
  return 0;
}

}  // namespace
}  // namespace pulseboard

int main(int argc, char** argv) {
  // Debian builds Abseil with its deadlock detector on, which aborts on a mere inversion of lock order inside gRPC.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return pulseboard::Run(argc, argv);
}

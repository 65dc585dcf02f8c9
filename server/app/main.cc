// pulseboardd: serve, agent, user, config, version.
#include <absl/synchronization/mutex.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <string>
#include <vector>

#include "common/base/errors.h"
#include "server/app/config_loader.h"
#include "server/app/config_registry.h"
#include "server/app/serve.h"

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

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "pulseboardd: %s\n", StatusMessage(status).c_str());
  return 1;
}

int RunConfig(const ConfigFlags& flags, bool sample) {
  if (sample) {
    std::fputs(SampleConfigFile().c_str(), stdout);
    return 0;
  }
  const auto sources = ToSources(flags);
  if (!sources.ok()) return Fail(sources.status());
  const auto config = LoadConfig(*sources);
  if (!config.ok()) return Fail(config.status());
  std::fputs(FormatEffectiveConfig(*config).c_str(), stdout);
  return 0;
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

  CLI::App* version = app.add_subcommand("version", "Prints the version");

  CLI11_PARSE(app, argc, argv);
  if (serve->parsed()) {
    auto sources = ToSources(config_flags);
    if (!sources.ok()) return Fail(sources.status());
    return RunServe({*std::move(sources), admin_password_file});
  }
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

// peers_bench: Pulseboard beside VictoriaMetrics, InfluxDB and Prometheus with the same data on this machine.
// README.md.
//   peers_bench [--quick] [--runs=N] [--peers=DIR] [--data=DIR] [--results=FILE] [--commit=TEXT] [SECTION...]
// Sections: ingest recovery streams unary reads codec; all when none is named.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "tests/bench/peers/report.h"
#include "tests/bench/peers/sections.h"

namespace pulseboard::bench {
namespace {

struct Section {
  std::string_view name;
  std::string_view title;
  std::function<absl::StatusOr<SectionResult>(const BenchSettings&)> run;
};

const std::vector<Section>& AllSections() {
  static const std::vector<Section> sections = {{"ingest", "Taking in and keeping", RunIngest},
                                                {"recovery", "Starting after kill -9", RunRecovery},
                                                {"streams", "Real streams", RunStreams},
                                                {"unary", "Single samples", RunUnary},
                                                {"reads", "Reading", RunReads},
                                                {"codec", "Columns", RunCodec}};
  return sections;
}

struct Arguments {
  BenchSettings settings;
  std::string peers, results, commit = "unknown";
  std::vector<std::string> sections;
};

bool Parse(int argc, char** argv, Arguments* out) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
    if (name == "--quick") {
      out->settings.quick = true;
      out->settings.runs = 1;
    } else if (name == "--runs") {
      out->settings.runs = std::clamp(std::atoi(value.c_str()), 1, 100);
    } else if (name == "--peers") {
      out->peers = value;
    } else if (name == "--data") {
      out->settings.data_folder = value;
    } else if (name == "--results") {
      out->results = value;
    } else if (name == "--commit") {
      out->commit = value;
    } else if (std::any_of(AllSections().begin(), AllSections().end(),
                           [&](const Section& section) { return section.name == argument; })) {
      out->sections.push_back(argument);
    } else {
      return false;
    }
  }
  return true;
}

absl::Status Run(const Arguments& arguments) {
  const std::string heading = "Commit `" + arguments.commit + "`, `./dev bench storage" +
                              (arguments.settings.quick ? " --quick" : "") + "`.\n" + MachineLine() +
                              " before the run.\n";
  std::string body;
  std::vector<Verdict> verdicts;
  const auto start = std::chrono::steady_clock::now();
  const auto seconds_since = [](std::chrono::steady_clock::time_point from) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
  };
  for (const Section& section : AllSections()) {
    const auto& wanted = arguments.sections;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), section.name) == wanted.end()) continue;
    const auto begin = std::chrono::steady_clock::now();
    PB_ASSIGN_OR_RETURN(const SectionResult result, section.run(arguments.settings));
    std::string part = "\n### " + std::string(section.title) + "\n\n" + result.text;
    std::printf("%s", part.c_str());
    std::fflush(stdout);
    std::fprintf(stderr, "%s took %.0f s\n", std::string(section.name).c_str(), seconds_since(begin));
    body += part;
    verdicts.insert(verdicts.end(), result.verdicts.begin(), result.verdicts.end());
  }
  const std::string targets = "\n### Targets\n\n" + TargetsTable(verdicts);
  std::printf("%s", targets.c_str());
  std::fprintf(stderr, "all took %.0f s\n", seconds_since(start));
  if (arguments.results.empty()) return absl::OkStatus();
  return WriteSection(arguments.results, "storage", heading + targets + body);
}

}  // namespace
}  // namespace pulseboard::bench

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  pulseboard::InitLogging("warn");
  pulseboard::bench::Arguments arguments;
  if (!pulseboard::bench::Parse(argc, argv, &arguments)) {
    std::fprintf(stderr,
                 "usage: peers_bench [--quick] [--runs=N] [--peers=DIR] [--data=DIR] [--results=FILE] "
                 "[--commit=TEXT] [ingest] [recovery] [streams] [unary] [reads] [codec]\n");
    return 2;
  }
  arguments.settings.programs = pulseboard::bench::FindPeerPrograms(arguments.peers);
  const absl::Status status = pulseboard::bench::Run(arguments);
  if (!status.ok()) std::fprintf(stderr, "peers_bench: %s\n", pulseboard::StatusMessage(status).c_str());
  return status.ok() ? 0 : 1;
}

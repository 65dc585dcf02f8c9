// queries_bench: the same questions to Pulseboard, VictoriaMetrics, Prometheus and InfluxDB with the same data, side by
// side on this machine. README.md.
//   queries_bench [--quick] [--only=TEXT] [--server=TEXT] [--hosts=N] [--repeat=N] [--peers=DIR] [--results=FILE]
//   [--commit=TEXT]
#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "tests/bench/live_loads.h"
#include "tests/bench/peers/peer.h"
#include "tests/bench/peers/report.h"
#include "tests/bench/queries/asker.h"
#include "tests/bench/queries/bare_server.h"
#include "tests/bench/queries/question.h"
#include "tests/support/process.h"

namespace pulseboard::bench {
namespace {

constexpr int kWarmUps = 10;  // per kind and server, at most
constexpr int kPriority = -15;

struct Arguments {
  PeerPrograms programs;
  bool quick = false;
  int hosts = 100;
  int repeat = 1;       // questions of each kind, times this
  std::string program;  // this one
  std::string only, server, peers, results, commit = "unknown";
};

bool Parse(int argc, char** argv, Arguments* out) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
    if (name == "--quick") {
      out->quick = true;
    } else if (name == "--only") {
      out->only = value;
    } else if (name == "--server") {
      out->server = value;
    } else if (name == "--hosts") {
      out->hosts = std::clamp(std::atoi(value.c_str()), 10, 4'000);
    } else if (name == "--repeat") {
      out->repeat = std::clamp(std::atoi(value.c_str()), 1, 1'000);
    } else if (name == "--peers") {
      out->peers = value;
    } else if (name == "--results") {
      out->results = value;
    } else if (name == "--commit") {
      out->commit = value;
    } else {
      return false;
    }
  }
  return true;
}

struct Contestant {
  std::unique_ptr<Peer> peer;
  std::unique_ptr<Asker> asker;
};

// Loaded, brought to its final form and left running.
absl::StatusOr<std::vector<Contestant>> StartAll(const Arguments& arguments, const Workload& workload) {
  std::vector<Contestant> out;
  const auto add = [&](std::unique_ptr<Peer> peer) {
    if (peer->server().find(arguments.server) != std::string::npos) out.push_back({std::move(peer), nullptr});
  };
  add(MakePulseboard(1));
  if (!arguments.programs.victoria.empty()) add(MakeVictoria(arguments.programs, VictoriaWay::kColumns));
  if (!arguments.programs.prometheus.empty()) add(MakePrometheus(arguments.programs));
  if (!arguments.programs.influx.empty()) add(MakeInflux(arguments.programs));
  for (Contestant& c : out) {
    std::fprintf(stderr, "loading %s\n", c.peer->server().c_str());
    PB_RETURN_IF_ERROR(c.peer->Prepare(workload));
    PB_RETURN_IF_ERROR(c.peer->StartFresh());
    PB_RETURN_IF_ERROR(c.peer->Load().status());
    PB_RETURN_IF_ERROR(c.peer->Settle());
    if (c.peer->login() != nullptr) {
      c.asker = MakePulseboardAsker(*c.peer->login());
    } else if (c.peer->server() == "VictoriaMetrics") {
      c.asker = MakeVictoriaAsker(c.peer->port());
    } else if (c.peer->server() == "Prometheus") {
      c.asker = MakePrometheusAsker(c.peer->port());
    } else {
      c.asker = MakeInfluxAsker(c.peer->port());
    }
  }
  return out;
}

struct Measured {
  double p50 = 0, p99 = 0;  // milliseconds
  double cpu_ms = 0;        // of the server, per question
  AnswerSum first;          // the answer to the first question
  int64_t bytes = 0;        // of it
};

absl::StatusOr<Measured> Measure(const QuestionKind& kind, const Workload& workload, int times, pid_t server,
                                 Asker* asker) {
  std::mt19937_64 random(42);  // the same questions to all
  Measured out;
  std::vector<double> millis;
  double cpu_before = 0;
  const int warm_ups = std::min(kWarmUps, times);
  for (int i = -warm_ups; i < times; ++i) {
    if (i == 0) cpu_before = testing::CpuSeconds(server);
    PB_RETURN_IF_ERROR(asker->Prepare(kind.make(workload, random)));
    const int64_t start = SystemClock().MonotonicNanos();
    PB_RETURN_IF_ERROR(asker->Ask());
    if (i >= 0) millis.push_back(static_cast<double>(SystemClock().MonotonicNanos() - start) / 1e6);
    if (i > -warm_ups) continue;
    PB_ASSIGN_OR_RETURN(out.first, asker->Sum());
    out.bytes = asker->answer_bytes();
  }
  out.cpu_ms = (testing::CpuSeconds(server) - cpu_before) * 1e3 / times;
  out.p50 = Quantile(&millis, 0.5);
  out.p99 = Quantile(&millis, 0.99);
  return out;
}

struct Totals {
  int kinds = 0, met = 0, agree = 0;
  std::string missed;
};

bool SameAnswers(const std::vector<Measured>& all) {
  return std::all_of(all.begin(), all.end(), [&](const Measured& m) {
    return m.first.values == all[0].first.values &&
           std::fabs(m.first.sum - all[0].first.sum) <= 1e-9 * std::fabs(all[0].first.sum);
  });
}

// One row: p50 / p99 of all, and how many times faster than the best of the others.
void AddRow(const QuestionKind& kind, const std::vector<Contestant>& contestants, const std::vector<Measured>& all,
            MarkdownTable* table, Totals* totals) {
  std::vector<std::string> cells = {std::string(kind.name)};
  double best_p50 = 0, best_p99 = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    cells.push_back(Text("%.2f / %.2f", all[i].p50, all[i].p99));
    if (i == 0) continue;
    best_p50 = best_p50 == 0 ? all[i].p50 : std::min(best_p50, all[i].p50);
    best_p99 = best_p99 == 0 ? all[i].p99 : std::min(best_p99, all[i].p99);
  }
  const bool alone = contestants.size() < 2;
  const double p50 = alone ? 0 : best_p50 / all[0].p50, p99 = alone ? 0 : best_p99 / all[0].p99;
  const bool met = p50 >= kind.factor && p99 >= std::min(kind.factor, 1.0);
  const bool agree = SameAnswers(all);
  ++totals->kinds;
  totals->met += met ? 1 : 0;
  totals->agree += agree ? 1 : 0;
  if (!met) totals->missed += (totals->missed.empty() ? "" : ", ") + std::string(kind.name);
  cells.push_back(alone ? "-" : Text("%.1f / %.1f", p50, p99));
  cells.push_back(alone ? "-" : Text("%.1f %s", kind.factor, met ? "met" : "**missed**"));
  std::string cpu;
  for (const Measured& m : all) cpu += (cpu.empty() ? "" : ", ") + Text("%.2f", m.cpu_ms);
  cells.push_back(cpu);
  cells.push_back(Text("%lld%s", static_cast<long long>(all[0].first.values), agree ? "" : " (answers differ)"));
  table->Add(cells);
}

// What a and b would cost if nothing had to be done for them: the same messages from a server that does nothing.
absl::StatusOr<std::string> MeasureBareGrpc(const Arguments& arguments, const Workload& workload) {
  PB_ASSIGN_OR_RETURN(const auto server, BareServer::Start(arguments.program));
  const std::unique_ptr<Asker> asker = server->MakeAsker();
  std::string out;
  for (const QuestionKind& kind : AllQuestionKinds()) {
    if (kind.name != "a" && kind.name != "b") continue;
    const int times = (arguments.quick ? kind.times / 10 : kind.times) * arguments.repeat;
    PB_ASSIGN_OR_RETURN(const Measured m, Measure(kind, workload, times, server->pid(), asker.get()));
    out += (out.empty() ? "" : "; ") +
           Text("as %s %.2f / %.2f ms, server CPU %.2f ms", std::string(kind.name).c_str(), m.p50, m.p99, m.cpu_ms);
  }
  std::fprintf(stderr, "bare gRPC: %s\n", out.c_str());
  return "Bare gRPC (a server of its own process that answers with the same messages and does nothing else), p50 / "
         "p99: " +
         out + ".\n";
}

absl::Status Run(const Arguments& arguments) {
  const std::string machine = MachineLine();
  const int64_t today = SystemClock().NowUnixNanos() / kNanosPerDay * kNanosPerDay;
  const Workload workload = MakeWorkload(arguments.hosts, 24, Precision::kTwoDecimals, today - 2 * kNanosPerDay);
  PB_ASSIGN_OR_RETURN(std::vector<Contestant> contestants, StartAll(arguments, workload));
  std::vector<std::string> heading = {"query, p50 / p99 ms"};
  for (const Contestant& c : contestants) heading.push_back(c.peer->server());
  heading.insert(heading.end(), {"x best peer", "asked for", "server CPU ms per query, same order", "values answered"});
  MarkdownTable table(heading);
  Totals totals;
  for (const QuestionKind& kind : AllQuestionKinds()) {
    if (!arguments.only.empty() && std::string(kind.name).find(arguments.only) == std::string::npos) continue;
    const int times = (arguments.quick ? std::max(5, kind.times / 10) : kind.times) * arguments.repeat;
    std::fprintf(stderr, "asking %s\n", std::string(kind.name).c_str());
    std::vector<Measured> all;
    for (Contestant& c : contestants) {
      PB_ASSIGN_OR_RETURN(const Measured measured, Measure(kind, workload, times, c.peer->pid(), c.asker.get()));
      std::fprintf(
          stderr, "%-22s %-16s p50 %9.3f  p99 %9.3f ms, server CPU %8.2f ms, %lld values, sum %.3f, %lld bytes\n",
          std::string(kind.name).c_str(), c.peer->server().c_str(), measured.p50, measured.p99, measured.cpu_ms,
          static_cast<long long>(measured.first.values), measured.first.sum, static_cast<long long>(measured.bytes));
      all.push_back(measured);
    }
    AddRow(kind, contestants, all, &table, &totals);
  }
  PB_ASSIGN_OR_RETURN(const std::string bare, MeasureBareGrpc(arguments, workload));
  std::string body =
      "Commit `" + arguments.commit + "`, `./dev bench queries" + (arguments.quick ? " --quick" : "") + "`, " +
      workload.Name() + ".\n" + machine + " before the run.\n\n" + table.text() +
      Text("\n%d of %d as fast as asked for%s%s; answers of all servers agree in %d of %d.\n", totals.met, totals.kinds,
           totals.missed.empty() ? "" : ", not ", totals.missed.c_str(), totals.agree, totals.kinds) +
      "\n" + bare;
  std::printf("%s", body.c_str());
  if (arguments.results.empty()) return absl::OkStatus();
  return WriteSection(arguments.results, "queries", body);
}

}  // namespace
}  // namespace pulseboard::bench

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  pulseboard::InitLogging("warn");
  if (argc == 3 && argv[1] == pulseboard::bench::kBareServerArgument) {
    return pulseboard::bench::ServeBareGrpc(std::atoi(argv[2]));
  }
  pulseboard::bench::Arguments arguments;
  arguments.program = pulseboard::testing::BinaryPath("queries_bench");
  if (!pulseboard::bench::Parse(argc, argv, &arguments)) {
    std::fprintf(stderr,
                 "usage: queries_bench [--quick] [--only=TEXT] [--server=TEXT] [--hosts=N] [--repeat=N] [--peers=DIR] "
                 "[--results=FILE] [--commit=TEXT]\n");
    return 2;
  }
  // Servers inherit it. Without the right to, all run as they are.
  setpriority(PRIO_PROCESS, 0, pulseboard::bench::kPriority);
  arguments.programs = pulseboard::bench::FindPeerPrograms(arguments.peers);
  const absl::Status status = pulseboard::bench::Run(arguments);
  if (!status.ok()) std::fprintf(stderr, "queries_bench: %s\n", pulseboard::StatusMessage(status).c_str());
  return status.ok() ? 0 : 1;
}

// live_fanout_bench: what many viewers cost the server, beside Redis pub/sub and NATS core in the same run. Prints a
// Markdown table. `live_fanout_bench [--seconds N] [--peers FOLDER] [--only WORD] [--results FILE --commit TEXT]`:
// length of each measurement (default 5), where ./dev unpacked the other servers, rows that contain WORD, the file
// whose section "live fan-out" is written.
//
// An update is one sample of one series delivered to one viewer; of the others, one message of 64 bytes to one
// subscriber. Deliveries per second of a server core are the reciprocal of its CPU time per update: client and server
// share this machine, so the rate alone would measure both.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/client/pusher.h"
#include "tests/bench/fanout/crowd.h"
#include "tests/bench/fanout/socket_fanout.h"
#include "tests/bench/peers/peer.h"
#include "tests/bench/peers/report.h"
#include "tests/support/eventually.h"
#include "tests/support/grpc_test.h"

namespace pulseboard::bench {
namespace {

struct Settings {
  double seconds = 5;
  std::string peers;
  std::string only;
  std::string results;
  std::string commit;
};

// What was measured so far.
struct Report {
  MarkdownTable table{{"measured", "result"}};
  std::vector<Verdict> verdicts;
  double redis_per_core[2] = {0, 0};  // messages per server core and second, flat out, to 100 and to 1,000
  double undisturbed_p99_ms = 0;      // of the dashboard that the slow viewer watches too, before it is slow

  void Row(const std::string& what, const std::string& result) {
    table.Add({what, result});
    std::printf("| %s | %s |\n", what.c_str(), result.c_str());
    std::fflush(stdout);
  }
  void Judge(const std::string& what, const std::string& measured, const std::string& target, bool met) {
    verdicts.push_back({what, measured, target, met});
  }
};

template <typename Load>
absl::Status OnFreshServer(const Load& load) {
  testing::ServerProcessOptions options;
  options.set = {"live.max_subscriptions=50000", "ingest.max_series_per_tenant=1000000"};
  testing::ServerProcess process(options);
  PB_RETURN_IF_ERROR(process.Start());
  PB_ASSIGN_OR_RETURN(const testing::Login login, testing::LogInAsAdmin(process));
  return load(BenchServer{process, login});
}

// Pushes batches of all its series, each flushed at once.
class Source {
 public:
  Source(const BenchServer& server, const std::vector<SeriesKey>& series)
      : pusher_(server.login.channel, server.login.session, Options()) {
    for (const SeriesKey& key : series) samples_.push_back({pusher_.Define(key, {}).value(), 0, 0});
  }
  absl::Status Push() { return Push(0, samples_.size()); }
  absl::Status Push(size_t first, size_t count) {
    for (size_t i = first; i < first + count; ++i) {
      samples_[i].time_unix_nanos = SystemClock().NowUnixNanos();
      samples_[i].value = static_cast<double>(++tick_ % 1'000) / 10;
    }
    PB_RETURN_IF_ERROR(pusher_.Push(std::span(samples_).subspan(first, count)));
    pusher_.Flush();
    return absl::OkStatus();
  }
  absl::Status Wait() { return pusher_.WaitUntilAcked(std::chrono::seconds(30)); }
  int64_t unacked() const {
    const client::PusherStats stats = pusher_.stats();
    return stats.pushed_samples - stats.acked_samples;
  }

 private:
  static client::PusherOptions Options() {
    client::PusherOptions options;
    options.linger = std::chrono::seconds(1);
    return options;
  }
  client::Pusher pusher_;
  std::vector<client::PushSample> samples_;
  int64_t tick_ = 0;
};

std::vector<SeriesKey> Dashboard(const std::string& metric, int series) {
  std::vector<SeriesKey> keys;
  for (int i = 0; i < series; ++i) keys.push_back({metric, {{"i", std::to_string(i)}}});
  return keys;
}

// CPU of the server over a stretch of time.
class Meter {
 public:
  explicit Meter(pid_t pid) : pid_(pid), cpu_(testing::CpuSeconds(pid)), start_(SystemClock().MonotonicNanos()) {}
  double cpu() const { return testing::CpuSeconds(pid_) - cpu_; }
  double seconds() const { return static_cast<double>(SystemClock().MonotonicNanos() - start_) / 1e9; }

 private:
  const pid_t pid_;
  const double cpu_;
  const int64_t start_;
};

// Every viewer watches the same 50 series, pushed 50 at a time, at most 64 such batches not delivered to all.
absl::Status FlatOut(int viewers, const Settings& settings, Report* report) {
  return OnFreshServer([&](const BenchServer& server) -> absl::Status {
    constexpr int kSeries = 50;
    Source source(server, Dashboard("bench.wall", kSeries));
    PB_RETURN_IF_ERROR(source.Push());
    PB_RETURN_IF_ERROR(source.Wait());
    CrowdOptions options;
    options.viewers = viewers;
    options.selector = [](int) { return "bench.wall"; };
    Crowd crowd;
    PB_RETURN_IF_ERROR(crowd.Open(server, options));
    const int64_t before = crowd.samples();
    const int64_t messages = crowd.messages();
    const int64_t per_batch = static_cast<int64_t>(kSeries) * viewers;
    const Meter meter(server.process.pid());
    int64_t batches = 0;
    while (meter.seconds() < settings.seconds) {
      if (batches * per_batch - (crowd.samples() - before) > 63 * per_batch) {
        std::this_thread::sleep_for(std::chrono::microseconds(50));
        continue;
      }
      PB_RETURN_IF_ERROR(source.Push());
      ++batches;
    }
    if (!testing::Eventually([&] { return crowd.samples() - before >= batches * per_batch; })) {
      return absl::DataLossError("updates were lost");
    }
    const double updates = static_cast<double>(crowd.samples() - before);
    const double cpu = meter.cpu();
    report->Row(
        Text("Pulseboard, %d viewers of one dashboard of 50 series, flat out", viewers),
        Text("%.2f M updates/s per server core; %.2f M/s in all; server %.3f us per update, %.1f us per message; %.0f "
             "updates per message",
             updates / cpu / 1e6, updates / meter.seconds() / 1e6, cpu * 1e6 / updates,
             cpu * 1e6 / static_cast<double>(crowd.messages() - messages),
             updates / static_cast<double>(crowd.messages() - messages)));
    if (const double redis = report->redis_per_core[viewers == 100 ? 0 : 1]; redis > 0) {
      report->Judge(Text("updates per second and server core, flat out, %d viewers", viewers),
                    Text("%.2f M, %.1f x Redis", updates / cpu / 1e6, updates / cpu / redis), ">= 1.5 x Redis",
                    updates / cpu >= 1.5 * redis);
    }
    return absl::OkStatus();
  });
}

struct Pace {
  std::string what;
  int viewers = 0;
  int channels = 10;
  int metrics = 1;  // viewer i watches metric i % metrics
  int series = 0;   // of each metric
  int frames_per_second = 20;
  int batches_per_second = 0;
  size_t batch = 0;   // series per push, taken in turn
  bool slow = false;  // one viewer stops reading
  // Targets; 0: none.
  double max_us = 0;  // server CPU per update
  double max_cores = 0;
  double max_p50_ms = 0;
  double max_p99_ms = 0;
};

void JudgePace(const Pace& pace, double us, double cores, double p50, double p99, Report* report) {
  if (pace.max_us > 0) {
    report->Judge("server CPU per update: " + pace.what, Text("%.2f us", us), Text("<= %.0f us", pace.max_us),
                  us <= pace.max_us);
  }
  if (pace.max_cores > 0) {
    report->Judge("server CPU: " + pace.what, Text("%.2f cores", cores), Text("< %.0f core", pace.max_cores),
                  cores < pace.max_cores);
  }
  if (pace.max_p50_ms > 0) {
    report->Judge("p50 push to receipt: " + pace.what, Text("%.2f ms", p50), Text("< %.0f ms", pace.max_p50_ms),
                  p50 < pace.max_p50_ms);
  }
  if (pace.max_p99_ms > 0) {
    report->Judge("p99 push to receipt: " + pace.what, Text("%.2f ms", p99), Text("< %.0f ms", pace.max_p99_ms),
                  p99 < pace.max_p99_ms);
  }
}

absl::Status Paced(const Pace& pace, const Settings& settings, Report* report) {
  return OnFreshServer([&](const BenchServer& server) -> absl::Status {
    std::vector<SeriesKey> keys;
    for (int metric = 0; metric < pace.metrics; ++metric) {
      for (SeriesKey& key : Dashboard("bench.m" + std::to_string(metric), pace.series)) keys.push_back(std::move(key));
    }
    Source source(server, keys);
    PB_RETURN_IF_ERROR(source.Push());
    PB_RETURN_IF_ERROR(source.Wait());
    CrowdOptions options;
    options.viewers = pace.viewers;
    options.channels = pace.channels;
    options.frames_per_second = pace.frames_per_second;
    options.with_latencies = true;
    options.selector = [&](int viewer) { return "bench.m" + std::to_string(viewer % pace.metrics); };
    Crowd crowd;
    PB_RETURN_IF_ERROR(crowd.Open(server, options));
    if (pace.slow) crowd.Stall(0);
    size_t at = 0;
    const auto run = [&](double seconds) -> absl::Status {
      auto next = std::chrono::steady_clock::now();
      const auto end = next + std::chrono::duration<double>(seconds);
      while (next < end) {
        PB_RETURN_IF_ERROR(source.Push(at, pace.batch));
        at = (at + pace.batch) % keys.size();
        next += std::chrono::nanoseconds(kNanosPerSecond / pace.batches_per_second);
        std::this_thread::sleep_until(next);
      }
      return absl::OkStatus();
    };
    PB_RETURN_IF_ERROR(run(1));
    crowd.TakeMillis();
    const int64_t before = crowd.samples();
    const Meter meter(server.process.pid());
    PB_RETURN_IF_ERROR(run(settings.seconds));
    const double seconds = meter.seconds();
    const double cpu = meter.cpu();
    const double updates = static_cast<double>(crowd.samples() - before);
    std::vector<double> millis = crowd.TakeMillis(pace.slow ? 0 : -1);
    const double p50 = Quantile(&millis, 0.5);
    const double p99 = Quantile(&millis, 0.99);
    report->Row(
        pace.what,
        Text("%.0f updates/s; server %.1f %% of a core, %.2f us per update; push to receipt p50 %.2f / p99 %.2f ms",
             updates / seconds, cpu / seconds * 100, cpu * 1e6 / updates, p50, p99));
    JudgePace(pace, cpu * 1e6 / updates, cpu / seconds, p50, p99, report);
    if (pace.slow) {
      const double limit = 1.25 * report->undisturbed_p99_ms + 2;
      report->Judge("one viewer that reads nothing: p99 of the others",
                    Text("%.2f ms, without it %.2f ms", p99, report->undisturbed_p99_ms),
                    Text("<= %.2f ms (1.25 x + 2 ms)", limit), p99 <= limit);
    }
    report->undisturbed_p99_ms = p99;
    return absl::OkStatus();
  });
}

absl::Status Idle(int streams, int channels, Report* report) {
  return OnFreshServer([&](const BenchServer& server) -> absl::Status {
    const int64_t before = testing::ResidentBytes(server.process.pid());
    CrowdOptions options;
    options.viewers = streams;
    options.channels = channels;
    options.selector = [](int) { return "bench.nothing"; };
    Crowd crowd;
    const Meter meter(server.process.pid());
    PB_RETURN_IF_ERROR(crowd.Open(server, options));
    const double opened = meter.seconds();
    const auto after = static_cast<double>(testing::ResidentBytes(server.process.pid()));
    const Meter idle(server.process.pid());
    std::this_thread::sleep_for(std::chrono::seconds(5));
    report->Row(
        Text("%d idle streams over %d connections", streams, channels),
        Text("opened in %.1f s; server RSS %.0f MB, %.1f KB per stream; %.1f %% of a core while idle", opened,
             after / 1e6, (after - static_cast<double>(before)) / streams / 1e3, idle.cpu() / idle.seconds() * 100));
    if (streams == 5'000) {
      report->Judge("5,000 viewers connect at once", Text("%.1f s", opened), "< 10 s", opened < 10);
    } else {
      report->Judge(Text("RSS of the server with %d idle streams", streams), Text("%.0f MB", after / 1e6), "< 700 MB",
                    after < 700e6);
    }
    return absl::OkStatus();
  });
}

absl::Status Others(const Settings& settings, Report* report) {
  const std::string libraries = "LD_LIBRARY_PATH=" + settings.peers + "/usr/lib/x86_64-linux-gnu";
  for (const SocketProtocol protocol : {SocketProtocol::kRedis, SocketProtocol::kNats}) {
    const bool redis = protocol == SocketProtocol::kRedis;
    const std::string name = redis ? "Redis" : "NATS";
    std::string program = FindProgram(redis ? "redis-server" : "nats-server", settings.peers);
    const std::string unpacked = settings.peers + "/usr/sbin/nats-server";
    if (program.empty() && !redis && access(unpacked.c_str(), X_OK) == 0) program = unpacked;
    if (program.empty()) {
      report->Row(name, "not there");
      continue;
    }
    const std::string port = std::to_string(testing::PickPort());
    const testing::TempDir dir;
    std::vector<std::string> argv = {"/usr/bin/env", libraries, program};
    for (const char* argument : {"--port", port.c_str(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"}) {
      if (redis) argv.push_back(argument);
    }
    if (!redis) argv.insert(argv.end(), {"-a", "127.0.0.1", "-p", port});
    const testing::Process process(argv, dir.File("peer"));
    for (const auto& [subscribers, rate] : {std::pair{100, 0}, {1'000, 0}, {100, 1'000}, {1'000, 100}}) {
      absl::StatusOr<SocketFanoutResult> result = absl::UnavailableError("");
      testing::Eventually([&] {
        result = RunSocketFanout(protocol, std::stoi(port), process.pid(), subscribers, rate, settings.seconds);
        return result.ok() || result.status().code() != absl::StatusCode::kUnavailable;
      });
      PB_RETURN_IF_ERROR(result.status());
      if (rate == 0) {
        if (redis) report->redis_per_core[subscribers == 100 ? 0 : 1] = 1e6 / result->server_us_per_delivery;
        report->Row(Text("%s, %d subscribers, 64 B, flat out", name.c_str(), subscribers),
                    Text("%.2f M messages/s per server core; %.2f M/s in all; server %.3f us per message",
                         1 / result->server_us_per_delivery, result->deliveries_per_second / 1e6,
                         result->server_us_per_delivery));
      } else {
        report->Row(Text("%s, %d subscribers, 64 B, %d messages/s each", name.c_str(), subscribers, rate),
                    Text("server %.2f us per message; p50 %.2f / p99 %.2f ms", result->server_us_per_delivery,
                         result->p50_ms, result->p99_ms));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Run(const Settings& settings) {
  const auto wanted = [&](const std::string& word) { return settings.only.empty() || settings.only == word; };
  Report report;
  const std::string heading =
      "Commit `" + settings.commit + "`, `./dev bench live`.\n" + MachineLine() + " before the run.\n\n";
  std::printf("%s%s", heading.c_str(), report.table.text().c_str());
  if (wanted("others")) PB_RETURN_IF_ERROR(Others(settings, &report));
  if (wanted("flat")) {
    PB_RETURN_IF_ERROR(FlatOut(100, settings, &report));
    PB_RETURN_IF_ERROR(FlatOut(1'000, settings, &report));
  }
  const std::vector<std::pair<std::string, Pace>> paces = {
      {"paced", {"100,000 updates/s to 100 viewers, ticks of 50 ms", 100, 10, 1, 50, 20, 100, 10}},
      {"paced", {"100,000 updates/s to 100 viewers, ticks of 20 ms", 100, 10, 1, 50, 50, 100, 10, false, 1, 0, 0, 50}},
      {"many",
       {"1,000 viewers of 1,000 different dashboards of 50 series at 10 Hz", 1'000, 10, 1'000, 50, 20, 100, 5'000,
        false, 0, 1, 0, 100}},
      {"light",
       {"100 viewers of different series, 100 pushes/s of one sample", 100, 10, 100, 1, 20, 100, 1, false, 0, 0, 2,
        10}},
      {"slow", {"20 viewers of one dashboard of 50 series at 20 Hz", 20, 20, 1, 50, 20, 20, 50}},
      {"slow", {"the same, one of them reading nothing: the others", 20, 20, 1, 50, 20, 20, 50, true}},
  };
  for (const auto& [word, pace] : paces) {
    if (wanted(word)) PB_RETURN_IF_ERROR(Paced(pace, settings, &report));
  }
  if (wanted("idle")) {
    PB_RETURN_IF_ERROR(Idle(5'000, 50, &report));
    PB_RETURN_IF_ERROR(Idle(20'000, 100, &report));
  }
  const std::string targets = "\n### Targets\n\n" + TargetsTable(report.verdicts);
  std::printf("%s", targets.c_str());
  if (settings.results.empty()) return absl::OkStatus();
  return WriteSection(settings.results, "live fan-out", heading + report.table.text() + targets);
}

}  // namespace
}  // namespace pulseboard::bench

int main(int argc, char** argv) {
  pulseboard::bench::Settings settings;
  for (int i = 1; i + 1 < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--seconds") settings.seconds = std::atof(argv[i + 1]);
    if (argument == "--peers") settings.peers = argv[i + 1];
    if (argument == "--only") settings.only = argv[i + 1];
    if (argument == "--results") settings.results = argv[i + 1];
    if (argument == "--commit") settings.commit = argv[i + 1];
  }
  const absl::Status status = pulseboard::bench::Run(settings);
  if (!status.ok()) std::fprintf(stderr, "live_fanout_bench: %s\n", pulseboard::StatusMessage(status).c_str());
  return status.ok() ? 0 : 1;
}

// How fast the store takes samples, by itself: Store::Append from one thread, a bounded number of batches in flight.
// Prints one line per case: durable samples per second, CPU-seconds (user + system, whole process) per million samples,
// bytes per sample in sealed blocks and on the log.
//   storage_bench [--samples=N] [--series=N] [--batch=N] [--inflight=N] [--directory=DIR]
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "server/storage/store.h"
#include "tests/bench/own_cpu_seconds.h"

namespace {

using namespace pulseboard;  // NOLINT(google-build-using-namespace): a program of its own

struct Settings {
  int64_t samples = 10'000'000;
  int64_t series = 2'000;
  int64_t batch = 5'000;
  int64_t in_flight = 16;
  std::string directory;
};

double PeakMegabytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// The mix of `LIMITS.md`: a quarter each of two-decimal gauges, counters, noise and nearly constant series, 10 s apart.
// Values come from a ring made beforehand, so that the random numbers are not what is measured.
class Load {
 public:
  explicit Load(int64_t series) : series_(series), ring_(1 << 16) {
    std::mt19937_64 random(1);
    for (double& v : ring_) v = std::uniform_real_distribution<double>(0, 1)(random);
  }
  double Value(int64_t series, int64_t tick) const {
    const double noise = ring_[static_cast<size_t>(series * 7919 + tick) % ring_.size()];
    switch (series % 4) {
      case 0:
        return std::round(5000 + 1000 * std::sin(static_cast<double>(tick) / 50) + 100 * noise) / 100;
      case 1:
        return static_cast<double>(tick * 1000 + static_cast<int64_t>(noise * 100));
      case 2:
        return noise * 100;
      default:
        return tick % 500 == 0 ? 2 : 1;
    }
  }
  // Fills `batch` with the next samples: all series at one time, then the next time.
  void Fill(int64_t size, int64_t start, const std::vector<SeriesId>& ids, AppendBatch* batch) {
    for (int64_t i = 0; i < size; ++i) {
      const int64_t series = next_ % series_;
      const int64_t tick = next_ / series_;
      ++next_;
      batch->series.push_back(ids[static_cast<size_t>(series)]);
      batch->times.push_back(start + tick * 10 * kNanosPerSecond);
      batch->values.push_back(Value(series, tick));
    }
  }

 private:
  const int64_t series_;
  std::vector<double> ring_;
  int64_t next_ = 0;
};

// Lets at most `limit` batches be unacknowledged.
class Window {
 public:
  explicit Window(int64_t limit) : limit_(limit) {}
  void Enter() {
    MutexLock lock(&mu_);
    while (used_ >= limit_) changed_.Wait(&mu_);
    ++used_;
  }
  void Leave() {
    MutexLock lock(&mu_);
    --used_;
    changed_.NotifyAll();
  }
  void WaitEmpty() {
    MutexLock lock(&mu_);
    while (used_ > 0) changed_.Wait(&mu_);
  }

 private:
  const int64_t limit_;
  Mutex mu_;
  CondVar changed_;
  int64_t used_ PB_GUARDED_BY(mu_) = 0;
};

int RunCase(const Settings& settings, bool fsync) {
  const std::string directory = settings.directory + (fsync ? "/fsync" : "/buffered");
  std::filesystem::remove_all(directory);
  StoreOptions options;
  options.directory = directory;
  options.raw_retention_ns = 3650 * kNanosPerDay;
  options.seal_age_ns = kNanosPerSecond;
  auto opened = Store::Open(options, nullptr);
  if (!opened.ok()) {
    std::fprintf(stderr, "%s\n", StatusMessage(opened.status()).c_str());
    return 1;
  }
  Store& store = **opened;
  std::vector<SeriesId> ids;
  for (int64_t i = 0; i < settings.series; ++i) {
    ids.push_back(store.FindOrCreateSeries(kDefaultTenant, {"bench", {{"n", std::to_string(i)}}}, {}, nullptr).value());
  }
  const int64_t start_time = options.clock->NowUnixNanos() - kNanosPerDay;
  // Made beforehand: what is measured is the store.
  Load load(settings.series);
  std::vector<AppendBatch> batches(static_cast<size_t>(settings.samples / settings.batch));
  for (size_t i = 0; i < batches.size(); ++i) {
    batches[i].tenant = kDefaultTenant;
    batches[i].ack_mode = fsync ? AckMode::kFsynced : AckMode::kBuffered;
    batches[i].producer_id = "bench";
    batches[i].sequence = static_cast<int64_t>(i + 1);
    load.Fill(settings.batch, start_time, ids, &batches[i]);
  }
  const double filled_megabytes = PeakMegabytes();
  Window window(settings.in_flight);
  const double cpu = OwnCpuSeconds();
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&start] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  for (AppendBatch& batch : batches) {
    window.Enter();
    const absl::Status queued = store.Append(std::move(batch), [&window](const auto& receipt) {
      if (!receipt.ok()) std::abort();
      window.Leave();
    });
    if (!queued.ok()) std::abort();
  }
  window.WaitEmpty();
  const double acknowledged_seconds = elapsed();
  const int64_t log_bytes = store.Stats().wal_bytes;
  while (store.Stats().head_samples > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // until the newest chunks are old enough
    if (!store.Checkpoint().ok()) return 1;
  }
  const double cpu_used = OwnCpuSeconds() - cpu;
  const StoreStats stats = store.Stats();
  const auto millions = static_cast<double>(stats.committed_samples) / 1e6;
  std::printf(
      "storage append fsync=%d batch=%lld inflight=%lld series=%lld samples=%.1fM: %.2f M samples/s acked, "
      "%.3f CPU-s/M until sealed, %.3f B/sample sealed, log %.0f MB before freeing, syncs=%lld p50=%lld us p99=%lld "
      "us, "
      "peak RSS +%.0f MB\n",
      fsync, static_cast<long long>(settings.batch), static_cast<long long>(settings.in_flight),
      static_cast<long long>(settings.series), millions, millions / acknowledged_seconds, cpu_used / millions,
      static_cast<double>(stats.sealed_bytes) / static_cast<double>(stats.sealed_samples),
      static_cast<double>(log_bytes) / 1e6, static_cast<long long>(stats.wal_syncs),
      static_cast<long long>(stats.fsync_p50_ns / 1000), static_cast<long long>(stats.fsync_p99_ns / 1000),
      PeakMegabytes() - filled_megabytes);
  const auto close_start = std::chrono::steady_clock::now();
  opened->reset();
  const auto reopened = Store::Open(options, nullptr);
  std::printf("storage close and reopen: %.0f ms\n",
              std::chrono::duration<double>(std::chrono::steady_clock::now() - close_start).count() * 1e3);
  return reopened.ok() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  pulseboard::InitLogging("warn");
  Settings settings;
  settings.directory = (std::filesystem::temp_directory_path() / "pulseboard-storage-bench").string();
  const auto number = [](const char* text) { return static_cast<int64_t>(std::atoll(text)); };
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    const char* value = std::strchr(argv[i], '=');
    if (value == nullptr) return 2;
    ++value;
    if (arg.starts_with("--samples=")) settings.samples = number(value);
    if (arg.starts_with("--series=")) settings.series = number(value);
    if (arg.starts_with("--batch=")) settings.batch = number(value);
    if (arg.starts_with("--inflight=")) settings.in_flight = number(value);
    if (arg.starts_with("--directory=")) settings.directory = value;
  }
  const int failed = RunCase(settings, true) + RunCase(settings, false);
  std::filesystem::remove_all(settings.directory);
  return failed;
}

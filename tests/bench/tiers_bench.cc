// What rollup tiers cost and give, at the storage level: one table of bytes per tier for two-decimal walks, and the
// time of reads: a day of samples, and a year of 1 s samples as 1 h rollups.
//   tiers_bench [--directory=DIR] [--days=N] [--block=SAMPLES]     days of 1 s data, default 365
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/store.h"
#include "tests/bench/own_cpu_seconds.h"

namespace {

using namespace pulseboard;  // NOLINT(google-build-using-namespace): a program of its own
using Clock = std::chrono::steady_clock;

constexpr int64_t kStart = 1'704'067'200 * kNanosPerSecond;  // 2024-01-01

// A walk of the peers' payload: U(0,100), then N(0,1) steps, kept within 0 and 100, two decimals.
class Walk {
 public:
  explicit Walk(uint64_t seed) : random_(seed), level_(std::uniform_real_distribution<double>(0, 100)(random_)) {}
  double Next() {
    level_ = std::clamp(level_ + normal_(random_), 0.0, 100.0);
    return std::round(level_ * 100) / 100;
  }

 private:
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_{0, 1};
  double level_;
};

[[noreturn]] void Fail(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", StatusMessage(status).c_str());
  std::exit(1);
}

struct Load {
  int64_t series;
  int64_t step_seconds;
  int64_t seconds;
};

// Bytes of each tier's tables, windows compacted as when they are closed.
std::map<std::string, int64_t> BytesPerTier(const std::string& directory) {
  std::vector<std::string> names;
  rocksdb::Options options;
  rocksdb::DB::ListColumnFamilies(options, directory, &names);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const std::string& name : names) descriptors.emplace_back(name, rocksdb::ColumnFamilyOptions());
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  std::map<std::string, int64_t> out;
  if (!rocksdb::DB::OpenForReadOnly(options, directory, descriptors, &handles, &db).ok()) return out;
  std::vector<rocksdb::LiveFileMetaData> files;
  db->GetLiveFilesMetaData(&files);
  for (const auto& file : files) {
    const size_t dot = file.column_family_name.find('.');
    if (dot == std::string::npos) continue;
    out[file.column_family_name.substr(0, dot)] += static_cast<int64_t>(file.size);
  }
  for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
  delete db;
  return out;
}

std::unique_ptr<Store> OpenStore(const StoreOptions& options) {
  auto opened = Store::Open(options, nullptr);
  if (!opened.ok()) Fail(opened.status());
  return *std::move(opened);
}

// Loads, and closes all windows. Returns the series.
std::vector<SeriesId> Fill(Store* store, ManualClock* clock, const StoreOptions& options, const Load& load) {
  std::vector<SeriesId> ids;
  std::vector<Walk> walks;
  for (int64_t i = 0; i < load.series; ++i) {
    ids.push_back(
        store->FindOrCreateSeries(kDefaultTenant, {"bench", {{"n", std::to_string(i)}}}, {}, nullptr).value());
    walks.emplace_back(static_cast<uint64_t>(i) + 1);
  }
  const double cpu = OwnCpuSeconds();
  double generating = 0;
  for (int64_t at = 0; at < load.seconds;) {
    AppendBatch batch;
    batch.tenant = kDefaultTenant;
    batch.ack_mode = AckMode::kBuffered;
    const double before = OwnCpuSeconds();
    for (; at < load.seconds && batch.size() < 50'000; at += load.step_seconds) {
      for (size_t i = 0; i < ids.size(); ++i) {
        batch.series.push_back(ids[i]);
        batch.times.push_back(kStart + at * kNanosPerSecond);
        batch.values.push_back(walks[i].Next());
      }
    }
    generating += OwnCpuSeconds() - before;
    clock->Advance(std::max<int64_t>(0, batch.times.back() - clock->NowUnixNanos()));
    while (true) {
      const absl::Status queued = store->Append(batch, nullptr);
      if (queued.ok()) break;
      if (!HasReason(queued, ErrorReason::kIngestBacklogFull)) Fail(queued);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  store->Cut([](int64_t) {});
  while (store->Stats().append_queue_bytes > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  clock->Advance(options.seal_age_ns + 1);
  if (const absl::Status status = store->Checkpoint(); !status.ok()) Fail(status);
  const int64_t pushed = load.series * load.seconds / load.step_seconds;
  const double millions = static_cast<double>(pushed) / 1e6;
  const StoreStats stats = store->Stats();
  std::printf("loaded %.1f M samples, %.3f CPU-s per M (log, sealing, rollups), %.3f bytes per sample of blocks\n",
              millions, (OwnCpuSeconds() - cpu - generating) / millions,
              static_cast<double>(stats.sealed_bytes) / static_cast<double>(stats.sealed_samples));
  return ids;
}

template <typename Read>
void Time(const char* what, int rounds, const Read& read) {
  std::vector<double> micros;
  size_t result = 0;
  for (int i = 0; i < rounds; ++i) {
    const auto start = Clock::now();
    result = read();
    micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  std::sort(micros.begin(), micros.end());
  std::printf("read %-58s %8zu rows: median %8.1f us, best %8.1f us\n", what, result, micros[micros.size() / 2],
              micros.front());
}

size_t ReadSamples(Store* store, std::span<const SeriesId> ids, TimeRange range) {
  auto view = store->OpenView(ids, range, nullptr);
  if (!view.ok()) Fail(view.status());
  size_t rows = 0;
  for (const SeriesId id : ids) {
    const auto samples = (*view)->Read(id, range);
    if (!samples.ok()) Fail(samples.status());
    rows += samples->size();
  }
  return rows;
}

size_t ReadTier(Store* store, SeriesId id, int64_t bucket, TimeRange range, RollupFields fields) {
  const SeriesId ids[] = {id};
  auto view = store->OpenView(ids, range, nullptr);
  if (!view.ok()) Fail(view.status());
  const auto rollups = (*view)->ReadRollups(id, bucket, range, fields);
  if (!rollups.ok()) Fail(rollups.status());
  return rollups->size();
}

void Run(const std::string& directory, const Load& load, int32_t block_samples, bool reads) {
  std::filesystem::remove_all(directory);
  ManualClock clock(kStart);
  StoreOptions options;
  options.directory = directory;
  options.clock = &clock;
  options.block_samples = block_samples;
  options.raw_retention_ns = 400 * kNanosPerDay;
  options.checkpoint_interval_ns = kNanosPerSecond;
  std::printf("%lld series, one sample per %lld s, %.1f days\n", static_cast<long long>(load.series),
              static_cast<long long>(load.step_seconds), static_cast<double>(load.seconds) / 86'400);
  auto store = OpenStore(options);
  const std::vector<SeriesId> ids = Fill(store.get(), &clock, options, load);
  const int64_t end = kStart + load.seconds * kNanosPerSecond;
  if (reads) {
    const TimeRange day = {end - kNanosPerDay, end};
    const std::span<const SeriesId> one(ids.data(), 1);
    if (load.step_seconds >= 10) {
      Time("24 h of one series, samples", 200, [&] { return ReadSamples(store.get(), one, day); });
      Time("24 h of 100 series, samples", 50, [&] { return ReadSamples(store.get(), ids, day); });
    } else {
      const TimeRange hour = {end - 3600 * kNanosPerSecond, end};
      Time("1 h of one series, samples", 200, [&] { return ReadSamples(store.get(), one, hour); });
      Time("all days of one series, 1h rollups, first last min max", 4000, [&] {
        return ReadTier(store.get(), ids[0], kNanosPerHour, {kStart, end}, kLineFields);
      });
      Time("all days of one series, 1h rollups, count and sum", 200, [&] {
        return ReadTier(store.get(), ids[0], kNanosPerHour, {kStart, end}, RollupField::kCount | RollupField::kSum);
      });
      Time("24 h of one series, 1m rollups, first last min max", 200,
           [&] { return ReadTier(store.get(), ids[0], kNanosPerMinute, day, kLineFields); });
    }
  }
  // Some time later all windows are closed.
  clock.Advance(350 * kNanosPerDay);
  if (const absl::Status status = store->Checkpoint(); !status.ok()) Fail(status);
  while (store->Stats().windows_to_close > 0 || store->Stats().closed_windows == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (store->Stats().windows_to_close == 0 && !store->Checkpoint().ok()) std::abort();
  }
  store.reset();
  const auto bytes = BytesPerTier(directory + "/db");
  const int64_t count = load.series * load.seconds / load.step_seconds;
  const auto samples = static_cast<double>(count);
  double raw = 0;
  double rollups = 0;
  for (const auto& [tier, size] : bytes) {
    (tier == "raw" ? raw : rollups) += static_cast<double>(size);
    std::printf("  %-4s %12lld bytes, %.3f per sample\n", tier.c_str(), static_cast<long long>(size),
                static_cast<double>(size) / samples);
  }
  std::printf("  rollups / raw: %.2f %%\n", raw > 0 ? 100 * rollups / raw : 0);
  std::filesystem::remove_all(directory);
}

}  // namespace

int main(int argc, char** argv) {
  pulseboard::InitLogging("warn");
  std::string directory = (std::filesystem::temp_directory_path() / "pulseboard-tiers-bench").string();
  int64_t days = 365;
  int32_t block_samples = StoreOptions().block_samples;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--directory=", 12) == 0) directory = argv[i] + 12;
    if (std::strncmp(argv[i], "--block=", 8) == 0) block_samples = std::atoi(argv[i] + 8);
    if (std::strncmp(argv[i], "--days=", 7) == 0) days = std::atoll(argv[i] + 7);
  }
  Run(directory, {100, 10, 3 * 86'400}, block_samples, true);
  Run(directory, {20, 1, 86'400}, block_samples, false);
  Run(directory, {1, 1, days * 86'400}, block_samples, true);
  return 0;
}

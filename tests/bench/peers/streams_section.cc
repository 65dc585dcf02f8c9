#include <signal.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/base/clock.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "tests/bench/peers/http_peer.h"
#include "tests/bench/peers/pulseboard_files.h"
#include "tests/bench/peers/report.h"
#include "tests/bench/peers/sections.h"
#include "tests/bench/peers/victoria_metrics.h"
#include "tests/support/eventually.h"

namespace pulseboard::bench {
namespace {

struct Stream {
  std::string metric;
  SampleColumns samples;  // ascending, the last of equal times
};

// `2015-04-10T07:14:00Z`, the letters left out or not; UTC.
std::optional<int64_t> ParseTime(const char* text) {
  std::tm time{};
  if (std::sscanf(text, "%d-%d-%d%*1[T ]%d:%d:%d", &time.tm_year, &time.tm_mon, &time.tm_mday, &time.tm_hour,
                  &time.tm_min, &time.tm_sec) < 5) {
    return std::nullopt;
  }
  time.tm_year -= 1900;
  time.tm_mon -= 1;
  return int64_t{timegm(&time)} * kNanosPerSecond;
}

// Rows of `timestamp,value…`; those without a number are left out.
Stream ReadStream(const std::filesystem::path& path) {
  std::map<int64_t, double> rows;
  if (gzFile file = gzopen(path.c_str(), "rb"); file != nullptr) {
    char line[4096];
    while (gzgets(file, line, sizeof(line)) != nullptr) {
      const char* comma = std::strchr(line, ',');
      if (comma == nullptr) continue;
      const std::optional<int64_t> time = ParseTime(line);
      char* end = nullptr;
      const double value = std::strtod(comma + 1, &end);
      if (time && end != comma + 1) rows[*time] = value;
    }
    gzclose(file);
  }
  Stream out;
  out.metric = path.parent_path().parent_path().filename().string() + "_" + path.filename().string();
  out.metric = out.metric.substr(0, out.metric.find('.'));
  for (char& c : out.metric) {
    if (c == '-') c = '_';
  }
  for (const auto& [time, value] : rows) {
    out.samples.times.push_back(time);
    out.samples.values.push_back(value);
  }
  return out;
}

std::vector<Stream> ReadStreams(const std::string& data_folder) {
  std::vector<std::filesystem::path> files;
  for (const char* set : {"cloud", "nab"}) {
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator it(data_folder + "/" + set, error), end; !error && it != end;
         it.increment(error)) {
      if (it->path().string().ends_with(".csv.gz")) files.push_back(it->path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Stream> streams;
  for (const auto& file : files) {
    streams.push_back(ReadStream(file));
    if (streams.back().samples.empty()) streams.pop_back();
  }
  return streams;
}

struct StreamBytes {
  std::vector<int64_t> by_stream;
  int64_t on_disk = 0;
  std::vector<bool> lossless;
};

// A store of its own: streams reach back further than a server keeps by default.
absl::StatusOr<StreamBytes> MeasureInStore(const std::vector<Stream>& streams) {
  const testing::TempDir dir;
  StoreOptions options;
  options.directory = dir.File("data");
  options.raw_retention_ns = 36'500 * kNanosPerDay;
  options.tiers = {};  // the samples alone
  options.seal_age_ns = 0;
  std::vector<SeriesId> ids;
  StreamBytes out;
  {
    PB_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::Open(options, nullptr));
    for (const Stream& stream : streams) {
      PB_ASSIGN_OR_RETURN(const SeriesId id,
                          store->FindOrCreateSeries(kDefaultTenant, {stream.metric, {}}, {}, nullptr));
      ids.push_back(id);
      AppendBatch batch;
      batch.tenant = kDefaultTenant;
      batch.series.assign(stream.samples.size(), id);
      batch.times = stream.samples.times;
      batch.values = stream.samples.values;
      Mutex mu;
      CondVar changed;
      std::optional<absl::Status> done;
      PB_RETURN_IF_ERROR(store->Append(std::move(batch), [&](const absl::StatusOr<CommitReceipt>& receipt) {
        MutexLock lock(&mu);
        done = receipt.status();
        changed.NotifyAll();
      }));
      MutexLock lock(&mu);
      while (!done) changed.Wait(&mu);
      PB_RETURN_IF_ERROR(*done);
    }
    PB_RETURN_IF_ERROR(store->Checkpoint());
    for (size_t i = 0; i < streams.size(); ++i) {
      const TimeRange all = {0, std::numeric_limits<int64_t>::max()};
      PB_ASSIGN_OR_RETURN(const auto view, store->OpenView(std::span(&ids[i], 1), all, nullptr));
      PB_ASSIGN_OR_RETURN(const SampleColumns back, view->Read(ids[i], all));
      const std::vector<double>& sent = streams[i].samples.values;
      out.lossless.push_back(back.times == streams[i].samples.times && back.values.size() == sent.size() &&
                             std::memcmp(back.values.data(), sent.data(), sent.size() * sizeof(double)) == 0);
    }
    PB_RETURN_IF_ERROR(store->Close());
  }
  PB_RETURN_IF_ERROR(SettleStore(options));
  PB_ASSIGN_OR_RETURN(const auto bytes, RawSeriesBytes(options.directory));
  for (const SeriesId id : ids) out.by_stream.push_back(bytes.contains(id) ? bytes.at(id) : 0);
  PB_ASSIGN_OR_RETURN(const TierBytes tiers, BytesOfTiers(options.directory));
  out.on_disk = tiers.raw;
  return out;
}

// Of the blocks in a native export: without names, and with smaller headers than the index on disk has.
int64_t BytesOfBlocks(std::string_view native) {
  constexpr size_t kTimeRangeBytes = 16;
  int64_t bytes = 0;
  native.remove_prefix(std::min(native.size(), kTimeRangeBytes));
  while (native.size() > 4) {
    for (int part = 0; part < 2 && native.size() >= 4; ++part) {  // name, block
      const size_t length = GetBigEndian<uint32_t>(native);
      native.remove_prefix(std::min(native.size(), 4 + length));
      if (part == 1) bytes += static_cast<int64_t>(length);
    }
  }
  return bytes;
}

absl::StatusOr<StreamBytes> MeasureInVictoria(const std::string& program, const std::vector<Stream>& streams) {
  const testing::TempDir dir;
  const int port = testing::PickPort();
  testing::Process server(VictoriaCommand(program, port, dir.File("data")), dir.File("server"));
  if (!testing::Eventually([&] { return HttpGet(port, "/health").ok(); }, std::chrono::seconds(30))) {
    return absl::UnavailableError("VictoriaMetrics did not start: " + server.err());
  }
  HttpConnection connection(port);
  for (const Stream& stream : streams) {
    const std::string line = VictoriaColumnsLine(stream.metric, stream.samples.times, stream.samples.values);
    PB_RETURN_IF_ERROR(connection.Call("POST", "/api/v1/import", "", line).status());
  }
  PB_RETURN_IF_ERROR(SettleVictoria(port));
  StreamBytes out;
  for (const Stream& stream : streams) {
    PB_ASSIGN_OR_RETURN(const std::string native, ExportNative(port, stream.metric));
    out.by_stream.push_back(BytesOfBlocks(native));
    PB_ASSIGN_OR_RETURN(const std::string text, HttpGet(port, "/api/v1/export?match=" + stream.metric));
    const auto back = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    bool same = !back.is_discarded() && back["values"].size() == stream.samples.size();
    for (size_t i = 0; same && i < stream.samples.size(); ++i) {
      same =
          std::bit_cast<uint64_t>(back["values"][i].get<double>()) == std::bit_cast<uint64_t>(stream.samples.values[i]);
    }
    out.lossless.push_back(same);
  }
  out.on_disk = BytesBelow(dir.File("data") + "/data");
  server.Signal(SIGTERM);
  server.Wait(std::chrono::seconds(30));
  return out;
}

}  // namespace

absl::StatusOr<SectionResult> RunStreams(const BenchSettings& settings) {
  const std::vector<Stream> streams = ReadStreams(settings.data_folder);
  if (streams.empty()) {
    return SectionResult{
        "Left out: no real streams in `" + settings.data_folder + "` (acceptance data, not part of the project).\n",
        {}};
  }
  if (settings.programs.victoria.empty()) {
    return SectionResult{"Left out: no victoria-metrics to compare with.\n", {}};
  }
  std::fprintf(stderr, "streams: %zu in Pulseboard and VictoriaMetrics\n", streams.size());
  PB_ASSIGN_OR_RETURN(const StreamBytes ours, MeasureInStore(streams));
  PB_ASSIGN_OR_RETURN(const StreamBytes theirs, MeasureInVictoria(settings.programs.victoria, streams));
  MarkdownTable table({"stream", "samples", "Pulseboard B/sample", "VictoriaMetrics B/sample", "ratio", "lossless"});
  double samples = 0;
  int not_larger = 0, lossless = 0, not_larger_than_lossless = 0;
  for (size_t i = 0; i < streams.size(); ++i) {
    const auto count = static_cast<double>(streams[i].samples.size());
    const auto a = static_cast<double>(ours.by_stream[i]), b = static_cast<double>(theirs.by_stream[i]);
    samples += count;
    not_larger += a <= b ? 1 : 0;
    lossless += theirs.lossless[i] ? 1 : 0;
    not_larger_than_lossless += theirs.lossless[i] && a <= b ? 1 : 0;
    table.Add({streams[i].metric, Text("%.0f", count), Text("%.3f", a / count), Text("%.3f", b / count),
               Text("%.3f%s", a / b, a <= b ? "" : " larger"),
               Text("%s / %s", ours.lossless[i] ? "yes" : "no", theirs.lossless[i] ? "yes" : "no")});
  }
  table.Add({"all, files on disk", Text("%.0f", samples), Text("%.3f", static_cast<double>(ours.on_disk) / samples),
             Text("%.3f", static_cast<double>(theirs.on_disk) / samples),
             Text("%.3f", static_cast<double>(ours.on_disk) / static_cast<double>(theirs.on_disk)), ""});
  const std::string text =
      table.text() +
      Text(
          "\n%d of %zu streams not larger than in VictoriaMetrics, %d of %d of those that it gives back as they were; "
          "where its column says no it did not. Of one stream the blocks alone, without the index of either; "
          "VictoriaMetrics' as it exports them.\n",
          not_larger, streams.size(), not_larger_than_lossless, lossless);
  return SectionResult{text,
                       {{"real streams: bytes per sample not above VictoriaMetrics'",
                         Text("%d of %zu; %d of %d that it keeps losslessly", not_larger, streams.size(),
                              not_larger_than_lossless, lossless),
                         "every stream", not_larger == static_cast<int>(streams.size())}}};
}

}  // namespace pulseboard::bench

// Text in and out: the parsers on one core, then an import of the same samples through a real server beside PushStream.
//   transfer_bench [--samples=10000000] [--series=1000]
#include <absl/synchronization/mutex.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/client/export_text.h"
#include "common/client/import_text.h"
#include "common/client/pusher.h"
#include "server/transfer/csv_parser.h"
#include "server/transfer/openmetrics_parser.h"
#include "server/transfer/text_numbers.h"
#include "tests/support/client.h"
#include "tests/support/process.h"

namespace pulseboard {
namespace {

struct Load {
  int64_t samples = 10'000'000;
  int64_t series = 1'000;
  int64_t rows() const { return samples / series; }
  int64_t start = (SystemClock().NowUnixNanos() / kNanosPerSecond - 20 * 3'600) * kNanosPerSecond;
  int64_t TimeOf(int64_t row) const { return start + row * kNanosPerSecond; }
  // Two decimals, different in every series.
  static double Value(int64_t series, int64_t row) {
    return static_cast<double>((series * 7919 + row * 37) % 10'000) / 100;
  }
};

std::string SeriesText(const std::string& metric, int64_t i) {
  return metric + "{host=\"host-" + std::to_string(i) + "\",region=\"eu-west-1\",os=\"debian\"}";
}

std::string OpenMetricsText(const Load& load) {
  std::string text = "# TYPE om gauge\n";
  text.reserve(static_cast<size_t>(load.samples) * 75);
  for (int64_t row = 0; row < load.rows(); ++row) {
    for (int64_t i = 0; i < load.series; ++i) {
      text += SeriesText("om", i) + " ";
      AppendValue(Load::Value(i, row), &text);
      text += ' ';
      AppendDecimalTime(load.TimeOf(row), 9, &text);
      text += '\n';
    }
  }
  return text + "# EOF\n";
}

std::string LongText(const Load& load) {
  std::string text = "time,metric,value,host,region,os\n";
  text.reserve(static_cast<size_t>(load.samples) * 60);
  for (int64_t row = 0; row < load.rows(); ++row) {
    for (int64_t i = 0; i < load.series; ++i) {
      AppendDecimalTime(load.TimeOf(row), 9, &text);
      text += ",csv_long,";
      AppendValue(Load::Value(i, row), &text);
      text += ",host-" + std::to_string(i) + ",eu-west-1,debian\n";
    }
  }
  return text;
}

std::string WideText(const Load& load) {
  std::string text = "time";
  for (int64_t i = 0; i < load.series; ++i) text += ",\"csv_wide{host=\"\"host-" + std::to_string(i) + "\"\"}\"";
  text += '\n';
  for (int64_t row = 0; row < load.rows(); ++row) {
    AppendDecimalTime(load.TimeOf(row), 9, &text);
    for (int64_t i = 0; i < load.series; ++i) {
      text += ',';
      AppendValue(Load::Value(i, row), &text);
    }
    text += '\n';
  }
  return text;
}

double ThreadSeconds() {
  struct rusage usage {};
  ::getrusage(RUSAGE_THREAD, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// In pieces as they come over the wire, into batches as the server makes them.
void BenchParser(const char* name, const std::string& text, const SplitterOptions& splitting, TextParser* parser) {
  constexpr size_t kPiece = 512 << 10;
  RecordSplitter splitter(splitting);
  ImportBatch batch;
  TextRecord record;
  int64_t samples = 0, lines = 0;
  const double start = ThreadSeconds();
  for (size_t at = 0; at < text.size(); at += kPiece) {
    splitter.Append(std::string_view(text).substr(at, kPiece));
    while (splitter.Next(&record)) {
      parser->Parse(record, &batch);
      if (parser->separator() != 0) splitter.SetSeparator(parser->separator());
      ++lines;
      if (batch.size() < 10'000) continue;
      samples += static_cast<int64_t>(batch.size());
      batch.Clear();
    }
  }
  samples += static_cast<int64_t>(batch.size());
  const double seconds = ThreadSeconds() - start;
  std::printf("| parse %s | %.2f M samples/s, %.2f M lines/s, %.0f MB/s of one core |\n", name,
              static_cast<double>(samples) / seconds / 1e6, static_cast<double>(lines) / seconds / 1e6,
              static_cast<double>(text.size()) / seconds / 1e6);
}

class StringText final : public client::TextSource {
 public:
  explicit StringText(std::string_view text) : text_(text) {}
  absl::Status Read(size_t most, std::string* out) override {
    out->assign(text_.substr(0, most));
    text_.remove_prefix(out->size());
    return absl::OkStatus();
  }

 private:
  std::string_view text_;
};

class ServerBench {
 public:
  explicit ServerBench(const char* tls) : server_({.set = {std::string("server.tls=") + tls}}), tls_(tls) {}
  absl::Status Start() {
    PB_RETURN_IF_ERROR(server_.Start());
    PB_ASSIGN_OR_RETURN(login_, testing::LogInAsAdmin(server_));
    return absl::OkStatus();
  }

  absl::Status Import(const char* name, v1::TextFormat format, const std::string& text) {
    client::ImportTextOptions options;
    options.spec.set_producer_id(name);
    options.spec.set_format(format);
    StringText source(text);
    const Meter meter(server_);
    PB_ASSIGN_OR_RETURN(const v1::ImportSummary summary,
                        client::ImportText(login_.channel, *login_.session, source, options));
    if (summary.totals().refused_count() > 0) return absl::InternalError("lines were refused");
    meter.Print("import", name, tls_, summary.totals().accepted_count());
    return absl::OkStatus();
  }

  absl::Status Push(const Load& load) {
    client::PusherOptions options;
    options.spool_policy = client::SpoolPolicy::kRefuse;
    options.max_spool_samples = 200'000;
    client::Pusher pusher(login_.channel, login_.session, options);
    std::vector<uint32_t> series;
    for (int64_t i = 0; i < load.series; ++i) {
      PB_ASSIGN_OR_RETURN(const uint32_t ref, pusher.Define({"pushed", {{"host", "host-" + std::to_string(i)}}}, {}));
      series.push_back(ref);
    }
    const Meter meter(server_);
    std::vector<client::PushSample> row(series.size());
    for (int64_t n = 0; n < load.rows(); ++n) {
      for (size_t i = 0; i < series.size(); ++i) {
        row[i] = {series[i], load.TimeOf(n), Load::Value(static_cast<int64_t>(i), n)};
      }
      while (!pusher.Push(row).ok()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    PB_RETURN_IF_ERROR(pusher.WaitUntilAcked(std::chrono::minutes(2)));
    meter.Print("Pusher (PushStream)", "batches of 5,000", tls_, load.rows() * load.series);
    return absl::OkStatus();
  }

  absl::Status Export(const char* name, const std::string& selector, v1::TextFormat format, v1::CsvLayout layout) {
    v1::ExportRequest request;
    request.set_selector(selector);
    request.set_format(format);
    request.mutable_csv()->set_layout(layout);
    request.mutable_start_time()->set_seconds(SystemClock().NowUnixNanos() / kNanosPerSecond - 86'400);
    const Meter meter(server_);
    PB_ASSIGN_OR_RETURN(const v1::ExportSummary summary,
                        client::ExportText(login_.channel, *login_.session, request,
                                           [](std::string_view /*bytes*/) { return absl::OkStatus(); }));
    meter.Print("export", name, tls_, summary.sample_count());
    return absl::OkStatus();
  }

 private:
  class Meter {
   public:
    explicit Meter(const testing::ServerProcess& server)
        : server_(server), cpu_(testing::CpuSeconds(server.pid())), start_(std::chrono::steady_clock::now()) {}
    void Print(const char* what, const char* name, const std::string& tls, int64_t samples) const {
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
      const double million = static_cast<double>(samples) / 1e6;
      std::printf("| %s %s, TLS %s | %.2f M samples/s; server %.3f CPU-s per million; RSS %.0f MB |\n", what, name,
                  tls.c_str(), million / seconds, (testing::CpuSeconds(server_.pid()) - cpu_) / million,
                  static_cast<double>(testing::ResidentBytes(server_.pid())) / 1e6);
    }

   private:
    const testing::ServerProcess& server_;
    const double cpu_;
    const std::chrono::steady_clock::time_point start_;
  };

  testing::ServerProcess server_;
  const std::string tls_;
  testing::Login login_;
};

absl::Status BenchServer(const Load& load, const std::string& om, const std::string& lines, const std::string& wide,
                         const char* tls) {
  ServerBench bench(tls);
  PB_RETURN_IF_ERROR(bench.Start());
  PB_RETURN_IF_ERROR(bench.Push(load));
  PB_RETURN_IF_ERROR(bench.Import("OpenMetrics", v1::TEXT_FORMAT_OPENMETRICS, om));
  PB_RETURN_IF_ERROR(bench.Import("CSV long", v1::TEXT_FORMAT_CSV, lines));
  PB_RETURN_IF_ERROR(bench.Import("CSV wide", v1::TEXT_FORMAT_CSV, wide));
  PB_RETURN_IF_ERROR(bench.Export("OpenMetrics", "om", v1::TEXT_FORMAT_OPENMETRICS, v1::CSV_LAYOUT_UNSPECIFIED));
  PB_RETURN_IF_ERROR(bench.Export("CSV long", "csv_long", v1::TEXT_FORMAT_CSV, v1::CSV_LAYOUT_LONG));
  return bench.Export("CSV wide", "csv_wide", v1::TEXT_FORMAT_CSV, v1::CSV_LAYOUT_WIDE);
}

int Run(const Load& load) {
  const std::string om = OpenMetricsText(load), lines = LongText(load), wide = WideText(load);
  std::printf("| measured | result |\n|---|---|\n");
  OpenMetricsParser om_parser(OpenMetricsParser::Dialect::kOpenMetrics, {});
  BenchParser("OpenMetrics", om, {}, &om_parser);
  const SplitterOptions csv{.quotes = true, .strip_return = true};
  BenchParser("CSV long", lines, csv, CsvParser::Make({}, {}).value().get());
  BenchParser("CSV wide", wide, csv, CsvParser::Make({}, {}).value().get());
  for (const char* tls : {"off", "on"}) {
    if (const absl::Status status = BenchServer(load, om, lines, wide, tls); !status.ok()) {
      std::fprintf(stderr, "transfer_bench: %s\n", StatusMessage(status).c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace pulseboard

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  pulseboard::Load load;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--samples=", 10) == 0) load.samples = std::atoll(argv[i] + 10);
    if (std::strncmp(argv[i], "--series=", 9) == 0) load.series = std::atoll(argv[i] + 9);
  }
  return pulseboard::Run(load);
}

// index_bench: what a million series cost. Alone (SeriesIndex) and as a whole server fed by one PushStream over a real
// socket. Prints a Markdown table. `index_bench [--series N] [--no-server]`; default 1,000,000.
//
// A series is a metric of 20 and six labels: cluster (2), namespace (20), service (200), node (500), container (3) and
// a pod of its own.
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/wire/status.h"
#include "pulseboard/v1/ingest.grpc.pb.h"
#include "server/storage/series_index.h"
#include "tests/bench/peers/report.h"
#include "tests/support/client.h"
#include "tests/support/grpc_test.h"

namespace pulseboard::bench {
namespace {

constexpr int kSeriesPerBatch = 5'000;

void Row(const std::string& what, const std::string& result) {
  std::printf("| %s | %s |\n", what.c_str(), result.c_str());
  std::fflush(stdout);
}

double Seconds(int64_t since) { return static_cast<double>(SystemClock().MonotonicNanos() - since) / 1e9; }

SeriesKey KeyOf(int64_t i) {
  const auto text = [](const char* prefix, int64_t n) { return prefix + std::to_string(n); };
  const int64_t service = i / 20 % 200;
  return {text("app.metric_", i % 20),
          {{"cluster", text("eu-west-", i / 500'000)},
           {"namespace", text("team-", service % 20)},
           {"service", text("service-", service)},
           {"node", text("ip-10-0-0-", i * 7919 % 500)},
           {"container", text("c", i % 3)},
           {"pod", text("service-", service) + "-7d9f8b6c5-" + std::to_string(100'000'000 + i * 7)}}};
}

void MeasureSelect(const SeriesIndex& index, const std::string& text) {
  const Selector selector = Selector::Parse(text).value();
  std::vector<double> micros;
  size_t picked = 0;
  const int64_t start = SystemClock().MonotonicNanos();
  while (micros.size() < 5 || (micros.size() < 1'000 && Seconds(start) < 1)) {
    const int64_t at = SystemClock().MonotonicNanos();
    picked = index.Select(kDefaultTenant, selector).size();
    micros.push_back(Seconds(at) * 1e6);
  }
  std::sort(micros.begin(), micros.end());
  Row("Select `" + text + "`", Text("%zu series; p50 %.1f us, p99 %.1f us", picked, micros[micros.size() / 2],
                                    micros[micros.size() * 99 / 100]));
}

void MeasureIndex(int64_t series) {
  SeriesIndex index(1, [](SeriesId) { return absl::OkStatus(); });
  malloc_trim(0);
  const int64_t before = testing::ResidentBytes(getpid());
  const int64_t start = SystemClock().MonotonicNanos();
  double longest_ms = 0;
  for (int64_t i = 0; i < series; ++i) {
    const SeriesKey key = KeyOf(i);
    const int64_t at = SystemClock().MonotonicNanos();
    if (!index.FindOrCreate(kDefaultTenant, key, {}, nullptr).ok()) std::abort();
    longest_ms = std::max(longest_ms, Seconds(at) * 1e3);
  }
  const double seconds = Seconds(start);
  malloc_trim(0);
  const auto bytes = static_cast<double>(testing::ResidentBytes(getpid()) - before);
  Row(Text("SeriesIndex, %lld series", static_cast<long long>(series)),
      Text("%.0f bytes per series; %.0f k series/s created, longest %.1f ms", bytes / static_cast<double>(series),
           static_cast<double>(series) / seconds / 1e3, longest_ms));
  for (const char* text :
       {"app.metric_7{pod=\"service-5-7d9f8b6c5-100000749\"}", "app.metric_7{service=\"service-10\"}",
        "app.metric_7{service=\"service-10\",node=\"ip-10-0-0-3\"}", "app.metric_7{namespace!=\"team-3\"}",
        "app.metric_7{pod=~\"service-10-.*\"}", "app.metric_7{service=~\"service-1|service-2|service-3\"}",
        "{service=~\"service-1.*\"}", "app.metric_7{pod=~\".+\"}", "app.metric_7{nolabel=\"\"}", "{pod=~\".*777\"}"}) {
    MeasureSelect(index, text);
  }
  const int64_t at = SystemClock().MonotonicNanos();
  const CardinalityReport report = index.Cardinality(kDefaultTenant, Selector(), {1, 1}, CardinalityOrder::kSeries, 20);
  Row("Cardinality, top 20",
      Text("%.0f ms; %lld series", Seconds(at) * 1e3, static_cast<long long>(report.total.series)));
}

// Pushes `series` new series with one sample each, then `rounds` more samples of each.
class ManySeries {
 public:
  ManySeries(const testing::Login& login, int64_t series)
      : series_(series), stub_(v1::IngestService::NewStub(login.channel)) {
    login.Prepare(&context_);
    stream_ = stub_->PushStream(&context_);
    reader_ = std::thread([this] { ReadAcks(); });
  }

  // Seconds until all is acked.
  double Push(bool define, int64_t time) {
    const int64_t start = SystemClock().MonotonicNanos();
    for (int64_t first = 0; first < series_; first += kSeriesPerBatch) {
      v1::PushStreamRequest batch;
      for (int64_t i = first; i < std::min(series_, first + kSeriesPerBatch); ++i) {
        if (define) Define(i, batch.add_definitions());
        batch.add_refs(static_cast<uint32_t>(i + 1));
        batch.add_time_offsets_nanos(0);
        batch.add_values(static_cast<double>(i % 1'000) / 10);
      }
      batch.set_base_time_unix_nanos(time);
      {
        MutexLock lock(&mu_);
        while (!over_ && sequence_ - acked_ >= window_) changed_.Wait(&mu_);
        if (over_) break;
        if (sequence_ == 0) batch.set_producer_id("index-bench");
        batch.set_sequence(++sequence_);
        sent_at_.push_back(SystemClock().MonotonicNanos());
      }
      if (!stream_->Write(batch)) break;
    }
    MutexLock lock(&mu_);
    while (!over_ && acked_ < sequence_) changed_.Wait(&mu_);
    return Seconds(start);
  }

  absl::Status Finish() {
    stream_->WritesDone();
    reader_.join();
    PB_RETURN_IF_ERROR(FromGrpcStatus(stream_->Finish()));
    if (refused_ == 0) return absl::OkStatus();
    return absl::InternalError(std::to_string(refused_) + " samples were refused: the numbers mean nothing");
  }
  double TakeLongestAckMillis() {
    MutexLock lock(&mu_);
    return std::exchange(longest_ms_, 0);
  }

 private:
  static void Define(int64_t i, v1::PushSeriesDefinition* to) {
    const SeriesKey key = KeyOf(i);
    to->set_ref(static_cast<uint32_t>(i + 1));
    to->set_metric(key.metric);
    for (const Label& label : key.labels) {
      auto* one = to->add_labels();
      one->set_name(label.name);
      one->set_value(label.value);
    }
  }

  void ReadAcks() {
    v1::PushStreamResponse ack;
    while (stream_->Read(&ack)) {
      MutexLock lock(&mu_);
      window_ = std::max(ack.max_unacked_batches(), 1);
      for (const auto& refused : ack.refusal_counts()) refused_ += refused.count();
      for (; acked_ < ack.acked_sequence(); ++acked_) {
        longest_ms_ = std::max(longest_ms_, Seconds(sent_at_.front()) * 1e3);
        sent_at_.pop_front();
      }
      changed_.NotifyAll();
    }
    MutexLock lock(&mu_);
    over_ = true;
    changed_.NotifyAll();
  }

  const int64_t series_;
  const std::unique_ptr<v1::IngestService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::PushStreamRequest, v1::PushStreamResponse>> stream_;
  std::thread reader_;
  int64_t refused_ = 0;
  Mutex mu_;
  CondVar changed_;
  bool over_ PB_GUARDED_BY(mu_) = false;
  int64_t sequence_ PB_GUARDED_BY(mu_) = 0;
  int64_t acked_ PB_GUARDED_BY(mu_) = 0;
  int64_t window_ PB_GUARDED_BY(mu_) = 1;
  double longest_ms_ PB_GUARDED_BY(mu_) = 0;
  std::deque<int64_t> sent_at_ PB_GUARDED_BY(mu_);
};

double Megabytes(const testing::ServerProcess& server) {
  return static_cast<double>(testing::ResidentBytes(server.pid())) / (1 << 20);
}

absl::Status MeasureRestart(const std::string& what, testing::ServerProcess* server) {
  const int64_t start = SystemClock().MonotonicNanos();
  PB_RETURN_IF_ERROR(server->Start(std::chrono::seconds(120)));
  Row("start after " + what, Text("%.1f s until ready; RSS %.0f MiB", Seconds(start), Megabytes(*server)));
  return absl::OkStatus();
}

absl::Status MeasureServer(int64_t series) {
  testing::ServerProcess server;
  PB_RETURN_IF_ERROR(server.Start());
  {
    PB_ASSIGN_OR_RETURN(const testing::Login login, testing::LogInAsAdmin(server));
    const double before = Megabytes(server);
    ManySeries load(login, series);
    const int64_t time = SystemClock().NowUnixNanos() - 600 * kNanosPerSecond;
    double seconds = load.Push(true, time);
    Row("server: new series through one PushStream, durable",
        Text("%.0f k series/s; longest ack %.0f ms; RSS %.0f MiB (%.0f before)",
             static_cast<double>(series) / seconds / 1e3, load.TakeLongestAckMillis(), Megabytes(server), before));
    seconds = 0;
    for (int64_t round = 1; round <= 10; ++round) seconds += load.Push(false, time + round * 10 * kNanosPerSecond);
    Row("10 samples more of each",
        Text("%.2f M samples/s; longest ack %.0f ms; RSS %.0f MiB", static_cast<double>(series) * 10 / seconds / 1e6,
             load.TakeLongestAckMillis(), Megabytes(server)));
    PB_RETURN_IF_ERROR(load.Finish());
  }
  server.Kill();
  PB_RETURN_IF_ERROR(MeasureRestart("kill -9", &server));
  const int64_t start = SystemClock().MonotonicNanos();
  server.Terminate(std::chrono::seconds(120));
  Row("SIGTERM to end", Text("%.1f s", Seconds(start)));
  return MeasureRestart("SIGTERM", &server);
}

absl::Status Run(int64_t series, bool with_server) {
  std::printf("%s before the run\n\n| measured | result |\n|---|---|\n", MachineLine().c_str());
  MeasureIndex(series);
  malloc_trim(0);
  return with_server ? MeasureServer(series) : absl::OkStatus();
}

}  // namespace
}  // namespace pulseboard::bench

int main(int argc, char** argv) {
  int64_t series = 1'000'000;
  bool with_server = true;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--series" && i + 1 < argc) series = std::atoll(argv[++i]);
    if (std::string(argv[i]) == "--no-server") with_server = false;
  }
  if (const absl::Status status = pulseboard::bench::Run(series, with_server); !status.ok()) {
    std::fprintf(stderr, "index_bench: %s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}

#include <algorithm>
#include <atomic>
#include <deque>
#include <random>
#include <thread>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/wire/status.h"
#include "pulseboard/v1/ingest.grpc.pb.h"
#include "tests/bench/live_loads.h"
#include "tests/bench/own_cpu_seconds.h"

namespace pulseboard::bench {
namespace {

constexpr int kSeriesPerStream = 1'000;
constexpr int64_t kStepNanos = 10 * kNanosPerMilli;

// One stream: a thread that writes as far ahead as the window allows, and one that reads acks.
class PushStreamLoad {
 public:
  PushStreamLoad(const testing::Login& login, std::shared_ptr<grpc::Channel> channel, int number, int batch_samples)
      : stub_(v1::IngestService::NewStub(channel)) {
    client::AddBearer(&context_, login.session->CurrentToken());
    stream_ = stub_->PushStream(&context_);
    batch_.set_producer_id("bench-" + std::to_string(SystemClock().NowUnixNanos()) + "-" + std::to_string(number));
    for (int i = 0; i < kSeriesPerStream; ++i) {
      auto* definition = batch_.add_definitions();
      definition->set_ref(static_cast<uint32_t>(i + 1));
      definition->set_metric("bench.gauge");
      for (const auto& [name, value] : {std::pair<std::string, int>{"stream", number}, {"series", i}}) {
        auto* label = definition->add_labels();
        label->set_name(name);
        label->set_value(std::to_string(value));
      }
    }
    std::mt19937 random(static_cast<unsigned>(number));
    for (int i = 0; i < batch_samples; ++i) {
      batch_.add_refs(static_cast<uint32_t>(i % kSeriesPerStream + 1));
      batch_.add_time_offsets_nanos(i / kSeriesPerStream * kStepNanos);
      batch_.add_values(static_cast<double>(random() % 10'000) / 100);
    }
    steps_per_batch_ = (batch_samples + kSeriesPerStream - 1) / kSeriesPerStream;
    // Back in time, so that a long run does not come ahead of the server's clock.
    time_ = SystemClock().NowUnixNanos() - 20 * kNanosPerDay;
  }

  void Start() {
    reader_ = std::thread([this] { ReadAcks(); });
    writer_ = std::thread([this] { Write(); });
  }
  absl::Status Stop() {
    {
      MutexLock lock(&mu_);
      stop_ = true;
      changed_.NotifyAll();
    }
    writer_.join();
    reader_.join();
    PB_RETURN_IF_ERROR(FromGrpcStatus(stream_->Finish()));
    if (refused_ == 0) return absl::OkStatus();
    return absl::InternalError(std::to_string(refused_) + " samples were refused: the numbers mean nothing");
  }
  int64_t acked_batches() const { return acked_; }
  std::vector<double> TakeAckMillis() {
    MutexLock lock(&mu_);
    return std::move(ack_ms_);
  }

 private:
  void Write() {
    for (int64_t sequence = 1;; ++sequence) {
      {
        MutexLock lock(&mu_);
        while (!stop_ && sequence - acked_ > window_) changed_.Wait(&mu_);
        if (stop_) break;
        sent_at_.push_back(SystemClock().MonotonicNanos());
      }
      batch_.set_sequence(sequence);
      batch_.set_base_time_unix_nanos(time_);
      batch_.set_pushed_unix_nanos(SystemClock().NowUnixNanos());
      time_ += steps_per_batch_ * kStepNanos;
      for (int i = 0; i < 16; ++i) {  // a gauge that moves: a new value here and there
        const int at = static_cast<int>(sequence * 31 + i) % batch_.values_size();
        batch_.set_values(at, static_cast<double>((sequence * 7 + i) % 10'000) / 100);
      }
      if (!stream_->Write(batch_)) break;
      batch_.clear_definitions();
      batch_.clear_producer_id();
    }
    stream_->WritesDone();
  }

  void ReadAcks() {
    v1::PushStreamResponse ack;
    while (stream_->Read(&ack)) {
      const int64_t now = SystemClock().MonotonicNanos();
      MutexLock lock(&mu_);
      window_ = std::max(ack.max_unacked_batches(), 1);
      for (const auto& refused : ack.refusal_counts()) refused_ += refused.count();
      for (; acked_ < ack.acked_sequence(); ++acked_) {
        ack_ms_.push_back(static_cast<double>(now - sent_at_.front()) / 1e6);
        sent_at_.pop_front();
      }
      changed_.NotifyAll();
    }
    MutexLock lock(&mu_);
    stop_ = true;
    changed_.NotifyAll();
  }

  const std::unique_ptr<v1::IngestService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::PushStreamRequest, v1::PushStreamResponse>> stream_;
  v1::PushStreamRequest batch_;
  int64_t steps_per_batch_ = 1;
  int64_t time_ = 0;
  std::thread writer_, reader_;
  std::atomic<int64_t> acked_ = 0;
  std::atomic<int64_t> refused_ = 0;
  Mutex mu_;
  CondVar changed_;
  bool stop_ PB_GUARDED_BY(mu_) = false;
  int64_t window_ PB_GUARDED_BY(mu_) = 1;
  std::deque<int64_t> sent_at_ PB_GUARDED_BY(mu_);
  std::vector<double> ack_ms_ PB_GUARDED_BY(mu_);
};

void Sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// Unary calls that follow each other; as many as there are callers at any time.
struct UnaryCaller {
  grpc::ClientContext* context = nullptr;
  v1::PushRequest request;
  v1::PushResponse response;
  int64_t started = 0;
};

class UnaryLoad {
 public:
  UnaryLoad(const testing::Login& login, int callers, int samples)
      : login_(login), stub_(v1::IngestService::NewStub(login.channel)), callers_(static_cast<size_t>(callers)) {
    for (size_t c = 0; c < callers_.size(); ++c) {
      for (int i = 0; i < samples; ++i) {
        auto* sample = callers_[c].request.add_samples();
        sample->set_metric("bench.row");
        (*sample->mutable_labels())["caller"] = std::to_string(c);
        (*sample->mutable_labels())["row"] = std::to_string(i);
        sample->set_value(static_cast<double>(i));
      }
    }
  }
  void Start() {
    for (UnaryCaller& caller : callers_) Call(&caller);
  }
  void Stop() {
    MutexLock lock(&mu_);
    stop_ = true;
    while (under_way_ > 0) idle_.Wait(&mu_);
  }
  int64_t calls() const { return calls_; }
  int64_t errors() const { return errors_; }
  std::vector<double> TakeMillis() {
    MutexLock lock(&mu_);
    return std::move(ms_);
  }

 private:
  void Call(UnaryCaller* caller) {
    {
      MutexLock lock(&mu_);
      if (stop_) return;
      ++under_way_;
    }
    caller->context = new grpc::ClientContext;
    client::AddBearer(caller->context, login_.session->CurrentToken());
    caller->started = SystemClock().MonotonicNanos();
    stub_->async()->Push(
        caller->context, &caller->request, &caller->response, [this, caller](const grpc::Status& status) {
          const double ms = static_cast<double>(SystemClock().MonotonicNanos() - caller->started) / 1e6;
          delete caller->context;
          ++(status.ok() ? calls_ : errors_);
          {
            MutexLock lock(&mu_);
            ms_.push_back(ms);
            --under_way_;
            if (stop_) return idle_.NotifyAll();
          }
          Call(caller);
        });
  }

  const testing::Login& login_;
  const std::unique_ptr<v1::IngestService::Stub> stub_;
  std::vector<UnaryCaller> callers_;
  std::atomic<int64_t> calls_ = 0, errors_ = 0;
  Mutex mu_;
  CondVar idle_;
  bool stop_ PB_GUARDED_BY(mu_) = false;
  int under_way_ PB_GUARDED_BY(mu_) = 0;
  std::vector<double> ms_ PB_GUARDED_BY(mu_);
};

}  // namespace

double Quantile(std::vector<double>* values, double q) {
  if (values->empty()) return 0;
  std::sort(values->begin(), values->end());
  return (*values)[static_cast<size_t>(q * static_cast<double>(values->size() - 1))];
}

absl::StatusOr<PushResult> RunPushStreams(const BenchServer& server, int streams, int batch_samples, double seconds) {
  std::vector<std::unique_ptr<PushStreamLoad>> loads;
  for (int i = 0; i < streams; ++i) {
    PB_ASSIGN_OR_RETURN(auto channel, testing::OpenTo(server.process, /*own_connection=*/true));
    loads.push_back(std::make_unique<PushStreamLoad>(server.login, std::move(channel), i, batch_samples));
  }
  const auto batches = [&] {
    int64_t sum = 0;
    for (const auto& load : loads) sum += load->acked_batches();
    return sum;
  };
  for (const auto& load : loads) load->Start();
  Sleep(1);  // warm: series made, segments preallocated
  for (const auto& load : loads) load->TakeAckMillis();
  const int64_t batches_before = batches();
  const double cpu_before = testing::CpuSeconds(server.process.pid()), own_before = OwnCpuSeconds();
  const int64_t start = SystemClock().MonotonicNanos();
  Sleep(seconds);
  const double elapsed = static_cast<double>(SystemClock().MonotonicNanos() - start) / 1e9;
  PushResult result;
  result.samples = (batches() - batches_before) * batch_samples;
  const double millions = static_cast<double>(result.samples) / 1e6;
  result.samples_per_second = static_cast<double>(result.samples) / elapsed;
  if (millions > 0) {
    result.server_cpu_per_million = (testing::CpuSeconds(server.process.pid()) - cpu_before) / millions;
    result.client_cpu_per_million = (OwnCpuSeconds() - own_before) / millions;
  }
  std::vector<double> ack_ms;
  for (const auto& load : loads) {
    const std::vector<double> own = load->TakeAckMillis();
    ack_ms.insert(ack_ms.end(), own.begin(), own.end());
    PB_RETURN_IF_ERROR(load->Stop());
  }
  result.ack_p50_ms = Quantile(&ack_ms, 0.5);
  result.ack_p99_ms = Quantile(&ack_ms, 0.99);
  return result;
}

absl::StatusOr<UnaryResult> RunUnaryPush(const BenchServer& server, int callers, int samples, double seconds) {
  UnaryLoad load(server.login, callers, samples);
  load.Start();
  Sleep(1);
  load.TakeMillis();
  const int64_t calls_before = load.calls();
  const double cpu_before = testing::CpuSeconds(server.process.pid());
  const int64_t start = SystemClock().MonotonicNanos();
  Sleep(seconds);
  const double elapsed = static_cast<double>(SystemClock().MonotonicNanos() - start) / 1e9;
  const auto calls = static_cast<double>(load.calls() - calls_before);
  const double cpu = testing::CpuSeconds(server.process.pid()) - cpu_before;
  std::vector<double> ms = load.TakeMillis();
  load.Stop();
  if (load.errors() > 0) return absl::InternalError(std::to_string(load.errors()) + " calls failed");
  if (calls == 0) return absl::DeadlineExceededError("no call came back");
  return UnaryResult{calls / elapsed, cpu / calls * 1e6, Quantile(&ms, 0.5), Quantile(&ms, 0.99)};
}

}  // namespace pulseboard::bench

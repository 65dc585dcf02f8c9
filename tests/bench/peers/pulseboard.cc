#include <grpcpp/generic/generic_stub.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <mutex>

#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/model/labels.h"
#include "common/wire/status.h"
#include "pulseboard/v1/ingest.grpc.pb.h"
#include "tests/bench/peers/peer.h"
#include "tests/bench/peers/pulseboard_files.h"
#include "tests/support/client.h"

namespace pulseboard::bench {
namespace {

constexpr int kBatchSamples = 5'000;

// One PushStream of messages serialized beforehand, as the other servers' requests are.
class SerializedStream final : public grpc::ClientBidiReactor<grpc::ByteBuffer, v1::PushStreamResponse> {
 public:
  SerializedStream(const testing::Login& login, std::shared_ptr<grpc::Channel> channel, const Frames& frames)
      : stub_(std::move(channel)) {
    for (const Frame& frame : frames) {
      const grpc::Slice slice(frame.body.data(), frame.body.size(), grpc::Slice::STATIC_SLICE);
      messages_.emplace_back(&slice, 1);
    }
    client::AddBearer(&context_, login.session->CurrentToken());
  }

  void Start() {
    stub_.PrepareBidiStreamingCall(&context_, "/pulseboard.v1.IngestService/PushStream", {}, this);
    {
      MutexLock lock(&mu_);
      StartRead(&ack_);
      WriteNext();
    }
    StartCall();
  }
  // OK when every batch was acknowledged as fsynced and no sample refused.
  absl::Status Wait() {
    MutexLock lock(&mu_);
    while (!done_) changed_.Wait(&mu_);
    return status_;
  }

 private:
  void OnReadDone(bool ok) override {
    MutexLock lock(&mu_);
    if (!ok) return;
    window_ = std::max(ack_.max_unacked_batches(), 1);
    acked_ = ack_.acked_sequence();
    for (const auto& refused : ack_.refusal_counts()) refused_ += refused.count();
    if (acked_ > 0 && ack_.ack_mode() != v1::ACK_MODE_FSYNCED) ++weak_acks_;
    StartRead(&ack_);
    WriteNext();
  }
  void OnWriteDone(bool ok) override {
    MutexLock lock(&mu_);
    writing_ = false;
    if (ok) WriteNext();
  }
  void OnDone(const grpc::Status& status) override {
    MutexLock lock(&mu_);
    status_ = FromGrpcStatus(status);
    if (status_.ok() && acked_ < static_cast<int64_t>(messages_.size())) {
      status_ = absl::InternalError("the stream ended after " + std::to_string(acked_) + " batches");
    }
    if (status_.ok() && refused_ + weak_acks_ > 0) {
      status_ = absl::InternalError(std::to_string(refused_) + " samples refused, " + std::to_string(weak_acks_) +
                                    " acks without fsync: the numbers mean nothing");
    }
    done_ = true;
    changed_.NotifyAll();
  }
  void WriteNext() PB_REQUIRES(mu_) {
    const auto all = static_cast<int64_t>(messages_.size());
    if (acked_ == all && !closed_) {
      closed_ = true;
      StartWritesDone();
    }
    if (writing_ || next_ == all || next_ - acked_ >= window_) return;
    writing_ = true;
    StartWrite(&messages_[static_cast<size_t>(next_++)]);
  }

  grpc::TemplatedGenericStub<grpc::ByteBuffer, v1::PushStreamResponse> stub_;
  grpc::ClientContext context_;
  std::vector<grpc::ByteBuffer> messages_;
  v1::PushStreamResponse ack_;
  Mutex mu_;
  CondVar changed_;
  int64_t next_ PB_GUARDED_BY(mu_) = 0;
  int64_t acked_ PB_GUARDED_BY(mu_) = 0;
  int64_t window_ PB_GUARDED_BY(mu_) = 1;
  int64_t refused_ PB_GUARDED_BY(mu_) = 0;
  int64_t weak_acks_ PB_GUARDED_BY(mu_) = 0;
  bool writing_ PB_GUARDED_BY(mu_) = false;
  bool closed_ PB_GUARDED_BY(mu_) = false;
  bool done_ PB_GUARDED_BY(mu_) = false;
  absl::Status status_ PB_GUARDED_BY(mu_);
};

// The batches of a stream that carries every `streams`-th host from `first` on: rows in the order of time, as TSBS has
// them, cut every kBatchSamples.
Frames SerializeBatches(const Workload& workload, int first, int streams) {
  v1::PushStreamRequest batch;
  batch.set_producer_id("peers-bench-" + std::to_string(first));
  std::vector<const double*> columns;
  for (int host = first; host < workload.hosts; host += streams) {
    for (int metric = 0; metric < kMetricsPerHost; ++metric) {
      columns.push_back(workload.SeriesValues(host, metric));
      v1::PushSeriesDefinition* definition = batch.add_definitions();
      definition->set_ref(static_cast<uint32_t>(columns.size()));
      definition->set_metric("cpu_" + std::string(kCpuMetrics[static_cast<size_t>(metric)]));
      for (const auto& [name, value] :
           {std::pair<std::string, std::string>{"hostname", HostName(host)}, {"region", std::string(RegionOf(host))}}) {
        v1::Label* label = definition->add_labels();
        label->set_name(name);
        label->set_value(value);
      }
    }
  }
  Frames frames;
  const auto finish = [&] {
    batch.set_sequence(static_cast<int64_t>(frames.size()) + 1);
    frames.push_back({batch.SerializeAsString(), batch.values_size()});
    batch.Clear();
  };
  for (int step = 0; step < workload.steps; ++step) {
    for (size_t series = 0; series < columns.size(); ++series) {
      if (batch.values_size() == 0) batch.set_base_time_unix_nanos(workload.Time(step));
      batch.add_refs(static_cast<uint32_t>(series + 1));
      batch.add_time_offsets_nanos(workload.Time(step) - batch.base_time_unix_nanos());
      batch.add_values(columns[series][step]);
      if (batch.values_size() == kBatchSamples) finish();
    }
  }
  if (batch.values_size() > 0) finish();
  return frames;
}

class Pulseboard final : public Peer {
 public:
  explicit Pulseboard(int streams)
      : Peer("Pulseboard", "PushStream columns, " + std::to_string(streams) + (streams == 1 ? " stream" : " streams")),
        streams_(streams) {}

  std::string AckMeaning() const override { return "fsynced"; }

  absl::Status Prepare(const Workload& workload) override {
    workload_ = &workload;
    for (int i = 0; i < streams_; ++i) frames_.push_back(SerializeBatches(workload, i, streams_));
    return absl::OkStatus();
  }

  absl::Status StartFresh() override {
    login_ = {};
    process_ = std::make_unique<testing::ServerProcess>();
    return Connect();
  }
  absl::Status Restart() override {
    Kill();
    return Connect();
  }

  absl::StatusOr<LoadResult> Load() override {
    std::vector<std::unique_ptr<SerializedStream>> streams;
    for (const Frames& frames : frames_) {
      PB_ASSIGN_OR_RETURN(auto channel, testing::OpenTo(*process_, /*own_connection=*/true));
      streams.push_back(std::make_unique<SerializedStream>(login_.session == nullptr ? testing::Login{} : login_,
                                                           std::move(channel), frames));
    }
    const LoadMeter meter(pid());
    for (const auto& stream : streams) stream->Start();
    absl::Status status;
    for (const auto& stream : streams) status.Update(stream->Wait());
    PB_RETURN_IF_ERROR(status);
    return meter.Finish(workload_->samples());
  }

  absl::Status Settle() override {
    login_ = {};
    if (!process_->Terminate(std::chrono::seconds(60))) return absl::DeadlineExceededError("pulseboardd does not end");
    StoreOptions options;
    options.directory = process_->data_dir();
    PB_RETURN_IF_ERROR(SettleStore(options));
    return Connect();
  }

  absl::StatusOr<int64_t> DataBytes() override {
    PB_ASSIGN_OR_RETURN(const TierBytes bytes, BytesOfTiers(process_->data_dir()));
    rollup_bytes_ = bytes.rollups;
    return bytes.raw;
  }
  int64_t RollupBytes() const override { return rollup_bytes_; }

  absl::StatusOr<std::vector<SampleColumns>> ReadHost(int host) override {
    PB_ASSIGN_OR_RETURN(testing::SeriesMap series, testing::QueryRaw(login_, "{hostname=\"" + HostName(host) + "\"}"));
    std::vector<SampleColumns> out;
    for (const std::string_view metric : kCpuMetrics) {
      const SeriesKey key{"cpu_" + std::string(metric),
                          Labels({{"hostname", HostName(host)}, {"region", std::string(RegionOf(host))}})};
      out.push_back(std::move(series[key.Format()]));
    }
    return out;
  }

  std::string data_dir() const override { return process_->data_dir(); }

  pid_t pid() const override { return process_->pid(); }
  const testing::Login* login() const override { return &login_; }
  void Kill() override {
    login_ = {};
    if (process_ != nullptr) process_->Kill();
  }

 private:
  absl::Status Connect() {
    PB_RETURN_IF_ERROR(process_->Start());
    PB_ASSIGN_OR_RETURN(login_, testing::LogInAsAdmin(*process_));
    return absl::OkStatus();
  }

  const int streams_;
  int64_t rollup_bytes_ = 0;
  const Workload* workload_ = nullptr;
  std::vector<Frames> frames_;  // by stream
  std::unique_ptr<testing::ServerProcess> process_;
  testing::Login login_;
};

}  // namespace

std::unique_ptr<Peer> MakePulseboard(int streams) { return std::make_unique<Pulseboard>(streams); }

}  // namespace pulseboard::bench

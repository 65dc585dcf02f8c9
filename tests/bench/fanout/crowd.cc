#include "tests/bench/fanout/crowd.h"

#include <google/protobuf/io/coded_stream.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <utility>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "pulseboard/v1/live.pb.h"
#include "tests/support/eventually.h"

namespace pulseboard::bench {
namespace {

using google::protobuf::io::CodedInputStream;

// Samples in the columns of a SampleFrame, by the lengths of their values.
int64_t CountValues(CodedInputStream* in) {
  int64_t count = 0;
  while (const uint32_t frame_tag = in->ReadTag()) {
    uint32_t length = 0;
    if (frame_tag != 0x0a || !in->ReadVarint32(&length)) return count;  // columns
    const auto columns = in->PushLimit(static_cast<int>(length));
    while (const uint32_t tag = in->ReadTag()) {
      uint64_t varint = 0;
      if ((tag & 7) == 0) {
        in->ReadVarint64(&varint);
      } else if (in->ReadVarint32(&length)) {
        if (tag >> 3 == v1::SeriesColumns::kValuesFieldNumber) count += length / sizeof(double);
        in->Skip(static_cast<int>(length));
      }
    }
    in->PopLimit(columns);
  }
  return count;
}

// What a message says first: its event. The samples in it, -1 for the end of the backfill.
int64_t Look(const std::string& bytes) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  const int field = static_cast<int>(in.ReadTag() >> 3);
  if (field == v1::SubscribeResponse::kBackfillDoneFieldNumber) return -1;
  if (field != v1::SubscribeResponse::kSamplesFieldNumber) return 0;
  uint32_t length = 0;
  in.ReadVarint32(&length);
  in.PushLimit(static_cast<int>(length));
  return CountValues(&in);
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

}  // namespace

class CrowdViewer final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  CrowdViewer(Crowd& crowd, const BenchServer& server, const std::shared_ptr<grpc::Channel>& channel,
              const std::string& selector, const CrowdOptions& options)
      : crowd_(crowd), with_latencies_(options.with_latencies), stub_(channel) {
    v1::SubscribeRequest request;
    request.add_queries()->set_selector(selector);
    request.set_max_frames_per_second(options.frames_per_second);
    const grpc::Slice slice(request.SerializeAsString());
    request_ = grpc::ByteBuffer(&slice, 1);
    server.login.Prepare(&context_);
    stub_.PrepareBidiStreamingCall(&context_, "/pulseboard.v1.LiveService/Subscribe", grpc::StubOptions(), this);
    AddHold();  // a stalled viewer reads again from outside
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&response_);
    StartCall();
  }

  void Cancel() {
    context_.TryCancel();
    RemoveHold();
  }
  void Stall() { stalled_ = true; }
  std::vector<double> TakeMillis() {
    MutexLock lock(&mu_);
    return std::exchange(millis_, {});
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    const std::string bytes = BytesOf(response_);
    ++crowd_.messages_;
    const int64_t samples = Look(bytes);
    if (samples < 0) ++crowd_.live_;
    if (samples > 0) {
      crowd_.samples_ += samples;
      if (with_latencies_) Note(bytes);
    }
    if (!stalled_) StartRead(&response_);
  }
  void OnDone(const grpc::Status&) override { ++crowd_.ended_; }

 private:
  void Note(const std::string& bytes) {
    v1::SubscribeResponse message;
    if (!message.ParseFromString(bytes)) return;
    const double ms = static_cast<double>(SystemClock().NowUnixNanos() - message.times().pushed_unix_nanos()) / 1e6;
    MutexLock lock(&mu_);
    millis_.push_back(ms);
  }

  Crowd& crowd_;
  const bool with_latencies_;
  std::atomic<bool> stalled_{false};
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  Mutex mu_;
  std::vector<double> millis_ PB_GUARDED_BY(mu_);
};

Crowd::Crowd() = default;

Crowd::~Crowd() {
  for (const auto& viewer : viewers_) viewer->Cancel();
  testing::Eventually([this] { return ended_ == static_cast<int64_t>(viewers_.size()); }, std::chrono::seconds(60));
}

absl::Status Crowd::Open(const BenchServer& server, const CrowdOptions& options) {
  for (int i = 0; i < options.channels; ++i) {
    PB_ASSIGN_OR_RETURN(auto channel, testing::OpenTo(server.process, /*own_connection=*/true));
    channels_.push_back(std::move(channel));
  }
  for (int i = 0; i < options.viewers; ++i) {
    viewers_.push_back(std::make_unique<CrowdViewer>(
        *this, server, channels_[static_cast<size_t>(i % options.channels)], options.selector(i), options));
  }
  const bool all = testing::Eventually([this] { return live_ + ended_ >= static_cast<int64_t>(viewers_.size()); },
                                       std::chrono::seconds(120));
  if (ended_ > 0) return absl::UnavailableError("a viewer's stream ended");
  return all ? absl::OkStatus() : absl::DeadlineExceededError("not all viewers became live");
}

void Crowd::Stall(int viewer) { viewers_[static_cast<size_t>(viewer)]->Stall(); }

std::vector<double> Crowd::TakeMillis(int except) {
  std::vector<double> all;
  for (size_t i = 0; i < viewers_.size(); ++i) {
    const std::vector<double> own = viewers_[i]->TakeMillis();
    if (static_cast<int>(i) != except) all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

}  // namespace pulseboard::bench

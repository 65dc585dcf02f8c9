// A disk that fills up under a running server: pushes are refused and say why, reads and live go on, and with space
// everything goes on without a restart. On a small file system of its own, which only root can make.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/client/pusher.h"
#include "common/client/subscriber.h"
#include "common/wire/status.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "pulseboard/v1/ingest.grpc.pb.h"
#include "tests/integration/server/recording_consumer.h"
#include "tests/support/client.h"
#include "tests/support/eventually.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard::testing {
namespace {

namespace hv1 = grpc::health::v1;

// A file system in memory. Gone with it.
class SmallDisk {
 public:
  // Check mounted() afterwards.
  SmallDisk(const std::string& path, int mebibytes) : path_(path) {
    std::filesystem::create_directories(path);
    const std::string options = "mode=0700,size=" + std::to_string(mebibytes) + "m";
    mounted_ = mount("tmpfs", path.c_str(), "tmpfs", 0, options.c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  int64_t FreeBytes() const {
    struct statvfs info {};
    return statvfs(path_.c_str(), &info) == 0 ? static_cast<int64_t>(info.f_bavail * info.f_frsize) : -1;
  }
  // Leaves about so many bytes.
  void Fill(int64_t leave) {
    const int64_t size = FreeBytes() - leave;
    std::ofstream ballast(path_ + "/ballast", std::ios::binary | std::ios::app);
    const std::string block(64 << 10, 'x');
    for (int64_t written = 0; written < size && ballast.good(); written += static_cast<int64_t>(block.size())) {
      ballast << block << std::flush;
    }
  }
  void Empty() { std::filesystem::remove(path_ + "/ballast"); }

 private:
  const std::string path_;
  bool mounted_ = false;
};

class DiskFull : public ::testing::Test {
 protected:
  void Begin(std::vector<std::string> settings) {
    settings.insert(settings.end(), {"storage.wal_segment=1MiB", "storage.wal_retain=1MiB", "storage.memory=32MiB",
                                     "storage.checkpoint_interval=1s", "server.self_metrics_interval=1h"});
    server_ = std::make_unique<ServerProcess>(ServerProcessOptions{.set = settings});
    disk_ = std::make_unique<SmallDisk>(server_->data_dir(), 96);
    if (!disk_->mounted()) GTEST_SKIP() << "a file system of one's own needs root";
    ASSERT_TRUE(server_->Start().ok());
    auto login = LogInAsAdmin(*server_);
    ASSERT_TRUE(login.ok()) << login.status();
    login_ = *login;
    client::SubscriberOptions watch;
    watch.queries = {{"all", "disk.load", std::chrono::hours(1), 0}};
    watch.max_buffer_bytes = 16 << 20;
    subscriber_ = std::make_unique<client::Subscriber>(login_.channel, login_.session, watch, &viewer_);
    ASSERT_TRUE(Eventually([&] { return viewer_.live(); }));
    start_ = SystemClock().NowUnixNanos();
  }
  ~DiskFull() override {
    subscriber_ = nullptr;
    pusher_ = nullptr;
    if (server_ != nullptr && server_->running()) server_->Kill();
  }

  // One batch of the next samples; whether it was acknowledged.
  absl::Status Push() {
    v1::PushRequest request;
    for (int i = 0; i < 1'000; ++i) {
      v1::Sample* sample = request.add_samples();
      sample->set_metric("disk.load");
      const int64_t time = start_ + (acked_ + i) * kNanosPerMicro;
      sample->mutable_time()->set_seconds(time / kNanosPerSecond);
      sample->mutable_time()->set_nanos(static_cast<int32_t>(time % kNanosPerSecond));
      sample->set_value(static_cast<double>(acked_ + i));
    }
    grpc::ClientContext context;
    login_.Prepare(&context);
    v1::PushResponse response;
    const absl::Status status =
        FromGrpcStatus(v1::IngestService::NewStub(login_.channel)->Push(&context, request, &response));
    if (status.ok()) acked_ += 1'000;
    return status;
  }
  hv1::HealthCheckResponse::ServingStatus Health(const std::string& service) {
    grpc::ClientContext context;
    hv1::HealthCheckRequest request;
    request.set_service(service);
    hv1::HealthCheckResponse response;
    const grpc::Status status = hv1::Health::NewStub(login_.channel)->Check(&context, request, &response);
    return status.ok() ? response.status() : hv1::HealthCheckResponse::UNKNOWN;
  }
  // Every acknowledged sample is stored, once. A batch that was refused may be there too, if its answer got lost.
  void ExpectAllStored() {
    const auto stored = QueryRaw(login_, "disk.load");
    ASSERT_TRUE(stored.ok()) << stored.status();
    const SampleColumns& columns = stored->at("disk.load");
    ASSERT_EQ(static_cast<int64_t>(columns.size()), acked_);
    for (int64_t i = 0; i < acked_; ++i) {
      ASSERT_EQ(columns.times[static_cast<size_t>(i)], start_ + i * kNanosPerMicro);
      ASSERT_EQ(columns.values[static_cast<size_t>(i)], static_cast<double>(i));
    }
  }
  void ExpectReadsAndLiveGoOn() {
    ExpectAllStored();
    RecordingConsumer late_viewer;
    client::SubscriberOptions watch;
    watch.queries = {{"all", "disk.load", std::chrono::hours(1), 0}};
    const client::Subscriber newcomer(login_.channel, login_.session, watch, &late_viewer);
    EXPECT_TRUE(Eventually([&] { return late_viewer.live() && late_viewer.sample_count() == acked_; }));
    EXPECT_EQ(viewer_.state().state, client::SubscriberState::kConnected);
    EXPECT_TRUE(
        Eventually([&] { return Health("pulseboard.v1.IngestService") == hv1::HealthCheckResponse::NOT_SERVING; }));
    EXPECT_EQ(Health("pulseboard.v1.LiveService"), hv1::HealthCheckResponse::SERVING);
    EXPECT_EQ(Health(""), hv1::HealthCheckResponse::SERVING);
  }
  void ExpectToGoOnWithSpace() {
    disk_->Empty();
    ASSERT_TRUE(Eventually([&] { return Push().ok(); }));
    EXPECT_TRUE(Eventually([&] { return Health("pulseboard.v1.IngestService") == hv1::HealthCheckResponse::SERVING; }));
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(Push().ok());
    ExpectAllStored();
    EXPECT_TRUE(Eventually([&] { return viewer_.sample_count() == acked_; })) << viewer_.sample_count();
    EXPECT_EQ(viewer_.out_of_order(), 0);
    EXPECT_EQ(viewer_.resets(), 1);
    server_->Kill();
    ASSERT_TRUE(server_->Start().ok());
    const auto login = LogInAsAdmin(*server_);
    ASSERT_TRUE(login.ok()) << login.status();
    login_ = *login;
    ExpectAllStored();
  }

  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<SmallDisk> disk_;
  Login login_;
  RecordingConsumer viewer_;
  std::unique_ptr<client::Subscriber> subscriber_;
  std::unique_ptr<client::Pusher> pusher_;
  int64_t start_ = 0;
  int64_t acked_ = 0;
};

TEST_F(DiskFull, RefusesPushesWithinTheReserveAndNothingElse) {
  Begin({"storage.min_free_bytes=16MiB"});
  if (IsSkipped()) return;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Push().ok());
  disk_->Fill(8 << 20);
  absl::Status refused;
  ASSERT_TRUE(Eventually([&] { return !(refused = Push()).ok(); }));
  EXPECT_TRUE(HasReason(refused, ErrorReason::kDiskFull)) << refused;
  EXPECT_TRUE(GetErrorDetail(refused)->retry_after_ms.has_value());
  EXPECT_EQ(GetErrorDetail(refused)->metadata.at("setting"), "storage.min_free_bytes");
  ExpectReadsAndLiveGoOn();
  ExpectToGoOnWithSpace();
}

TEST_F(DiskFull, SurvivesADiskThatIsFullToTheLastByte) {
  Begin({"storage.min_free_bytes=0"});
  if (IsSkipped()) return;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Push().ok());
  disk_->Fill(0);
  absl::Status refused;
  // What the log and RocksDB have reserved for themselves is used up first.
  ASSERT_TRUE(Eventually([&] { return !(refused = Push()).ok(); }, std::chrono::seconds(60)));
  EXPECT_TRUE(HasReason(refused, ErrorReason::kDiskFull)) << refused;
  EXPECT_TRUE(GetErrorDetail(refused)->retry_after_ms.has_value());
  ExpectReadsAndLiveGoOn();
  ExpectToGoOnWithSpace();
}

}  // namespace
}  // namespace pulseboard::testing

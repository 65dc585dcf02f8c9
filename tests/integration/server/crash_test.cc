// kill -9 under load: every acknowledged sample is there afterwards, exactly once; a viewer that resumes sees no hole
// and no double. With both ways to acknowledge: what is BUFFERED survives the process as well.
//   PULSEBOARD_KILLS=N  how many times each
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/client/pusher.h"
#include "common/client/subscriber.h"
#include "tests/integration/server/recording_consumer.h"
#include "tests/support/client.h"
#include "tests/support/environment.h"
#include "tests/support/eventually.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard::testing {
namespace {

constexpr int kPushers = 4;
constexpr int64_t kStepNanos = 10 * kNanosPerMicro;

// Pushes 0, 1, 2 … into a series of its own, as fast as a small spool lets it.
class Load {
 public:
  Load(const Login& login, client::PushAckMode ack_mode, int number, int64_t start_unix_nanos)
      : name_("crash.load{pusher=\"" + std::to_string(number) + "\"}"), start_(start_unix_nanos) {
    client::PusherOptions options;
    options.ack_mode = ack_mode;
    options.spool_policy = client::SpoolPolicy::kRefuse;
    options.max_spool_samples = 4'000;
    options.max_batch_samples = 100 + 150 * number;  // several shapes of batches
    options.linger = std::chrono::milliseconds(5);
    options.backoff = {std::chrono::milliseconds(10), std::chrono::milliseconds(200)};
    pusher_ = std::make_unique<client::Pusher>(login.channel, login.session, options);
    series_ = *pusher_->Define({"crash.load", {{"pusher", std::to_string(number)}}}, {});
    thread_ = std::thread([this] { Run(); });
  }
  ~Load() { Stop(); }

  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  client::Pusher& pusher() { return *pusher_; }
  const std::string& name() const { return name_; }
  int64_t pushed() const { return pushed_; }
  int64_t TimeOf(int64_t i) const { return start_ + i * kStepNanos; }

 private:
  void Run() {
    std::vector<client::PushSample> samples;
    while (!stop_) {
      samples.clear();
      for (int64_t i = 0; i < 20; ++i) {
        samples.push_back({series_, TimeOf(pushed_ + i), static_cast<double>(pushed_ + i)});
      }
      if (pusher_->Push(samples).ok()) {
        pushed_ += 20;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the pace of the load: some 10,000 samples/s
    }
  }

  const std::string name_;
  const int64_t start_;
  std::unique_ptr<client::Pusher> pusher_;
  uint32_t series_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> pushed_ = 0;
  std::thread thread_;
};

void ExpectAllOnce(const std::map<std::string, SampleColumns>& series, const Load& load) {
  const auto it = series.find(load.name());
  ASSERT_NE(it, series.end()) << load.name();
  const SampleColumns& columns = it->second;
  ASSERT_EQ(static_cast<int64_t>(columns.size()), load.pushed()) << load.name();
  for (int64_t i = 0; i < load.pushed(); ++i) {
    const auto index = static_cast<size_t>(i);
    ASSERT_EQ(columns.times[index], load.TimeOf(i)) << load.name() << " sample " << i;
    ASSERT_EQ(columns.values[index], static_cast<double>(i)) << load.name() << " sample " << i;
  }
}

struct CrashCase {
  std::string name;
  client::PushAckMode ack_mode;
  uint64_t kills;  // in CI
};

class Crash : public ::testing::TestWithParam<CrashCase> {};

TEST_P(Crash, LosesNoAckedSampleAndDoublesNone) {
  const uint64_t kills = FromEnvironment("PULSEBOARD_KILLS", GetParam().kills);
  // No sync in the background comes to the aid of what is BUFFERED: the process takes down whatever it kept to itself.
  ServerProcess server({.set = {"storage.buffered_sync_interval=10s"}});
  ASSERT_TRUE(server.Start().ok());
  const auto login = LogInAsAdmin(server);
  ASSERT_TRUE(login.ok()) << login.status();

  RecordingConsumer viewer;
  client::SubscriberOptions options;
  options.queries = {{"all", "crash.load", std::chrono::hours(1), 0}};
  options.max_buffer_bytes = 16 << 20;
  options.backoff = {std::chrono::milliseconds(10), std::chrono::milliseconds(200)};
  const client::Subscriber subscriber(login->channel, login->session, options, &viewer);
  ASSERT_TRUE(Eventually([&] { return viewer.live(); }));

  std::vector<std::unique_ptr<Load>> loads;
  const int64_t start = SystemClock().NowUnixNanos();
  for (int i = 0; i < kPushers; ++i) loads.push_back(std::make_unique<Load>(*login, GetParam().ack_mode, i, start));

  std::mt19937 random(20240501);
  for (uint64_t kill = 0; kill < kills; ++kill) {
    for (const auto& load : loads) {
      const int64_t acked_before = load->pusher().stats().acked_samples;
      ASSERT_TRUE(Eventually([&] { return load->pusher().stats().acked_samples > acked_before; }))
          << "kill " << kill << ": " << load->pusher().stats().last_error;
    }
    // Not a synchronisation: the moment of the crash is the random input of this test.
    std::this_thread::sleep_for(std::chrono::milliseconds(std::uniform_int_distribution(0, 200)(random)));
    server.Kill();
    const absl::Status started = server.Start();
    ASSERT_TRUE(started.ok()) << "kill " << kill << ": " << started;
  }
  for (const auto& load : loads) load->Stop();
  int64_t total = 0, resent = 0, duplicates = 0, buffered = 0;
  for (const auto& load : loads) {
    const absl::Status acked = load->pusher().WaitUntilAcked(std::chrono::seconds(30));
    ASSERT_TRUE(acked.ok()) << acked;
    const client::PusherStats stats = load->pusher().stats();
    EXPECT_EQ(stats.acked_samples, load->pushed());
    EXPECT_EQ(stats.refused_samples, 0);
    EXPECT_GE(stats.connects, static_cast<int64_t>(kills / 2)) << "the crashes must have hit streams in use";
    total += load->pushed();
    resent += stats.resent_batches;
    duplicates += stats.duplicate_batches;
    buffered += stats.buffered_batches;
  }
  RecordProperty("samples", std::to_string(total));
  RecordProperty("resent_batches", std::to_string(resent));
  RecordProperty("duplicate_batches", std::to_string(duplicates));
  if (GetParam().ack_mode == client::PushAckMode::kBuffered) {
    EXPECT_GT(buffered, 0) << "the answers must say so";
  } else {
    EXPECT_EQ(buffered, 0) << "the answers must say so";
    EXPECT_GT(resent, 0) << "without resends this test proves nothing about doubles";
  }

  const auto stored = QueryRaw(*login, "crash.load");
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_TRUE(Eventually([&] { return viewer.sample_count() >= total; })) << viewer.sample_count() << " of " << total;
  for (const auto& load : loads) {
    ExpectAllOnce(*stored, *load);
    ExpectAllOnce(viewer.series(), *load);
  }
  EXPECT_EQ(viewer.out_of_order(), 0) << "a double, or samples out of their order";
  EXPECT_EQ(viewer.dropped(), 0);
  EXPECT_EQ(viewer.resets(), 1) << viewer.last_reset();

  // And all of it is still there after a clean restart.
  EXPECT_EQ(server.Terminate(), 0);
  ASSERT_TRUE(server.Start().ok());
  const auto again = LogInAsAdmin(server);
  ASSERT_TRUE(again.ok()) << again.status();
  const auto reread = QueryRaw(*again, "crash.load");
  ASSERT_TRUE(reread.ok()) << reread.status();
  for (const auto& load : loads) ExpectAllOnce(*reread, *load);
}

INSTANTIATE_TEST_SUITE_P(AckModes, Crash,
                         ::testing::Values(CrashCase{"Fsynced", client::PushAckMode::kFsynced, 20},
                                           CrashCase{"Buffered", client::PushAckMode::kBuffered, 8}),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace pulseboard::testing

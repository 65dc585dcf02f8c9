#include <algorithm>
#include <memory>
#include <thread>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/client/pusher.h"
#include "common/client/subscriber.h"
#include "tests/bench/live_loads.h"
#include "tests/support/eventually.h"

namespace pulseboard::bench {
namespace {

// Notes the latency of every live frame.
class Viewer final : public client::SubscriptionConsumer {
 public:
  client::Flow OnEvent(client::SubscriberEvent event) override {
    MutexLock lock(&mu_);
    if (std::holds_alternative<client::BackfillDoneEvent>(event)) {
      live_ = true;
    } else if (const auto* samples = std::get_if<client::SamplesEvent>(&event)) {
      ms_.push_back(static_cast<double>(samples->times.arrived - samples->times.pushed) / 1e6);
      for (const auto& series : samples->series) samples_ += static_cast<int64_t>(series.samples.size());
    } else if (const auto* gap = std::get_if<client::GapEvent>(&event)) {
      dropped_ += gap->dropped_samples;
    }
    return client::Flow::kContinue;
  }
  bool live() const {
    MutexLock lock(&mu_);
    return live_;
  }
  int64_t samples() const {
    MutexLock lock(&mu_);
    return samples_;
  }
  int64_t dropped() const {
    MutexLock lock(&mu_);
    return dropped_;
  }
  std::vector<double> TakeMillis() {
    MutexLock lock(&mu_);
    return std::move(ms_);
  }

 private:
  mutable Mutex mu_;
  bool live_ PB_GUARDED_BY(mu_) = false;
  std::vector<double> ms_ PB_GUARDED_BY(mu_);
  int64_t samples_ PB_GUARDED_BY(mu_) = 0;
  int64_t dropped_ PB_GUARDED_BY(mu_) = 0;
};

class ViewerCrowd {
 public:
  absl::Status Open(const BenchServer& server, int viewers, int channels, const std::string& selector) {
    std::vector<std::shared_ptr<grpc::Channel>> connections;
    for (int i = 0; i < channels; ++i) {
      PB_ASSIGN_OR_RETURN(auto channel, testing::OpenTo(server.process, /*own_connection=*/true));
      connections.push_back(std::move(channel));
    }
    client::SubscriberOptions options;
    options.queries = {{"q", selector, std::chrono::nanoseconds(0), 0}};
    for (int i = 0; i < viewers; ++i) {
      viewers_.push_back(std::make_unique<Viewer>());
      subscribers_.push_back(std::make_unique<client::Subscriber>(
          connections[static_cast<size_t>(i % channels)], server.login.session, options, viewers_.back().get()));
    }
    const bool all_live = testing::Eventually(
        [&] { return std::all_of(viewers_.begin(), viewers_.end(), [](const auto& v) { return v->live(); }); },
        std::chrono::seconds(60));
    return all_live ? absl::OkStatus() : absl::DeadlineExceededError("not all viewers became live");
  }
  ~ViewerCrowd() { subscribers_.clear(); }
  const std::vector<std::unique_ptr<Viewer>>& viewers() const { return viewers_; }

 private:
  std::vector<std::unique_ptr<Viewer>> viewers_;
  std::vector<std::unique_ptr<client::Subscriber>> subscribers_;
};

}  // namespace

absl::StatusOr<LatencyResult> RunViewers(const BenchServer& server, int viewers, int channels, int series,
                                         std::chrono::milliseconds interval, double seconds) {
  const std::string metric = "bench.live" + std::to_string(viewers);
  client::PusherOptions options;
  options.linger = std::chrono::seconds(1);  // every reading is flushed by hand
  client::Pusher pusher(server.login.channel, server.login.session, options);
  std::vector<client::PushSample> samples;
  for (int i = 0; i < series; ++i) {
    PB_ASSIGN_OR_RETURN(const uint32_t ref, pusher.Define({metric, {{"i", std::to_string(i)}}}, {}));
    samples.push_back({ref, 0, 0});
  }
  const auto push = [&](int64_t tick) -> absl::Status {
    for (client::PushSample& sample : samples) {
      sample.time_unix_nanos = SystemClock().NowUnixNanos();
      sample.value = static_cast<double>((tick + sample.series) % 1000) / 10;
    }
    PB_RETURN_IF_ERROR(pusher.Push(samples));
    pusher.Flush();
    return absl::OkStatus();
  };
  PB_RETURN_IF_ERROR(push(0));
  PB_RETURN_IF_ERROR(pusher.WaitUntilAcked(std::chrono::seconds(10)));
  ViewerCrowd crowd;
  PB_RETURN_IF_ERROR(crowd.Open(server, viewers, channels, metric));

  const auto ticks = static_cast<int64_t>(seconds * 1e9) / std::chrono::nanoseconds(interval).count();
  auto next = std::chrono::steady_clock::now();
  double cpu_before = 0;
  int64_t start = 0;
  constexpr int64_t kWarmTicks = 10;
  for (int64_t tick = 1; tick <= ticks + kWarmTicks; ++tick) {
    if (tick == kWarmTicks) {
      for (const auto& viewer : crowd.viewers()) viewer->TakeMillis();
      cpu_before = testing::CpuSeconds(server.process.pid());
      start = SystemClock().MonotonicNanos();
    }
    PB_RETURN_IF_ERROR(push(tick));
    std::this_thread::sleep_until(next += interval);
  }
  PB_RETURN_IF_ERROR(pusher.WaitUntilAcked(std::chrono::seconds(10)));
  const double elapsed = static_cast<double>(SystemClock().MonotonicNanos() - start) / 1e9;
  LatencyResult result;
  result.server_cpu_percent = (testing::CpuSeconds(server.process.pid()) - cpu_before) / elapsed * 100;
  result.server_rss_mb = static_cast<double>(testing::ResidentBytes(server.process.pid())) / 1e6;
  const int64_t expected = (ticks + kWarmTicks) * series;
  const bool complete = testing::Eventually([&] {
    return std::all_of(crowd.viewers().begin(), crowd.viewers().end(),
                       [&](const auto& v) { return v->samples() + v->dropped() >= expected; });
  });
  if (!complete) return absl::InternalError("a viewer missed samples");
  std::vector<double> ms;
  for (const auto& viewer : crowd.viewers()) {
    const std::vector<double> own = viewer->TakeMillis();
    ms.insert(ms.end(), own.begin(), own.end());
    result.dropped += viewer->dropped();
  }
  result.frames = static_cast<int64_t>(ms.size());
  result.samples_per_second = static_cast<double>(ticks * series * viewers) / elapsed;
  result.p50_ms = Quantile(&ms, 0.5);
  result.p99_ms = Quantile(&ms, 0.99);
  return result;
}

absl::StatusOr<double> RunIdleStreams(const BenchServer& server, int streams) {
  const int64_t before = testing::ResidentBytes(server.process.pid());
  ViewerCrowd crowd;
  PB_RETURN_IF_ERROR(crowd.Open(server, streams, 10, "bench.nothing"));
  return static_cast<double>(testing::ResidentBytes(server.process.pid()) - before) / streams;
}

}  // namespace pulseboard::bench

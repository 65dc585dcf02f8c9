#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "common/base/errors.h"
#include "common/wire/model.h"
#include "tests/support/eventually.h"
#include "tests/unit/rpc/data_server.h"

namespace pulseboard {
namespace {

using testing::DataServer;
using testing::DataServerOptions;
using testing::Eventually;
using testing::ReasonOf;
using testing::TestStore;

int64_t Now() { return SystemClock().NowUnixNanos(); }

v1::SubscribeRequest Request(const std::string& selector, int64_t backfill_seconds = 0) {
  v1::SubscribeRequest request;
  request.add_queries()->set_selector(selector);
  request.mutable_queries(0)->mutable_backfill()->set_seconds(backfill_seconds);
  request.set_max_frames_per_second(60);
  return request;
}

DataServerOptions QuickHeartbeats() {
  DataServerOptions options;
  options.hub.progress_interval_ns = 100 * kNanosPerMilli;
  return options;
}

// A blocking reader of one subscription.
class Reader {
 public:
  Reader(DataServer& server, const v1::SubscribeRequest& request, const std::string& access_token = "",
         std::shared_ptr<grpc::Channel> channel = nullptr)
      : stub_(channel == nullptr ? server.live() : v1::LiveService::NewStub(channel)),
        context_(server.Context(access_token)),
        stream_(stub_->Subscribe(context_.get(), request)) {}

  // Reads on until `enough()`; false when the stream ended first.
  template <typename Enough>
  bool ReadUntil(Enough enough) {
    while (!enough()) {
      if (!ReadOne()) return false;
    }
    return true;
  }
  bool ReadOne() {
    if (!stream_->Read(&last)) return false;
    ++messages;
    if (!last.resume_token().empty()) token = last.resume_token();
    for (const auto& definition : last.definitions().definitions()) {
      series[definition.ref()] = static_cast<SeriesId>(definition.series().series_id());
    }
    for (const v1::SampleFrame* frame : {&last.samples(), &last.backfill()}) {
      for (const v1::SeriesColumns& columns : frame->columns()) {
        EXPECT_TRUE(series.contains(columns.ref()));
        SampleColumns decoded;
        EXPECT_TRUE(FromProto(columns, &decoded));
        for (size_t i = 0; i < decoded.size(); ++i)
          samples[series[columns.ref()]][decoded.times[i]] = decoded.values[i];
      }
    }
    if (last.has_progress()) progress = last.progress().commit_sequence();
    if (last.has_gap()) dropped += last.gap().dropped_sample_count();
    return true;
  }
  grpc::Status Finish() { return stream_->Finish(); }
  // Reads to the end.
  grpc::Status End() {
    while (ReadOne()) {
    }
    return stream_->Finish();
  }
  void Cancel() { context_->TryCancel(); }

  v1::SubscribeResponse last;
  int64_t messages = 0;
  std::string token;
  std::map<uint32_t, SeriesId> series;
  std::map<SeriesId, std::map<int64_t, double>> samples;
  int64_t progress = 0;
  int64_t dropped = 0;

 private:
  std::unique_ptr<v1::LiveService::Stub> stub_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReader<v1::SubscribeResponse>> stream_;
};

TEST(LiveService, StreamsDefinitionsBackfillAndLiveSamples) {
  DataServer server;
  const SeriesId cpu = server.store().Series("cpu", {{"host", "a"}});
  const int64_t now = Now();
  server.store().Append({{cpu, now - 5, 1}});
  Reader reader(server, Request("cpu", 60));
  ASSERT_TRUE(reader.ReadUntil([&] { return reader.last.has_backfill_done(); }));
  EXPECT_EQ(reader.last.backfill_done().commit_sequence(), 1);
  EXPECT_EQ(reader.samples[cpu].size(), 1U);
  server.store().Append({{cpu, now, 2}});
  ASSERT_TRUE(reader.ReadUntil([&] { return reader.last.has_samples(); }));
  EXPECT_EQ(reader.samples[cpu].at(now), 2);
  EXPECT_EQ(reader.last.times().pushed_unix_nanos(), 1);
  EXPECT_GE(reader.last.times().sent_unix_nanos(), reader.last.times().committed_unix_nanos());
  EXPECT_GT(reader.last.times().committed_unix_nanos(), now);
  reader.Cancel();
  EXPECT_EQ(reader.End().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return server.hub().Stats().subscriptions == 0 && server.streams().size() == 0; }));
}

TEST(LiveService, GoesOnFromTheTokenOfACancelledCall) {
  DataServer server;
  const SeriesId cpu = server.store().Series("cpu");
  const v1::SubscribeRequest request = Request("cpu", 60);
  Reader first(server, request);
  ASSERT_TRUE(first.ReadUntil([&] { return first.last.has_backfill_done(); }));
  first.Cancel();
  first.End();
  const int64_t now = Now();
  for (int i = 0; i < 50; ++i) server.store().Append({{cpu, now + i, 1.0 * i}});
  v1::SubscribeRequest again = request;
  again.set_resume_token(first.token);
  Reader second(server, again);
  ASSERT_TRUE(second.ReadUntil([&] { return second.samples[cpu].size() == 50; }));
}

TEST(LiveService, RestatesWhatTheLogOfATokenNoLongerHas) {
  DataServerOptions options = QuickHeartbeats();
  // A log that keeps nothing for those who resume.
  options.store = [](StoreOptions* store) {
    store->wal_retain_bytes = 0;
    store->wal_segment_bytes = 64 << 10;
    store->seal_age_ns = kNanosPerMilli;
  };
  DataServer server(options);
  TestStore& store = server.store();
  const SeriesId cpu = store.Series("cpu");
  const SeriesId other = store.Series("other");
  const int64_t time = Now() - kNanosPerSecond;
  const int64_t seen = store.Append({{cpu, time, 1}});
  v1::SubscribeRequest request = Request("cpu", 60);
  Reader first(server, request);
  ASSERT_TRUE(first.ReadUntil([&] { return first.progress >= seen && first.samples[cpu].size() == 1; }));
  first.Cancel();
  first.End();
  // It is replaced, one comes that is late and one that is not, and the log forgets.
  const int64_t missed = store.Append({{cpu, time, 2}, {cpu, time - 1'000, 3}, {cpu, time + 1'000, 4}});
  const auto log_has_it = [&] {
    const absl::Status read = store->ReadCommits(missed, missed + 1, [](const auto&) { return absl::OkStatus(); });
    return !HasReason(read, ErrorReason::kResumeTokenExpired);
  };
  for (int i = 0; i < 200 && log_has_it(); ++i) {
    std::vector<TestStore::Row> rows;
    for (int n = 0; n < 2'000; ++n) rows.push_back({other, time + n, static_cast<double>(i)});
    ASSERT_GT(store.Append(rows), 0);
    ASSERT_TRUE(store->Checkpoint().ok());
  }
  ASSERT_FALSE(log_has_it());

  request.set_resume_token(first.token);
  Reader second(server, request);
  ASSERT_TRUE(second.ReadUntil([&] { return second.last.has_restated(); }));
  EXPECT_TRUE(second.samples.empty()) << "it comes before what replaces";
  EXPECT_LT(second.last.restated().start_time_unix_nanos(), time - 1'000);
  ASSERT_TRUE(second.ReadUntil([&] { return second.progress >= missed || second.samples[cpu].size() == 3; }));
  const std::map<int64_t, double> all = {{time - 1'000, 3}, {time, 2}, {time + 1'000, 4}};
  EXPECT_EQ(second.samples[cpu], all);
  // And live from there.
  store.Append({{cpu, time + 2'000, 5}});
  ASSERT_TRUE(second.ReadUntil([&] { return second.samples[cpu].contains(time + 2'000); }));
}

TEST(LiveService, AnswersBadRequestsWithTheirReason) {
  DataServer server;
  const std::string pusher = server.Token("pusher", Role::kIngest);
  v1::SubscribeRequest many = Request("cpu");
  for (int i = 0; i < 64; ++i) *many.add_queries() = many.queries(0);
  v1::SubscribeRequest unnamed = Request("cpu");
  unnamed.add_queries()->set_selector("mem");
  v1::SubscribeRequest odd_duration = Request("cpu");
  odd_duration.mutable_queries(0)->mutable_backfill()->set_seconds(-1);
  odd_duration.mutable_queries(0)->mutable_backfill()->set_nanos(5);
  v1::SubscribeRequest long_duration = Request("cpu", std::numeric_limits<int64_t>::max());
  v1::SubscribeRequest points = Request("cpu");
  points.mutable_queries(0)->set_max_points(100'001);
  v1::SubscribeRequest token = Request("cpu");
  token.set_resume_token(std::string("\xff\x00 forged", 9));
  struct Case {
    std::string name;
    v1::SubscribeRequest request;
    std::string token;
    ErrorReason reason;
  };
  const std::vector<Case> cases = {
      {"no query", {}, "", ErrorReason::kBadField},
      {"65 queries", many, "", ErrorReason::kBadField},
      {"unnamed queries", unnamed, "", ErrorReason::kBadField},
      {"negative backfill", Request("cpu", -1), "", ErrorReason::kBadField},
      {"odd backfill", odd_duration, "", ErrorReason::kBadField},
      {"long backfill", long_duration, "", ErrorReason::kBadField},
      {"401 days", Request("cpu", 401 * 86'400), "", ErrorReason::kBadField},
      {"points", points, "", ErrorReason::kBadField},
      {"empty selector", Request(""), "", ErrorReason::kBadSelector},
      {"bad regex", Request("cpu{host=~\"(\"}"), "", ErrorReason::kBadSelector},
      {"huge selector", Request(std::string(4'097, 'a')), "", ErrorReason::kBadSelector},
      {"forged token", token, "", ErrorReason::kBadResumeToken},
      {"pusher", Request("cpu"), pusher, ErrorReason::kRoleTooLow},
      {"stranger", Request("cpu"), "nobody", ErrorReason::kTokenInvalid},
  };
  for (const Case& c : cases) {
    Reader reader(server, c.request, c.token);
    const grpc::Status status = reader.End();
    EXPECT_EQ(ReasonOf(status), c.reason) << c.name << ": " << status.error_message();
    EXPECT_EQ(reader.messages, 0) << c.name;
  }
  EXPECT_EQ(server.hub().Stats().subscriptions, 0);
}

TEST(LiveService, LetsASlowReaderSlowNobodyElse) {
  DataServer server(QuickHeartbeats());
  const SeriesId cpu = server.store().Series("cpu");
  v1::SubscribeRequest request = Request("cpu");
  request.set_max_buffer_bytes(1);
  Reader slow(server, request, "", server.NewChannel());
  Reader fast(server, Request("cpu"), "", server.NewChannel());
  ASSERT_TRUE(slow.ReadUntil([&] { return slow.last.has_backfill_done(); }));
  ASSERT_TRUE(fast.ReadUntil([&] { return fast.last.has_backfill_done(); }));
  const int64_t base = Now() - 3'600 * kNanosPerSecond;
  int64_t count = 0;
  // More than the transport's windows and buffers swallow.
  while (server.hub().Stats().dropped_samples == 0 && count < 5'000'000) {
    std::vector<TestStore::Row> rows;
    for (int i = 0; i < 2'000; ++i, ++count) rows.push_back({cpu, base + count, 0.1 * static_cast<double>(count)});
    server.store().Append(rows);
    ASSERT_TRUE(fast.ReadUntil([&] { return fast.samples[cpu].contains(base + count - 1); }));
  }
  EXPECT_EQ(static_cast<int64_t>(fast.samples[cpu].size()), count) << "the fast one missed something";
  EXPECT_EQ(fast.dropped, 0);
  ASSERT_TRUE(slow.ReadUntil([&] { return slow.samples[cpu].contains(base + count - 1); }));
  EXPECT_GT(slow.dropped, 0);
  EXPECT_EQ(static_cast<int64_t>(slow.samples[cpu].size()) + slow.dropped, count);
}

TEST(LiveService, EndsWithAPositionWhenDrained) {
  DataServer server;
  const SeriesId cpu = server.store().Series("cpu");
  Reader reader(server, Request("cpu"));
  ASSERT_TRUE(reader.ReadUntil([&] { return reader.last.has_backfill_done(); }));
  server.store().Append({{cpu, 1, 1}});
  server.streams().DrainAll(/*hard=*/false);
  const grpc::Status status = reader.End();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kShuttingDown);
  EXPECT_EQ(reader.samples[cpu].size(), 1U);
  EXPECT_EQ(reader.progress, 1) << "the last message says how far it got";
  // Who comes now is told the same at once.
  Reader late(server, Request("cpu"));
  EXPECT_EQ(ReasonOf(late.End()), ErrorReason::kShuttingDown);
}

TEST(LiveService, ShutsDownInTimeWithAStuckPeer) {
  DataServer server;
  const SeriesId cpu = server.store().Series("cpu");
  Reader stuck(server, Request("cpu"), "", server.NewChannel());
  ASSERT_TRUE(stuck.ReadUntil([&] { return stuck.last.has_backfill_done(); }));
  int64_t time = 0;
  while (server.hub().Stats().dropped_samples == 0) {
    std::vector<TestStore::Row> rows;
    for (int i = 0; i < 10'000; ++i) rows.push_back({cpu, ++time, 1.0 / static_cast<double>(time)});
    server.store().Append(rows);
  }
  const auto start = std::chrono::steady_clock::now();
  server.streams().DrainAll(/*hard=*/false);
  server.streams().DrainAll(/*hard=*/true);
  server.Stop(std::chrono::seconds(30));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  stuck.Cancel();
}

TEST(LiveService, EndsWithItsSession) {
  DataServer server(QuickHeartbeats());
  Reader expiring(server, Request("cpu"), server.Token("a", Role::kViewer));
  const std::string expired_user = server.user_id();
  Reader revoked(server, Request("cpu"), server.Token("b", Role::kViewer));
  const std::string revoked_user = server.user_id();
  ASSERT_TRUE(expiring.ReadUntil([&] { return expiring.last.has_backfill_done(); }));
  ASSERT_TRUE(revoked.ReadUntil([&] { return revoked.last.has_backfill_done(); }));
  ASSERT_TRUE(server.identity().users->SetActive(kDefaultTenant, revoked_user, false).ok());
  EXPECT_EQ(ReasonOf(revoked.End()), ErrorReason::kTokenInvalid);
  ASSERT_TRUE(server.identity().users->SetRole(kDefaultTenant, expired_user, Role::kEditor).ok());
  const int64_t before = expiring.messages;
  ASSERT_TRUE(expiring.ReadUntil([&] { return expiring.messages > before + 20; })) << "an editor may read as well";
  server.identity().clock.Advance(SessionOptions{}.access_token_life_ns);
  EXPECT_EQ(ReasonOf(expiring.End()), ErrorReason::kTokenExpired);
  EXPECT_FALSE(expiring.token.empty());
}

TEST(LiveService, SurvivesThousandsOfSubscriptionsComingAndGoing) {
  DataServer server;
  std::vector<SeriesId> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(server.store().Series("cpu", {{"i", std::to_string(i)}}));
  std::atomic<bool> stop{false};
  std::thread pusher([&] {
    for (int64_t time = 1; !stop; ++time) server.store().Append({{ids[static_cast<size_t>(time) % 20], time, 1}});
  });
  std::atomic<int> finished{0};
  std::vector<std::thread> viewers;
  for (int t = 0; t < 4; ++t) {
    viewers.emplace_back([&, t] {
      const auto channel = server.NewChannel();
      for (int round = 0; round < 25; ++round) {
        std::vector<std::unique_ptr<Reader>> readers;
        for (int i = 0; i < 20; ++i) {
          readers.push_back(std::make_unique<Reader>(server, Request("cpu", i % 3 == 0 ? 60 : 0), "", channel));
        }
        for (size_t i = 0; i < readers.size(); ++i) {
          if ((i + static_cast<size_t>(t)) % 2 == 0) readers[i]->ReadOne();
          readers[i]->Cancel();
          readers[i]->End();
          ++finished;
        }
      }
    });
  }
  for (std::thread& viewer : viewers) viewer.join();
  stop = true;
  pusher.join();
  EXPECT_EQ(finished, 2'000);
  EXPECT_TRUE(Eventually([&] { return server.hub().Stats().subscriptions == 0 && server.streams().size() == 0; }));
  EXPECT_EQ(server.hub().Stats().routed_series, 0);
  Reader after(server, Request("cpu"));
  EXPECT_TRUE(after.ReadUntil([&] { return after.last.has_backfill_done(); }));
}

}  // namespace
}  // namespace pulseboard

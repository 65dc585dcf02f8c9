// Tokens older than the log: the store says what happened since.
#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "server/live/hub.h"
#include "tests/support/eventually.h"
#include "tests/support/test_store.h"
#include "tests/unit/live/viewer.h"

namespace pulseboard {
namespace {

using testing::Eventually;
using testing::TestStore;
using testing::Viewer;
using testing::ViewerState;

int64_t Now() { return SystemClock().NowUnixNanos(); }

class HubRestateTest : public ::testing::Test {
 protected:
  HubRestateTest() {
    // A log that keeps nothing for those who resume.
    store_.ReopenWith([](StoreOptions* options) {
      options->wal_retain_bytes = 0;
      options->wal_segment_bytes = 64 << 10;
      options->seal_age_ns = kNanosPerMilli;
    });
    store_.Reopen(&hub_);
    hub_.Attach(*store_);
  }
  ~HubRestateTest() override { hub_.Close(); }

  // A viewer sees a first sample and leaves; its last state.
  void WatchOneSample(SeriesId series, ViewerState* last) {
    const int64_t commit = store_.Append({{series, Now() - 1'000'000, 1}});
    const auto viewer = Viewer::Open(hub_, Spec());
    ASSERT_TRUE(Eventually([&] { return viewer->state().commit_sequence >= commit; }));
    *last = viewer->state();
    viewer->Close();
  }
  // Commits until the log no longer has the commit after `commit`.
  void LoseLog(SeriesId other, int64_t commit) {
    for (int i = 0; i < 200; ++i) {
      std::vector<TestStore::Row> rows;
      for (int n = 0; n < 2'000; ++n) rows.push_back({other, Now() - 10'000 + n, static_cast<double>(i)});
      ASSERT_GT(store_.Append(rows), 0);
      ASSERT_TRUE(store_->Checkpoint().ok());
      const absl::Status read = store_->ReadCommits(commit, commit + 1, [](const auto&) { return absl::OkStatus(); });
      if (HasReason(read, ErrorReason::kResumeTokenExpired)) return;
    }
    FAIL() << "the log keeps everything";
  }

  static SubscriptionSpec Spec() {
    SubscriptionSpec spec;
    spec.tenant = kDefaultTenant;
    spec.queries.push_back({"", "cpu", 3'600 * kNanosPerSecond, 0});
    return spec;
  }

  Hub hub_{[] {
    HubOptions options;
    options.progress_interval_ns = 100 * kNanosPerMilli;
    return options;
  }()};
  TestStore store_{&hub_};
};

TEST_F(HubRestateTest, ATokenOlderThanTheLogGoesOnFromTheStore) {
  const SeriesId cpu = store_.Series("cpu");
  const SeriesId other = store_.Series("other");
  ViewerState state;
  ASSERT_NO_FATAL_FAILURE(WatchOneSample(cpu, &state));
  const int64_t time = Now();
  const int64_t missed = store_.Append({{cpu, time, 2}});
  // A late one as well, and a value that is replaced.
  store_.Append({{cpu, time - 20 * 60 * kNanosPerSecond, 3}});
  LoseLog(other, missed);
  const auto viewer = Viewer::Open(hub_, Spec(), state);
  ASSERT_TRUE(Eventually([&] { return viewer->state().samples[cpu].size() == 3; })) << viewer->story();
  EXPECT_EQ(viewer->state().restated.size(), 1U);
  store_.Append({{cpu, Now(), 4}});
  EXPECT_TRUE(Eventually([&] { return viewer->state().samples[cpu].size() == 4; })) << viewer->story();
  EXPECT_TRUE(viewer->breaches().empty()) << viewer->breaches().front();
  // And on from there by token.
  ASSERT_TRUE(Eventually([&] { return !viewer->state().token.empty(); }));
}

TEST_F(HubRestateTest, ATokenOlderThanSamplesAreKeptIsExpired) {
  const SeriesId cpu = store_.Series("cpu");
  const SeriesId other = store_.Series("other");
  ViewerState state;
  ASSERT_NO_FATAL_FAILURE(WatchOneSample(cpu, &state));
  LoseLog(other, store_.Append({{cpu, Now(), 2}}));
  RetentionPolicy policy = store_->Retention();
  policy.SetForAll(kNanosPerMilli, {});
  store_->SetRetention(policy);
  const auto viewer = Viewer::Open(hub_, Spec(), state);
  ASSERT_TRUE(Eventually([&] { return viewer->end().has_value(); })) << viewer->story();
  EXPECT_TRUE(HasReason(*viewer->end(), ErrorReason::kResumeTokenExpired)) << StatusMessage(*viewer->end());
  const auto detail = GetErrorDetail(*viewer->end());
  EXPECT_TRUE(detail->metadata.contains("oldestTimeUnixNanos"));
  EXPECT_TRUE(detail->metadata.contains("oldestCommitSequence"));
}

}  // namespace
}  // namespace pulseboard

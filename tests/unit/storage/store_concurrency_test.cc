// Views, observers and sealing while several threads append.
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "common/base/mutex.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

using SamplesBySeries = std::map<SeriesId, std::map<int64_t, double>>;

// What a perfect memory would hold. Used only under the commit lock: in OnCommit and at cuts.
class PerfectObserver final : public CommitObserver {
 public:
  void OnCommit(const CommittedBatch& batch) noexcept override {
    if (batch.commit_sequence != last + 1) hole = true;
    last = batch.commit_sequence;
    for (size_t i = 0; i < batch.series.size(); ++i) samples[batch.series[i]][batch.times[i]] = batch.values[i];
  }
  int64_t last = 0;
  bool hole = false;
  SamplesBySeries samples;
};

class StoreConcurrencyTest : public StoreTest {
 protected:
  static constexpr int kWriters = 3;
  static constexpr int kBatches = 150;

  StoreConcurrencyTest() {
    options_.clock = &SystemClock();
    options_.block_samples = 16;
    options_.seal_age_ns = 0;
    options_.checkpoint_interval_ns = 5 * kNanosPerMilli;
    options_.wal_segment_bytes = 64 << 10;
    options_.raw_retention_ns = 100'000 * kNanosPerDay / 10;  // the samples are of 2023
    observer_ = &observer_object_;
  }
  ~StoreConcurrencyTest() override { Close(); }

  void Write(int writer) {
    std::mt19937_64 random(static_cast<uint64_t>(writer));
    for (int i = 0; i < kBatches; ++i) {
      AppendBatch batch;
      batch.tenant = kDefaultTenant;
      batch.producer_id = "w" + std::to_string(writer);
      batch.sequence = i + 1;
      for (int s = 0; s < 20; ++s) {
        batch.series.push_back(series_[random() % series_.size()]);
        batch.times.push_back(kStart + static_cast<int64_t>(random() % 2000) * kNanosPerSecond);
        batch.values.push_back(static_cast<double>(random() % 1000));
      }
      const auto receipt = Push(std::move(batch));
      ASSERT_TRUE(receipt.ok()) << receipt.status();
    }
  }

  PerfectObserver observer_object_;
  std::vector<SeriesId> series_;
};

TEST_F(StoreConcurrencyTest, EveryViewIsExactlyWhatTheObserverKnewAtItsCut) {
  Open();
  for (int i = 0; i < 6; ++i) series_.push_back(Series("m" + std::to_string(i)));
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w) threads.emplace_back([this, w] { Write(w); });
  std::atomic<int> views = 0;
  std::thread reader([&] {
    while (!stop) {
      SamplesBySeries expected;
      int64_t cut = -1;
      const auto view = store_->OpenView(series_, kAllTime, [&](int64_t commit) {
        cut = commit;
        EXPECT_EQ(commit, observer_object_.last);
        expected = observer_object_.samples;
      });
      ASSERT_TRUE(view.ok());
      EXPECT_EQ((*view)->commit_sequence(), cut);
      for (const SeriesId id : series_) {
        const auto samples = (*view)->Read(id, kAllTime);
        ASSERT_TRUE(samples.ok()) << samples.status();
        ASSERT_EQ(samples->size(), expected[id].size()) << "cut " << cut << " series " << id;
        size_t i = 0;
        for (const auto& [time, value] : expected[id]) {
          ASSERT_EQ(samples->times[i], time);
          ASSERT_EQ(samples->values[i++], value);
        }
      }
      ++views;
    }
  });
  std::thread poller([&] {
    while (!stop) {
      EXPECT_TRUE(store_->Latest(series_[0]).ok());
      EXPECT_TRUE(store_->Health().ok());
      EXPECT_GE(store_->Stats().head_samples, 0);
      const int64_t newest = store_->Stats().commit_sequence;
      EXPECT_TRUE(store_
                      ->ReadCommits(std::max<int64_t>(0, newest - 5), newest,
                                    [](const CommittedBatch&) { return absl::OkStatus(); })
                      .ok());
      Series("other" + std::to_string(newest % 50));
      EXPECT_GE(store_->SelectSeries(kDefaultTenant, Selector()).size(), 6u);
    }
  });
  for (std::thread& t : threads) t.join();
  WaitUntil([&] { return views > 20; });
  stop = true;
  reader.join();
  poller.join();
  EXPECT_FALSE(observer_object_.hole);
  EXPECT_EQ(observer_object_.last, kWriters * kBatches);
  EXPECT_GT(store_->Stats().sealed_blocks, 0);
}

TEST_F(StoreConcurrencyTest, AnObserverThatAttachesAtACutMissesNothingAndSeesNothingTwice) {
  Open();
  for (int i = 0; i < 4; ++i) series_.push_back(Series("m" + std::to_string(i)));
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w) threads.emplace_back([this, w] { Write(w); });
  // What a resuming subscriber does: replay the log up to a cut, then take over from the observer.
  for (int round = 0; round < 30; ++round) {
    int64_t cut = 0;
    SamplesBySeries known;
    store_->Cut([&](int64_t commit) {
      cut = commit;
      known = observer_object_.samples;
    });
    SamplesBySeries replayed;
    int64_t next = 1;
    ASSERT_TRUE(store_
                    ->ReadCommits(0, cut,
                                  [&](const CommittedBatch& batch) {
                                    EXPECT_EQ(batch.commit_sequence, next++);
                                    for (size_t i = 0; i < batch.series.size(); ++i) {
                                      replayed[batch.series[i]][batch.times[i]] = batch.values[i];
                                    }
                                    return absl::OkStatus();
                                  })
                    .ok());
    EXPECT_EQ(next, cut + 1);
    EXPECT_EQ(replayed, known);
  }
  for (std::thread& t : threads) t.join();
}

TEST_F(StoreConcurrencyTest, BatchesOfOneCallerCompleteInOrder) {
  Open();
  series_.push_back(Series("m"));
  std::vector<int64_t> sequences;
  std::atomic<int> done = 0;
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(store_
                    ->Append(Batch(series_[0], {{kStart + i, i}}),
                             [&](const absl::StatusOr<CommitReceipt>& receipt) {
                               sequences.push_back(receipt->commit_sequence);
                               ++done;
                             })
                    .ok());
  }
  WaitUntil([&] { return done == 500; });
  for (int i = 0; i < 500; ++i) EXPECT_EQ(sequences[static_cast<size_t>(i)], i + 1);
}

}  // namespace
}  // namespace pulseboard

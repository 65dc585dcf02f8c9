// TestStore: a real Store in a folder that goes with it, and a small language to fill it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/store.h"
#include "tests/support/temp_dir.h"

namespace pulseboard::testing {

class TestStore {
 public:
  explicit TestStore(CommitObserver* observer = nullptr, const Clock& clock = SystemClock()) {
    InitLogging("warn");
    options_.directory = dir_.path() + "/store";
    options_.clock = &clock;
    options_.wal_segment_bytes = 1 << 20;
    Open(observer);
  }

  // Closes and opens again, as after a restart of the server.
  void Reopen(CommitObserver* observer) {
    store_ = nullptr;
    Open(observer);
  }
  void Close() { store_ = nullptr; }

  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }

  SeriesId Series(const std::string& metric, Labels labels = {}, TenantId tenant = kDefaultTenant) {
    return *store_->FindOrCreateSeries(tenant, {metric, std::move(labels)}, {}, nullptr);
  }

  struct Row {
    SeriesId series;
    int64_t time;
    double value;
  };
  // Appends one batch and waits until it is committed. Its commit sequence.
  int64_t Append(const std::vector<Row>& rows, TenantId tenant = kDefaultTenant) {
    AppendBatch batch;
    batch.tenant = tenant;
    batch.ack_mode = AckMode::kBuffered;  // the page cache is durable enough for a test
    batch.pushed_unix_nanos = 1;
    batch.received_unix_nanos = 2;
    for (const Row& row : rows) {
      batch.series.push_back(row.series);
      batch.times.push_back(row.time);
      batch.values.push_back(row.value);
    }
    std::promise<int64_t> committed;
    const absl::Status queued =
        store_->Append(std::move(batch), [&committed](const absl::StatusOr<CommitReceipt>& receipt) {
          committed.set_value(receipt.ok() ? receipt->commit_sequence : -1);
        });
    EXPECT_TRUE(queued.ok()) << StatusMessage(queued);
    if (!queued.ok()) return -1;
    return committed.get_future().get();
  }

  // As options, for what the test wants different; before anything is appended.
  void ReopenWith(const std::function<void(StoreOptions*)>& change) {
    store_ = nullptr;
    change(&options_);
    Open(nullptr);
  }

  SampleColumns Read(SeriesId series, TimeRange range = kAllTime) {
    const std::vector<SeriesId> ids = {series};
    auto view = store_->OpenView(ids, range, nullptr);
    EXPECT_TRUE(view.ok());
    auto samples = (*view)->Read(series, range);
    EXPECT_TRUE(samples.ok()) << StatusMessage(samples.status());
    return samples.ok() ? *samples : SampleColumns{};
  }

 private:
  void Open(CommitObserver* observer) {
    auto opened = Store::Open(options_, observer);
    ASSERT_TRUE(opened.ok()) << StatusMessage(opened.status());
    store_ = *std::move(opened);
  }

  TempDir dir_;
  StoreOptions options_;
  std::unique_ptr<Store> store_;
};

}  // namespace pulseboard::testing

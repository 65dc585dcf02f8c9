#include "tests/unit/storage/store_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <system_error>

namespace pulseboard {

namespace fs = std::filesystem;

TempDir::TempDir() {
  path_ = (fs::temp_directory_path() / "pulseboard-test-XXXXXX").string();
  if (mkdtemp(path_.data()) == nullptr) std::abort();
}

TempDir::~TempDir() {
  std::error_code error;
  fs::remove_all(path_, error);
}

void RecordingObserver::OnCommit(const CommittedBatch& batch) noexcept {
  commits.push_back({batch.commit_sequence,
                     batch.tenant,
                     {batch.series.begin(), batch.series.end()},
                     {batch.times.begin(), batch.times.end()},
                     {batch.values.begin(), batch.values.end()},
                     {batch.late.begin(), batch.late.end()}});
}

namespace {

std::map<std::string, uintmax_t> FilesAndSizes(const std::string& directory) {
  std::map<std::string, uintmax_t> sizes;
  std::error_code ignored;  // a file that goes away meanwhile is missing in the answer, which then differs
  for (const auto& entry : fs::recursive_directory_iterator(directory, ignored)) {
    if (entry.is_regular_file(ignored)) sizes[entry.path().string()] = entry.file_size(ignored);
  }
  return sizes;
}

}  // namespace

StoreTest::StoreTest() {
  options_.directory = dir_.path() + "/store";
  options_.clock = &clock_;
  options_.wal_segment_bytes = 1 << 20;
  options_.checkpoint_interval_ns = 3600 * kNanosPerSecond;  // tests checkpoint themselves
}

void StoreTest::Open() {
  store_.reset();
  absl::StatusOr<std::unique_ptr<Store>> opened = Store::Open(options_, observer_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  store_ = *std::move(opened);
}

void StoreTest::Crash() {
  const std::string copy = dir_.path() + "/crash" + std::to_string(++crashes_);
  // A crash stops everything at one moment, a copy takes a while: it is taken again when a file came, went or grew in
  // the background meanwhile, or the copied manifest would name tables that were not copied.
  std::error_code error;
  std::map<std::string, uintmax_t> before;
  do {
    before = FilesAndSizes(options_.directory);
    fs::remove_all(copy);
    fs::copy(options_.directory, copy, fs::copy_options::recursive, error);
  } while (error == std::errc::no_such_file_or_directory || FilesAndSizes(options_.directory) != before);
  ASSERT_FALSE(error) << error.message();
  store_.reset();
  options_.directory = copy;
}

SeriesId StoreTest::Series(const std::string& metric, Labels labels) {
  return store_->FindOrCreateSeries(kDefaultTenant, SeriesKey{metric, std::move(labels)}, SeriesMetadata{}, nullptr)
      .value();
}

absl::StatusOr<CommitReceipt> StoreTest::Push(AppendBatch batch) {
  std::promise<absl::StatusOr<CommitReceipt>> promise;
  const absl::Status queued = store_->Append(
      std::move(batch), [&promise](const absl::StatusOr<CommitReceipt>& receipt) { promise.set_value(receipt); });
  if (!queued.ok()) return queued;
  return promise.get_future().get();
}

AppendBatch StoreTest::Batch(SeriesId series, const Points& points) const {
  AppendBatch batch;
  batch.tenant = kDefaultTenant;
  batch.ack_mode = ack_mode_;
  for (const auto& [time, value] : points) {
    batch.series.push_back(series);
    batch.times.push_back(time);
    batch.values.push_back(value);
  }
  return batch;
}

absl::StatusOr<CommitReceipt> StoreTest::Push(SeriesId series, const Points& points) {
  return Push(Batch(series, points));
}

Points StoreTest::Read(SeriesId series, TimeRange range) {
  const SeriesId ids[] = {series};
  absl::StatusOr<std::unique_ptr<ReadView>> view = store_->OpenView(ids, range, nullptr);
  EXPECT_TRUE(view.ok()) << view.status();
  if (!view.ok()) return {};
  absl::StatusOr<SampleColumns> samples = (*view)->Read(series, range);
  EXPECT_TRUE(samples.ok()) << samples.status();
  Points points;
  if (!samples.ok()) return points;
  for (size_t i = 0; i < samples->size(); ++i) points.emplace_back(samples->times[i], samples->values[i]);
  return points;
}

void StoreTest::SealAll() {
  clock_.Advance(options_.seal_age_ns + 1);
  const absl::Status status = store_->Checkpoint();
  ASSERT_TRUE(status.ok()) << status;
}

std::vector<std::string> StoreTest::FilesIn(const std::string& folder, const std::string& suffix) const {
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator(options_.directory + "/" + folder)) {
    if (entry.path().string().ends_with(suffix)) paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace pulseboard

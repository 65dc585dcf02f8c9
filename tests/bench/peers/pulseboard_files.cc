#include "tests/bench/peers/pulseboard_files.h"

#include <rocksdb/db.h>

#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "tests/bench/peers/peer.h"

namespace pulseboard::bench {
namespace {

constexpr int kStillSeconds = 3;
constexpr int kMaxSettleSeconds = 60;
constexpr std::string_view kRawPrefix = "raw.";
// tenant, series, start: server/storage/FORMAT.md.
constexpr size_t kSeriesAt = 4;

class ReadOnlyDatabase {
 public:
  static absl::StatusOr<std::unique_ptr<ReadOnlyDatabase>> Open(const std::string& directory) {
    std::unique_ptr<ReadOnlyDatabase> out(new ReadOnlyDatabase);
    std::vector<std::string> names;
    rocksdb::Status status = rocksdb::DB::ListColumnFamilies({}, directory + "/db", &names);
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const std::string& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    if (status.ok()) {
      status = rocksdb::DB::OpenForReadOnly({}, directory + "/db", families, &out->families_, &out->db_);
    }
    if (!status.ok()) return absl::InternalError("read " + directory + ": " + status.ToString());
    return out;
  }
  ~ReadOnlyDatabase() {
    if (db_ == nullptr) return;
    for (rocksdb::ColumnFamilyHandle* family : families_) db_->DestroyColumnFamilyHandle(family);
    delete db_;
  }
  rocksdb::DB* db() const { return db_; }
  const std::vector<rocksdb::ColumnFamilyHandle*>& families() const { return families_; }

 private:
  ReadOnlyDatabase() = default;
  rocksdb::DB* db_ = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
};

}  // namespace

absl::Status SettleStore(StoreOptions options) {
  options.seal_age_ns = 0;
  options.checkpoint_interval_ns = kNanosPerSecond;
  for (int round = 0; round < 2; ++round) {  // opening it again writes the log of the first round as table files
    PB_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::Open(options, nullptr));
    PB_RETURN_IF_ERROR(store->Checkpoint());
    // Rollups are filled and windows that are over compacted behind our back: until nothing moves any more.
    int64_t size = -1;
    for (int still = 0, i = 0; still < kStillSeconds && i < kMaxSettleSeconds; ++i) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      const int64_t now = BytesBelow(options.directory + "/db", ".sst");
      still = now == size ? still + 1 : 0;
      size = now;
    }
    PB_RETURN_IF_ERROR(store->Close());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, int64_t>> FamilyBytes(const std::string& directory) {
  PB_ASSIGN_OR_RETURN(const auto database, ReadOnlyDatabase::Open(directory));
  std::map<std::string, int64_t> bytes;
  for (rocksdb::ColumnFamilyHandle* family : database->families()) {
    rocksdb::ColumnFamilyMetaData data;
    database->db()->GetColumnFamilyMetaData(family, &data);
    bytes[family->GetName()] = static_cast<int64_t>(data.size);
  }
  return bytes;
}

absl::StatusOr<TierBytes> BytesOfTiers(const std::string& directory) {
  PB_ASSIGN_OR_RETURN(const auto families, FamilyBytes(directory));
  TierBytes bytes;
  for (const auto& [name, size] : families) {
    // Windows are named by tier and first day: a digit follows the dot.
    const size_t dot = name.find('.');
    if (dot == std::string::npos || dot + 1 == name.size() || name[dot + 1] < '0' || name[dot + 1] > '9') continue;
    (name.starts_with(kRawPrefix) ? bytes.raw : bytes.rollups) += size;
  }
  return bytes;
}

absl::StatusOr<std::map<uint64_t, int64_t>> RawSeriesBytes(const std::string& directory) {
  PB_ASSIGN_OR_RETURN(const auto database, ReadOnlyDatabase::Open(directory));
  std::map<uint64_t, int64_t> bytes;
  for (rocksdb::ColumnFamilyHandle* family : database->families()) {
    if (!family->GetName().starts_with(kRawPrefix)) continue;
    const std::unique_ptr<rocksdb::Iterator> it(database->db()->NewIterator({}, family));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      const std::string_view key(it->key().data(), it->key().size());
      bytes[GetBigEndian<uint64_t>(key.substr(kSeriesAt))] += static_cast<int64_t>(it->value().size());
    }
    if (!it->status().ok()) return absl::InternalError("read blocks: " + it->status().ToString());
  }
  return bytes;
}

}  // namespace pulseboard::bench

#include "tests/bench/peers/pulseboard_files.h"

#include <rocksdb/db.h>

#include <memory>
#include <utility>
#include <vector>

#include "common/base/endian.h"
#include "common/base/errors.h"

namespace pulseboard::bench {
namespace {

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

absl::Status SettleStore(const StoreOptions& options) {
  for (int round = 0; round < 2; ++round) {  // opening it again writes the log of the first round as table files
    PB_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::Open(options, nullptr));
    PB_RETURN_IF_ERROR(store->Checkpoint());
    PB_RETURN_IF_ERROR(store->Close());
  }
  return absl::OkStatus();
}

absl::Status SettleStore(const std::string& directory) {
  StoreOptions options;
  options.directory = directory;
  options.seal_age_ns = 0;
  return SettleStore(options);
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

absl::StatusOr<int64_t> RawTierBytes(const std::string& directory) {
  PB_ASSIGN_OR_RETURN(const auto families, FamilyBytes(directory));
  int64_t bytes = 0;
  for (const auto& [name, size] : families) {
    if (name.starts_with(kRawPrefix)) bytes += size;
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
      bytes[GetBigEndian<uint64_t>(key.substr(kSeriesAt))] += static_cast<int64_t>(key.size() + it->value().size());
    }
    if (!it->status().ok()) return absl::InternalError("read blocks: " + it->status().ToString());
  }
  return bytes;
}

}  // namespace pulseboard::bench

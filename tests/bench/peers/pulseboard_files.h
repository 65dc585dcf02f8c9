// Pulseboard's data folder with no server on it: brought to its final form, and what takes how much room.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/storage/store.h"

namespace pulseboard::bench {

// Seals every open sample and lets RocksDB write what is in its log.
absl::Status SettleStore(const std::string& directory);
absl::Status SettleStore(const StoreOptions& options);

// Bytes of the table files of each column family.
absl::StatusOr<std::map<std::string, int64_t>> FamilyBytes(const std::string& directory);
// Of the families that hold samples as they were pushed; rollup tiers apart.
absl::StatusOr<int64_t> RawTierBytes(const std::string& directory);
// Keys and blocks of each series in the raw tier.
absl::StatusOr<std::map<uint64_t, int64_t>> RawSeriesBytes(const std::string& directory);

}  // namespace pulseboard::bench

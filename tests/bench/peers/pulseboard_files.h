// Pulseboard's data folder with no server on it: brought to its final form, and what takes how much room.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/storage/store.h"

namespace pulseboard::bench {

// Seals every open sample, lets the store fill and compact what it does by itself, and RocksDB write its log.
absl::Status SettleStore(StoreOptions options);

// Bytes of the table files of each column family.
absl::StatusOr<std::map<std::string, int64_t>> FamilyBytes(const std::string& directory);
struct TierBytes {
  int64_t raw = 0;      // families that hold samples as they were pushed
  int64_t rollups = 0;  // all others with a window
};
absl::StatusOr<TierBytes> BytesOfTiers(const std::string& directory);
// Blocks of each series in the raw tier.
absl::StatusOr<std::map<uint64_t, int64_t>> RawSeriesBytes(const std::string& directory);

}  // namespace pulseboard::bench

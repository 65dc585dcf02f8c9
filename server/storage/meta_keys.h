// The store's own rows in the `meta` family. Bytes: FORMAT.md.
#pragma once

#include <cstdint>

namespace pulseboard {

// Written; newer ones are refused. Version 1 knew raw windows of one day only, named as today.
inline constexpr uint32_t kStoreFormat = 2;
inline constexpr char kFormatKey[] = "store/format";
inline constexpr char kStoreIdKey[] = "store/id";
inline constexpr char kCheckpointKey[] = "store/checkpoint";
inline constexpr char kDeleteKeyPrefix[] = "store/delete/";
inline constexpr char kNextSeriesIdKey[] = "store/next_series_id";
inline constexpr char kSeriesAgesKey[] = "store/series_ages";
inline constexpr char kNewestTimeKey[] = "store/newest_time";
inline constexpr char kEpochsKey[] = "store/epochs";
inline constexpr char kRetentionFloorsKey[] = "store/retention_floors";
inline constexpr char kPresencePrefix[] = "store/presence/";  // and a window's family

// Then the family name of a window that was flushed and compacted as a whole; no value.
inline constexpr char kClosedWindowPrefix[] = "store/closed/";

}  // namespace pulseboard

// The store's own rows in the `meta` family. Bytes: FORMAT.md.
#pragma once

#include <cstdint>

namespace pulseboard {

inline constexpr uint32_t kStoreFormat = 1;  // written; newer ones are refused
inline constexpr char kFormatKey[] = "store/format";
inline constexpr char kStoreIdKey[] = "store/id";
inline constexpr char kCheckpointKey[] = "store/checkpoint";
inline constexpr char kNextSeriesIdKey[] = "store/next_series_id";

}  // namespace pulseboard

// The store's own rows in the `meta` family. Bytes: FORMAT.md.
#pragma once

namespace pulseboard {

inline constexpr char kFormatKey[] = "store/format";
inline constexpr char kStoreIdKey[] = "store/id";
inline constexpr char kCheckpointKey[] = "store/checkpoint";
inline constexpr char kNextSeriesIdKey[] = "store/next_series_id";

}  // namespace pulseboard

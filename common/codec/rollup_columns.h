// The columns of a rollup block. What is known of one from the others is taken out first: a bucket begins near where
// the one before ended, the extremes lie beyond both ends, and the times beyond the first. Byte layout: FORMAT.md.
#pragma once

#include <cstddef>
#include <string>

#include "common/codec/bytes.h"
#include "common/codec/integers.h"
#include "common/model/rollups.h"

namespace pulseboard {

// Appends all columns but the starts. REQUIRES: at least one bucket.
void EncodeRollupColumns(const RollupColumns& columns, std::string* out);

// Appends the columns of `fields` for the buckets whose starts stand in `out` from `first` on. False when the bytes, up
// to the end of `in`, are not such columns; what was appended is unspecified then.
bool DecodeRollupColumns(ByteReader* in, RollupFields fields, size_t first, RollupColumns* out);

}  // namespace pulseboard

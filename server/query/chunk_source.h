// ChunkSource: the answer of one streaming query, made chunk by chunk on a worker thread.
#pragma once

#include "absl/status/statusor.h"

namespace pulseboard {

struct RangeChunk;

// Thread-compatible.
class ChunkSource {
 public:
  virtual ~ChunkSource() = default;
  // The next chunk; the last one carries the summary, none may be asked for after it or after an error.
  virtual absl::StatusOr<RangeChunk> Next() = 0;
};

}  // namespace pulseboard

// What one record of the write-ahead log holds: a committed batch with the definitions of the series it is the first to
// use. Byte layout: FORMAT.md, "Commit record".
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/labels.h"
#include "server/storage/store.h"

namespace pulseboard {

// A record read back. Reused between records to save allocations.
struct WalRecord {
  int64_t commit_sequence = 0;
  int64_t committed_unix_nanos = 0;
  AppendBatch batch;
  std::vector<std::shared_ptr<const SeriesInfo>> definitions;
  std::vector<uint32_t> late;  // as in CommittedBatch

  CommittedBatch View() const;
};

// Appends the record's bytes. `late`: as in CommittedBatch.
void EncodeWalRecord(int64_t commit_sequence, int64_t committed_unix_nanos, const AppendBatch& batch,
                     std::span<const std::shared_ptr<const SeriesInfo>> definitions, std::span<const uint32_t> late,
                     std::string* out);
// False when the bytes are no record. They may be hostile.
bool DecodeWalRecord(std::string_view bytes, WalRecord* record);

// A series definition, as in the log and in the `series` family.
void EncodeSeriesInfo(const SeriesInfo& info, std::string* out);
std::shared_ptr<const SeriesInfo> DecodeSeriesInfo(std::string_view bytes);  // null for other bytes

}  // namespace pulseboard

// What DeleteSamples has decided and not forgotten: a row of the `meta` family, and what it means for the log. Bytes:
// FORMAT.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/labels.h"
#include "common/model/samples.h"
#include "server/storage/store.h"

namespace pulseboard {

// The samples of `series` within `range` that were committed up to `commit_sequence` are deleted. As long as the log
// holds such commits the record stays, so that none of them comes back from it.
struct DeleteRecord {
  uint64_t number = 0;  // of the row; ascending
  bool erased = false;  // the blocks are free of them; false: still to be done, before anything else is sealed
  int64_t commit_sequence = 0;
  TenantId tenant = 0;
  TimeRange range;
  std::vector<SeriesId> series;  // ascending
};
using DeleteRecords = std::vector<DeleteRecord>;
using DeleteRecordsPtr = std::shared_ptr<const DeleteRecords>;

std::string DeleteRecordKey(uint64_t number);
std::string EncodeDeleteRecord(const DeleteRecord& record);
// False for bytes that are no such row.
bool ParseDeleteRecord(std::string_view key, std::string_view value, DeleteRecord* record);

// A commit as it is after later deletions. Not thread-safe; reused between commits to save allocations.
class DeletedFilter {
 public:
  explicit DeletedFilter(DeleteRecordsPtr records) : records_(std::move(records)) {}
  // The same batch, or one without the deleted samples; its spans live until the next call.
  CommittedBatch Apply(const CommittedBatch& batch);

 private:
  bool IsDeleted(const CommittedBatch& batch, size_t i) const;

  const DeleteRecordsPtr records_;  // may be null
  std::vector<SeriesId> series_;
  std::vector<int64_t> times_;
  std::vector<double> values_;
  std::vector<uint32_t> late_;
};

}  // namespace pulseboard

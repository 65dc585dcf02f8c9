#include "server/storage/delete_record.h"

#include <algorithm>

#include "common/base/endian.h"
#include "common/codec/bytes.h"
#include "server/storage/meta_keys.h"

namespace pulseboard {
namespace {

constexpr uint64_t kErased = 1;

}  // namespace

std::string DeleteRecordKey(uint64_t number) {
  std::string key = kDeleteKeyPrefix;
  PutBigEndian(&key, number);
  return key;
}

std::string EncodeDeleteRecord(const DeleteRecord& record) {
  std::string value;
  PutVarint(&value, record.erased ? kErased : 0);
  PutVarint(&value, static_cast<uint64_t>(record.commit_sequence));
  PutVarint(&value, record.tenant);
  PutZigZag(&value, record.range.start);
  PutZigZag(&value, record.range.end);
  PutVarint(&value, record.series.size());
  SeriesId last = 0;
  for (const SeriesId id : record.series) {
    PutVarint(&value, id - last);
    last = id;
  }
  return value;
}

bool ParseDeleteRecord(std::string_view key, std::string_view value, DeleteRecord* record) {
  const std::string_view prefix = kDeleteKeyPrefix;
  if (!key.starts_with(prefix) || key.size() != prefix.size() + sizeof(uint64_t)) return false;
  record->number = GetBigEndian<uint64_t>(key.substr(prefix.size()));
  ByteReader reader(value);
  const uint64_t state = reader.Varint();
  record->erased = state == kErased;
  record->commit_sequence = static_cast<int64_t>(reader.Varint());
  record->tenant = static_cast<TenantId>(reader.Varint());
  record->range.start = FromZigZag(reader.Varint());
  record->range.end = FromZigZag(reader.Varint());
  const uint64_t count = reader.Varint();
  record->series.clear();
  if (!reader.ok() || state > kErased || count > reader.remaining()) return false;  // a byte each at least
  record->series.reserve(static_cast<size_t>(count));
  SeriesId last = 0;
  for (uint64_t i = 0; i < count; ++i) {
    last += reader.Varint();
    record->series.push_back(last);
  }
  return reader.ok() && reader.remaining() == 0 && std::is_sorted(record->series.begin(), record->series.end());
}

bool DeletedFilter::IsDeleted(const CommittedBatch& batch, size_t i) const {
  return std::any_of(records_->begin(), records_->end(), [&](const DeleteRecord& record) {
    return record.commit_sequence >= batch.commit_sequence && record.tenant == batch.tenant &&
           record.range.Contains(batch.times[i]) &&
           std::binary_search(record.series.begin(), record.series.end(), batch.series[i]);
  });
}

CommittedBatch DeletedFilter::Apply(const CommittedBatch& batch) {
  if (records_ == nullptr || records_->empty() || records_->back().commit_sequence < batch.commit_sequence)
    return batch;
  series_.clear();
  times_.clear();
  values_.clear();
  late_.clear();
  auto late = batch.late.begin();
  for (size_t i = 0; i < batch.series.size(); ++i) {
    const bool is_late = late != batch.late.end() && *late == i;
    if (is_late) ++late;
    if (IsDeleted(batch, i)) continue;
    if (is_late) late_.push_back(static_cast<uint32_t>(series_.size()));
    series_.push_back(batch.series[i]);
    times_.push_back(batch.times[i]);
    values_.push_back(batch.values[i]);
  }
  CommittedBatch left = batch;
  left.series = series_;
  left.times = times_;
  left.values = values_;
  left.late = late_;
  return left;
}

}  // namespace pulseboard

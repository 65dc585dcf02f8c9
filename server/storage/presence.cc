#include "server/storage/presence.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/checksum.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/block_store.h"
#include "server/storage/meta_keys.h"

namespace pulseboard {
namespace {

std::string RowKey(const Window& window) { return std::string(kPresencePrefix) + FamilyName(window); }

std::string RowValue(const SeriesSet& series) {
  std::string bytes;
  series.Encode(&bytes);
  std::string value;
  PutLittleEndian(&value, Crc32(bytes));
  return value + bytes;
}

bool ParseRow(std::string_view value, SeriesSet* series) {
  if (value.size() < sizeof(uint32_t)) return false;
  const std::string_view bytes = value.substr(sizeof(uint32_t));
  return GetLittleEndian<uint32_t>(value) == Crc32(bytes) && SeriesSet::Decode(bytes, series);
}

}  // namespace

absl::Status Presence::Load(const Window& window) {
  std::string value;
  const rocksdb::Status read = rocks_->Get("meta", RowKey(window), &value);
  if (!read.ok() && !read.IsNotFound()) return FromRocks(read, "read presence");
  Entry entry{window, {}};
  entry.has_row = read.ok();
  entry.known = read.ok() && ParseRow(value, &entry.series);
  entry.changed = !entry.known;
  if (read.ok() && !entry.known) {
    PB_LOG(Warning, "storage", "dropped unreadable presence family={}", FamilyName(window));
  }
  MutexLock lock(&mu_);
  entries_.insert_or_assign(FamilyName(window), std::move(entry));
  return absl::OkStatus();
}

void Presence::AddNew(const Window& window) {
  MutexLock lock(&mu_);
  entries_.insert_or_assign(FamilyName(window), Entry{window, {}, true});
}

absl::Status Presence::Remove(const Window& window) {
  {
    MutexLock lock(&mu_);
    entries_.erase(FamilyName(window));
  }
  rocksdb::WriteBatch batch;
  PB_RETURN_IF_ERROR(FromRocks(batch.Delete(rocks_->fixed("meta").get(), RowKey(window)), "remove presence"));
  return rocks_->Write(&batch, "remove presence");
}

absl::Status Presence::Change(const Window& window, rocksdb::WriteBatch* batch, Entry* entry) {
  entry->changed = true;
  if (!std::exchange(entry->has_row, false)) return absl::OkStatus();
  return FromRocks(batch->Delete(rocks_->fixed("meta").get(), RowKey(window)), "change presence");
}

absl::Status Presence::Add(const Window& window, const SeriesSet& series, rocksdb::WriteBatch* batch) {
  MutexLock lock(&mu_);
  const auto it = entries_.find(FamilyName(window));
  if (it == entries_.end()) return absl::OkStatus();
  const bool is_news = it->second.series.CountCommon(series) < series.size();
  // Of a change that was not written, the row is still there.
  if (!is_news && !(it->second.changed && it->second.has_row)) return absl::OkStatus();
  it->second.series |= series;
  return Change(window, batch, &it->second);
}

absl::Status Presence::Subtract(const Window& window, const SeriesSet& series, rocksdb::WriteBatch* batch) {
  MutexLock lock(&mu_);
  const auto it = entries_.find(FamilyName(window));
  if (it == entries_.end() || it->second.series.CountCommon(series) == 0) return absl::OkStatus();
  it->second.series -= series;
  return Change(window, batch, &it->second);
}

absl::StatusOr<std::vector<Window>> Presence::Save(rocksdb::WriteBatch* batch) {
  std::vector<Window> saved;
  MutexLock lock(&mu_);
  for (auto& [name, entry] : entries_) {
    if (!entry.changed || !entry.known) continue;
    entry.series.Compress();
    PB_RETURN_IF_ERROR(FromRocks(batch->Put(rocks_->fixed("meta").get(), RowKey(entry.window), RowValue(entry.series)),
                                 "save presence"));
    entry.changed = false;
    entry.has_row = true;
    saved.push_back(entry.window);
  }
  return saved;
}

void Presence::Unsave(const std::vector<Window>& windows) {
  MutexLock lock(&mu_);
  for (const Window& window : windows) {
    if (const auto it = entries_.find(FamilyName(window)); it != entries_.end()) it->second.changed = true;
  }
}

void Presence::NoteUnwritten() {
  MutexLock lock(&mu_);
  for (auto& [name, entry] : entries_) entry.has_row |= entry.changed;
}

bool Presence::has_unsaved() const {
  MutexLock lock(&mu_);
  for (const auto& [name, entry] : entries_) {
    if (entry.known && entry.changed) return true;
  }
  return false;
}

std::vector<Window> Presence::Unknown() const {
  std::vector<Window> unknown;
  MutexLock lock(&mu_);
  for (const auto& [name, entry] : entries_) {
    if (!entry.known) unknown.push_back(entry.window);
  }
  return unknown;
}

void Presence::Set(const Window& window, SeriesSet series) {
  MutexLock lock(&mu_);
  const auto it = entries_.find(FamilyName(window));
  if (it == entries_.end()) return;
  it->second.series |= series;  // it has what was added meanwhile
  it->second.known = true;
}

SeriesSet Presence::All() const {
  SeriesSet all;
  MutexLock lock(&mu_);
  for (const auto& [name, entry] : entries_) all |= entry.series;
  return all;
}

std::optional<SeriesSet> Presence::Of(const Window& window) const {
  MutexLock lock(&mu_);
  const auto it = entries_.find(FamilyName(window));
  if (it == entries_.end() || !it->second.known) return std::nullopt;
  return it->second.series;
}

bool Presence::MayHaveAny(const Window& window, const SeriesSet& series) const {
  MutexLock lock(&mu_);
  const auto it = entries_.find(FamilyName(window));
  return it == entries_.end() || !it->second.known || it->second.series.CountCommon(series) > 0;
}

bool Presence::MayHave(const Window& window, SeriesId series) const {
  MutexLock lock(&mu_);
  const auto it = entries_.find(FamilyName(window));
  return it == entries_.end() || !it->second.known || it->second.series.Contains(series);
}

absl::StatusOr<SeriesSet> ReadSeries(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family) {
  std::vector<SeriesId> ids;
  const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(rocksdb::ReadOptions(), family));
  for (it->SeekToFirst(); it->Valid();) {
    const std::string_view key = ToView(it->key());
    if (key.size() != kBlockKeyBytes) {
      it->Next();
      continue;
    }
    const auto tenant = GetBigEndian<TenantId>(key);
    const auto series = GetBigEndian<SeriesId>(key.substr(sizeof(TenantId)));
    ids.push_back(series);
    it->Seek(BlockKey(tenant, series + 1, std::numeric_limits<int64_t>::min()));
  }
  PB_RETURN_IF_ERROR(FromRocks(it->status(), "read the series of a window"));
  std::sort(ids.begin(), ids.end());  // tenants take turns with ids
  return SeriesSet(ids);
}

}  // namespace pulseboard

#include "server/storage/tenant_series.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/codec/bytes.h"

namespace pulseboard {
namespace {

// A part of what a label name is, so that `a=bc` and `ab=c` differ.
uint64_t Mix(uint64_t hash, std::string_view text) {
  hash ^= std::hash<std::string_view>()(text) + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
  return hash * 0xff51afd7ed558ccdu;
}

std::string EncodeMetadata(const SeriesMetadata& metadata) {
  std::string bytes(1, static_cast<char>(metadata.kind));
  PutLengthPrefixed(&bytes, metadata.unit);
  bytes += metadata.description;
  return bytes;
}

template <typename T>
uint32_t TakeNumber(std::vector<uint32_t>* free, std::deque<T>* all) {
  if (free->empty()) {
    all->emplace_back();
    return static_cast<uint32_t>(all->size() - 1);
  }
  const uint32_t number = free->back();
  free->pop_back();
  return number;
}

}  // namespace

TenantSeries::TenantSeries(TenantId tenant, SeriesRecords* records)
    : tenant_(tenant), records_(records), by_key_(0, SlotHash{}, SlotEqual{this}) {}

uint32_t TenantSeries::HashKey(const SeriesKey& key) {
  uint64_t hash = Mix(0, key.metric);
  for (const Label& label : key.labels) hash = Mix(Mix(hash, label.name), label.value);
  return static_cast<uint32_t>(hash >> 32);
}

bool TenantSeries::IsKeyOf(SeriesId id, const SeriesKey& key) const {
  const SeriesRecord& record = *records_->Find(id);
  if (record.pair_count != key.labels.size() + 1) return false;
  const uint32_t* pair = record.pairs.get();
  if (pairs_[*pair].value() != key.metric) return false;
  for (const Label& label : key.labels) {
    const Pair& mine = pairs_[*++pair];
    if (mine.value() != label.value || names_[mine.name].name != label.name) return false;
  }
  return true;
}

std::optional<SeriesId> TenantSeries::Find(const SeriesKey& key, uint32_t hash) const {
  const auto it = by_key_.find(KeyRef{key, hash});
  if (it == by_key_.end()) return std::nullopt;
  return it->id;
}

void TenantSeries::Insert(SeriesId id, const SeriesKey& key, const SeriesMetadata& metadata, uint32_t hash) {
  SeriesRecord& record = records_->At(id);
  record.tenant = this;
  record.key_hash = hash;
  record.metadata = UseMetadata(metadata);
  record.pair_count = static_cast<uint16_t>(key.labels.size() + 1);
  record.pairs = std::make_unique<uint32_t[]>(record.pair_count);
  uint32_t* pair = record.pairs.get();
  *pair++ = UsePair(kMetricNameLabel, key.metric);
  for (const Label& label : key.labels) *pair++ = UsePair(label.name, label.value);
  by_key_.insert(KeySlot{hash, id});
  SetLive(id, record, true);
}

void TenantSeries::SetLive(SeriesId id, const SeriesRecord& record, bool live) {
  const auto set = [id, live](auto* ids) { live ? ids->Add(id) : ids->Remove(id); };
  for (size_t i = 0; i < record.pair_count; ++i) {
    Pair& pair = pairs_[record.pairs[i]];
    set(&pair.series);
    set(&names_[pair.name].series);
  }
  set(&all_);
}

void TenantSeries::Retire(SeriesId id) {
  SeriesRecord& record = *records_->Find(id);
  if (!std::exchange(record.retired, true)) SetLive(id, record, false);
}

void TenantSeries::Revive(SeriesId id) {
  SeriesRecord& record = *records_->Find(id);
  if (std::exchange(record.retired, false)) SetLive(id, record, true);
}

void TenantSeries::Purge(SeriesId id) {
  const SeriesRecord& record = *records_->Find(id);
  by_key_.erase(KeySlot{record.key_hash, id});
  for (size_t i = 0; i < record.pair_count; ++i) ReleasePair(record.pairs[i]);
  ReleaseMetadata(record.metadata);
  records_->Erase(id);
}

const TenantSeries::Name* TenantSeries::FindName(std::string_view name) const {
  const auto it = name_numbers_.find(name);
  return it == name_numbers_.end() ? nullptr : &names_[it->second];
}

uint32_t TenantSeries::UsePair(std::string_view name_text, std::string_view value) {
  const auto [it, is_new] = name_numbers_.try_emplace(std::string(name_text), static_cast<uint32_t>(names_.size()));
  if (is_new) {
    names_.push_back(
        {static_cast<uint32_t>(names_.size()), std::string(name_text), ValueOrder(ByValue{&pairs_}), {}, 0});
  }
  Name& name = names_[it->second];
  const auto place = name.values.lower_bound(value);
  if (place != name.values.end() && pairs_[*place].value() == value) {
    ++pairs_[*place].users;
    return *place;
  }
  const uint32_t number = TakeNumber(&free_pairs_, &pairs_);
  Pair& pair = pairs_[number];
  pair.text = std::make_unique<char[]>(value.size());
  std::memcpy(pair.text.get(), value.data(), value.size());
  pair.size = static_cast<uint32_t>(value.size());
  pair.name = it->second;
  pair.users = 1;
  name.values.insert(place, number);
  if (value.find('\n') != std::string_view::npos) ++name.multiline_values;
  return number;
}

void TenantSeries::ReleasePair(uint32_t number) {
  Pair& pair = pairs_[number];
  if (--pair.users > 0) return;
  Name& name = names_[pair.name];
  if (pair.value().find('\n') != std::string_view::npos) --name.multiline_values;
  name.values.erase(number);
  pair = Pair();
  free_pairs_.push_back(number);
}

uint32_t TenantSeries::UseMetadata(const SeriesMetadata& metadata) {
  const auto [it, is_new] = metadata_numbers_.try_emplace(EncodeMetadata(metadata), 0);
  if (is_new) {
    it->second = TakeNumber(&free_metadata_, &metadata_);
    metadata_[it->second] = {metadata, 0};
  }
  ++metadata_[it->second].users;
  return it->second;
}

void TenantSeries::ReleaseMetadata(uint32_t number) {
  SharedMetadata& metadata = metadata_[number];
  if (--metadata.users > 0) return;
  metadata_numbers_.erase(EncodeMetadata(metadata.metadata));
  metadata = SharedMetadata();
  free_metadata_.push_back(number);
}

SeriesKey TenantSeries::Key(const SeriesRecord& record) const {
  std::vector<Label> labels;
  labels.reserve(record.pair_count - 1u);
  for (size_t i = 1; i < record.pair_count; ++i) {
    const Pair& pair = pairs_[record.pairs[i]];
    labels.push_back({names_[pair.name].name, std::string(pair.value())});
  }
  return {std::string(pairs_[record.pairs[0]].value()), Labels(std::move(labels))};
}

int64_t TenantSeries::CountMetric(std::string_view metric) const {
  const Name* name = FindName(kMetricNameLabel);
  if (name == nullptr) return 0;
  const auto it = name->values.find(metric);
  return it == name->values.end() ? 0 : pairs_[*it].series.size();
}

std::vector<LabelValueSummary> TenantSeries::LabelValues(std::string_view label, const SeriesSet* within,
                                                         const std::string* after, size_t limit) const {
  std::vector<LabelValueSummary> out;
  const Name* name = FindName(label);
  if (name == nullptr) return out;
  if (within != nullptr && within->size() < static_cast<int64_t>(name->values.size())) {
    return LabelValuesOf(*within, *name, after, limit);
  }
  auto it = after == nullptr ? name->values.begin() : name->values.upper_bound(std::string_view(*after));
  for (; it != name->values.end() && out.size() < limit; ++it) {
    const Pair& pair = pairs_[*it];
    const int64_t count = within == nullptr ? pair.series.size() : pair.series.CountCommon(*within);
    if (count == 0) continue;
    SeriesId first = pair.series.Smallest();
    if (within != nullptr && pair.series.bitmap() != nullptr) {
      SeriesSet common = *pair.series.bitmap();
      first = (common &= *within).Smallest();
    }
    out.push_back({std::string(pair.value()), count, first});
  }
  return out;
}

// The same for few series with a label of many values: from the series instead of from the values.
std::vector<LabelValueSummary> TenantSeries::LabelValuesOf(const SeriesSet& within, const Name& name,
                                                           const std::string* after, size_t limit) const {
  std::map<std::string_view, LabelValueSummary> found;
  within.ForEach([&](SeriesId id) {
    const std::string_view value = ValueOf(*records_->Find(id), name);
    if (value.empty() || (after != nullptr && value <= *after)) return true;
    LabelValueSummary& summary = found[value];
    if (summary.series_count++ == 0) summary.first_series = id;
    if (found.size() > limit) found.erase(std::prev(found.end()));
    return true;
  });
  std::vector<LabelValueSummary> out;
  for (auto& [value, summary] : found) {
    summary.value = value;
    out.push_back(std::move(summary));
  }
  return out;
}

}  // namespace pulseboard

#include "server/storage/series_index.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"

namespace pulseboard {

SeriesIndex::SeriesIndex(SeriesId next_id, Reserve reserve)
    : reserve_(std::move(reserve)), next_id_(next_id), reserved_limit_(next_id), visit_(std::make_shared<char>()) {}

absl::StatusOr<SeriesId> SeriesIndex::FindOrCreate(TenantId tenant, const SeriesKey& key,
                                                   const SeriesMetadata& metadata, bool* created) {
  if (created != nullptr) *created = false;
  const uint32_t hash = TenantSeries::HashKey(key);
  {
    ReaderLock lock(&mu_);
    if (const TenantSeries* t = FindTenant(tenant)) {
      if (const auto found = t->Find(key, hash); found && !records_.Find(*found)->retired) return *found;
    }
  }
  while (true) {
    {
      WriterLock lock(&mu_);
      if (const TenantSeries* t = FindTenant(tenant)) {
        if (const auto found = t->Find(key, hash)) {
          const bool revived = ReviveLocked(*found);
          if (created != nullptr) *created = revived;
          return *found;
        }
      }
      if (next_id_ < reserved_limit_) {
        const SeriesId id = next_id_++;
        InsertLocked(id, tenant, key, metadata, hash);
        if (created != nullptr) *created = true;
        return id;
      }
    }
    PB_RETURN_IF_ERROR(ReserveMore());
  }
}

absl::Status SeriesIndex::ReserveMore() {
  MutexLock reserve_lock(&reserve_mu_);
  SeriesId limit = 0;
  {
    ReaderLock lock(&mu_);
    if (next_id_ < reserved_limit_) return absl::OkStatus();  // somebody else was first
    limit = next_id_ + reserve_size_;
  }
  PB_RETURN_IF_ERROR(reserve_(limit));
  reserve_size_ = std::min(reserve_size_ * 2, kReservedAtMost);
  WriterLock lock(&mu_);
  reserved_limit_ = std::max(reserved_limit_, limit);
  return absl::OkStatus();
}

bool SeriesIndex::Add(const SeriesInfo& info) {
  const uint32_t hash = TenantSeries::HashKey(info.key);
  WriterLock lock(&mu_);
  const TenantSeries* tenant = FindTenant(info.tenant);
  const std::optional<SeriesId> known = tenant == nullptr ? std::nullopt : tenant->Find(info.key, hash);
  if (known || records_.Find(info.id) != nullptr) return known == info.id;
  next_id_ = std::max(next_id_, info.id + 1);
  reserved_limit_ = std::max(reserved_limit_, next_id_);
  InsertLocked(info.id, info.tenant, info.key, info.metadata, hash);
  return true;
}

void SeriesIndex::InsertLocked(SeriesId id, TenantId tenant, const SeriesKey& key, const SeriesMetadata& metadata,
                               uint32_t hash) {
  tenants_.try_emplace(tenant, tenant, &records_).first->second.Insert(id, key, metadata, hash);
  ++count_;
}

const TenantSeries* SeriesIndex::FindTenant(TenantId tenant) const {
  const auto it = tenants_.find(tenant);
  return it == tenants_.end() ? nullptr : &it->second;
}

std::optional<SeriesId> SeriesIndex::Find(TenantId tenant, const SeriesKey& key) const {
  const uint32_t hash = TenantSeries::HashKey(key);
  ReaderLock lock(&mu_);
  const TenantSeries* t = FindTenant(tenant);
  if (t == nullptr) return std::nullopt;
  const std::optional<SeriesId> found = t->Find(key, hash);
  return found && records_.Find(*found)->retired ? std::nullopt : found;
}

SeriesInfoPtr SeriesIndex::Get(SeriesId id) const {
  auto info = std::make_shared<SeriesInfo>();
  ReaderLock lock(&mu_);
  const SeriesRecord* record = records_.Find(id);
  if (record == nullptr) return nullptr;
  info->id = id;
  info->tenant = record->tenant->tenant();
  info->key = record->tenant->Key(*record);
  info->metadata = record->tenant->Metadata(*record);
  return info;
}

std::optional<SeriesBrief> SeriesIndex::Brief(SeriesId id) const {
  ReaderLock lock(&mu_);
  const SeriesRecord* record = records_.Find(id);
  if (record == nullptr) return std::nullopt;
  return SeriesBrief{record->tenant->tenant(), record->tenant->Metadata(*record).kind};
}

std::optional<TenantId> SeriesIndex::TenantOf(SeriesId id) const {
  ReaderLock lock(&mu_);
  const SeriesRecord* record = records_.Find(id);
  return record == nullptr ? std::nullopt : std::optional(record->tenant->tenant());
}

std::vector<SeriesId> SeriesIndex::Select(TenantId tenant, const Selector& selector) const {
  SeriesSet ids;
  {
    ReaderLock lock(&mu_);
    if (const TenantSeries* t = FindTenant(tenant)) ids = t->Select(selector);
  }
  return ids.ToVector();
}

int64_t SeriesIndex::Count() const {
  ReaderLock lock(&mu_);
  return count_;
}

int64_t SeriesIndex::Count(TenantId tenant) const {
  ReaderLock lock(&mu_);
  const TenantSeries* t = FindTenant(tenant);
  return t == nullptr ? 0 : t->all().size();
}

int64_t SeriesIndex::Count(TenantId tenant, std::string_view metric) const {
  ReaderLock lock(&mu_);
  const TenantSeries* t = FindTenant(tenant);
  return t == nullptr ? 0 : t->CountMetric(metric);
}

SeriesId SeriesIndex::next_id() const {
  ReaderLock lock(&mu_);
  return next_id_;
}

std::vector<LabelValueSummary> SeriesIndex::LabelValues(TenantId tenant, std::string_view label,
                                                        const Selector& selector, const std::string* after,
                                                        size_t limit) const {
  ReaderLock lock(&mu_);
  const TenantSeries* t = FindTenant(tenant);
  if (t == nullptr) return {};
  if (selector.matchers().empty()) return t->LabelValues(label, nullptr, after, limit);
  const SeriesSet within = t->Select(selector);
  return t->LabelValues(label, &within, after, limit);
}

CardinalityReport SeriesIndex::Cardinality(TenantId tenant, const Selector& selector, const SeriesAgeLimits& ages,
                                           CardinalityOrder order, size_t limit) const {
  CardinalityReport report;
  CardinalityCounter counter(limit, order);
  SeriesSet selected;
  const SeriesSet* within = nullptr;
  {
    ReaderLock lock(&mu_);
    const TenantSeries* t = FindTenant(tenant);
    if (t == nullptr) return report;
    if (!selector.matchers().empty()) {
      selected = t->Select(selector);
      within = &selected;
    }
    report.total = TenantSeries::Counts(t->all(), within, ages);
  }
  TenantSeries::CardinalityPosition position;
  for (bool more = true; more;) {
    ReaderLock lock(&mu_);
    more = FindTenant(tenant)->AddCardinality(within, ages, &position, &counter);
  }
  report.metrics = counter.metrics.Take();
  report.labels = counter.labels.Take();
  report.label_values = counter.label_values.Take();
  return report;
}

SeriesIndex::Visit SeriesIndex::BeginVisit() const {
  ReaderLock lock(&mu_);
  return visit_;
}

bool SeriesIndex::Hold(SeriesId id) {
  WriterLock lock(&mu_);
  SeriesRecord* record = records_.Find(id);
  if (record != nullptr) ++record->holders;
  return record != nullptr;
}

void SeriesIndex::Release(std::span<const SeriesId> ids) {
  constexpr size_t kPerLock = 4'096;
  for (size_t at = 0; at < ids.size(); at += kPerLock) {
    WriterLock lock(&mu_);
    for (const SeriesId id : ids.subspan(at, std::min(kPerLock, ids.size() - at))) {
      SeriesRecord* record = records_.Find(id);
      if (record == nullptr || record->holders == 0 || --record->holders > 0 || !record->retired) continue;
      // Its last batch may be on the way, under a visit that began after it was retired.
      purgeable_.Remove(id);
      retired_.Add(id);
    }
  }
}

void SeriesIndex::Retire(std::span<const SeriesId> ids) {
  WriterLock lock(&mu_);
  for (const SeriesId id : ids) {
    SeriesRecord* record = records_.Find(id);
    if (record == nullptr || record->retired) continue;
    record->tenant->Retire(id);
    retired_.Add(id);
    --count_;
  }
}

bool SeriesIndex::Revive(SeriesId id) {
  WriterLock lock(&mu_);
  if (records_.Find(id) == nullptr) return false;
  ReviveLocked(id);
  return true;
}

// True when it was retired.
bool SeriesIndex::ReviveLocked(SeriesId id) {
  SeriesRecord* record = records_.Find(id);
  if (!record->retired) return false;
  record->tenant->Revive(id);
  retired_.Remove(id);
  purgeable_.Remove(id);
  ++count_;
  return true;
}

std::vector<SeriesId> SeriesIndex::PurgeRetired(const SeriesSet& keep) {
  std::vector<SeriesId> purged;
  WriterLock lock(&mu_);
  if (old_visit_.expired()) {
    std::vector<SeriesId> purgeable;
    purgeable_.ForEach([&](SeriesId id) {
      purgeable.push_back(id);
      return true;
    });
    for (const SeriesId id : purgeable) {
      if (records_.Find(id)->holders > 0 || keep.Contains(id)) continue;
      records_.Find(id)->tenant->Purge(id);
      purgeable_.Remove(id);
      purged.push_back(id);
    }
    if (!retired_.empty()) {
      // Visits from here on know that these are retired; those before may still bring one of them back.
      purgeable_ |= std::exchange(retired_, {});
      old_visit_ = std::exchange(visit_, std::make_shared<char>());
    }
  }
  return purged;
}

SeriesSet SeriesIndex::AllIds() const {
  SeriesSet all;
  ReaderLock lock(&mu_);
  for (const auto& [id, tenant] : tenants_) all |= tenant.all();
  return all;
}

std::vector<TenantId> SeriesIndex::Tenants() const {
  std::vector<TenantId> out;
  ReaderLock lock(&mu_);
  for (const auto& [id, tenant] : tenants_) out.push_back(id);
  return out;
}

SeriesSet SeriesIndex::TenantIds(TenantId tenant) const {
  ReaderLock lock(&mu_);
  const TenantSeries* t = FindTenant(tenant);
  return t == nullptr ? SeriesSet() : t->all();
}

int64_t SeriesIndex::retired_count() const {
  ReaderLock lock(&mu_);
  return retired_.size() + purgeable_.size();
}

}  // namespace pulseboard

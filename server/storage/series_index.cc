#include "server/storage/series_index.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

// Keeps `ids` ascending even when series are read back out of order.
void InsertSorted(std::vector<SeriesId>* ids, SeriesId id) {
  if (ids->empty() || ids->back() < id) {
    ids->push_back(id);
  } else {
    ids->insert(std::lower_bound(ids->begin(), ids->end(), id), id);
  }
}

// Ids of every value that satisfies `wanted`.
template <typename Values, typename Wanted>
std::vector<SeriesId> Union(const Values& values, const Wanted& wanted) {
  std::vector<SeriesId> out;
  for (const auto& [value, ids] : values) {
    if (wanted(value)) out.insert(out.end(), ids.begin(), ids.end());
  }
  std::sort(out.begin(), out.end());  // a series has one value per label: no duplicates
  return out;
}

std::vector<SeriesId> Intersect(const std::vector<SeriesId>& a, const std::vector<SeriesId>& b) {
  std::vector<SeriesId> out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

std::vector<SeriesId> Subtract(const std::vector<SeriesId>& a, const std::vector<SeriesId>& b) {
  std::vector<SeriesId> out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

bool NeedsLabel(const Matcher& matcher) { return !matcher.Matches(""); }

}  // namespace

SeriesIndex::SeriesIndex(SeriesId next_id, Reserve reserve)
    : reserve_(std::move(reserve)), next_id_(next_id), reserved_limit_(next_id) {}

absl::StatusOr<SeriesId> SeriesIndex::FindOrCreate(TenantId tenant, const SeriesKey& key,
                                                   const SeriesMetadata& metadata, bool* created) {
  if (created != nullptr) *created = false;
  std::string encoded = key.Encode();
  {
    ReaderLock lock(&mu_);
    if (const auto it = tenants_.find(tenant); it != tenants_.end()) {
      if (const auto found = it->second.by_key.find(encoded); found != it->second.by_key.end()) return found->second;
    }
  }
  while (true) {
    {
      WriterLock lock(&mu_);
      if (const auto found = tenants_[tenant].by_key.find(encoded); found != tenants_[tenant].by_key.end()) {
        return found->second;
      }
      if (next_id_ < reserved_limit_) {
        const SeriesId id = next_id_++;
        InsertLocked(std::make_shared<const SeriesInfo>(SeriesInfo{id, tenant, key, metadata}), std::move(encoded));
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
    limit = next_id_ + kReservedAtOnce;
  }
  PB_RETURN_IF_ERROR(reserve_(limit));
  WriterLock lock(&mu_);
  reserved_limit_ = std::max(reserved_limit_, limit);
  return absl::OkStatus();
}

bool SeriesIndex::Add(SeriesInfoPtr info) {
  std::string encoded = info->key.Encode();
  WriterLock lock(&mu_);
  if (info->id < by_id_.size() && by_id_[static_cast<size_t>(info->id)] != nullptr) {
    const SeriesInfo& old = *by_id_[static_cast<size_t>(info->id)];
    return old.tenant == info->tenant && old.key == info->key;
  }
  if (tenants_[info->tenant].by_key.contains(encoded)) return false;
  next_id_ = std::max(next_id_, info->id + 1);
  reserved_limit_ = std::max(reserved_limit_, next_id_);
  InsertLocked(std::move(info), std::move(encoded));
  return true;
}

void SeriesIndex::InsertLocked(SeriesInfoPtr info, std::string encoded_key) {
  const SeriesId id = info->id;
  Tenant& tenant = tenants_[info->tenant];
  tenant.by_key.emplace(std::move(encoded_key), id);
  InsertSorted(&tenant.all, id);
  InsertSorted(&tenant.postings[std::string(kMetricNameLabel)][info->key.metric], id);
  for (const Label& label : info->key.labels) InsertSorted(&tenant.postings[label.name][label.value], id);
  if (id >= by_id_.size()) by_id_.resize(static_cast<size_t>(id) + 1);
  by_id_[static_cast<size_t>(id)] = std::move(info);
  ++count_;
}

std::optional<SeriesId> SeriesIndex::Find(TenantId tenant, const SeriesKey& key) const {
  const std::string encoded = key.Encode();
  ReaderLock lock(&mu_);
  const auto it = tenants_.find(tenant);
  if (it == tenants_.end()) return std::nullopt;
  const auto found = it->second.by_key.find(encoded);
  if (found == it->second.by_key.end()) return std::nullopt;
  return found->second;
}

SeriesInfoPtr SeriesIndex::Get(SeriesId id) const {
  ReaderLock lock(&mu_);
  return id < by_id_.size() ? by_id_[static_cast<size_t>(id)] : nullptr;
}

std::vector<SeriesId> SeriesIndex::Select(TenantId tenant, const Selector& selector) const {
  ReaderLock lock(&mu_);
  const auto it = tenants_.find(tenant);
  if (it == tenants_.end()) return {};
  const Tenant& t = it->second;

  // Begin with the shortest list that an exact matcher gives, so that everything after is small.
  const Ids* start = &t.all;
  for (const Matcher& matcher : selector.matchers()) {
    if (matcher.op() != Matcher::Op::kEqual || matcher.value().empty()) continue;
    const auto values = t.postings.find(matcher.label());
    if (values == t.postings.end()) return {};
    const auto ids = values->second.find(matcher.value());
    if (ids == values->second.end()) return {};
    if (ids->second.size() <= start->size()) start = &ids->second;
  }
  Ids ids = *start;
  for (const Matcher& matcher : selector.matchers()) {
    if (ids.empty()) break;
    ids = NarrowLocked(t, matcher, std::move(ids));
  }
  return ids;
}

SeriesIndex::Ids SeriesIndex::NarrowLocked(const Tenant& tenant, const Matcher& matcher, Ids ids) const {
  const auto postings = tenant.postings.find(matcher.label());
  static const Values kNone;
  const Values& values = postings == tenant.postings.end() ? kNone : postings->second;
  if (matcher.op() == Matcher::Op::kEqual && !matcher.value().empty()) {
    const auto found = values.find(matcher.value());
    return found == values.end() ? Ids() : Intersect(ids, found->second);
  }
  if (ids.size() <= values.size()) {  // fewer series left than values to try
    size_t kept = 0;
    for (const SeriesId id : ids) {
      if (matcher.Matches(by_id_[static_cast<size_t>(id)]->key.Get(matcher.label()))) ids[kept++] = id;
    }
    ids.resize(kept);
    return ids;
  }
  if (NeedsLabel(matcher)) {
    return Intersect(ids, Union(values, [&](const std::string& value) { return matcher.Matches(value); }));
  }
  return Subtract(ids, Union(values, [&](const std::string& value) { return !matcher.Matches(value); }));
}

int64_t SeriesIndex::Count() const {
  ReaderLock lock(&mu_);
  return count_;
}

int64_t SeriesIndex::Count(TenantId tenant) const {
  ReaderLock lock(&mu_);
  const auto it = tenants_.find(tenant);
  return it == tenants_.end() ? 0 : static_cast<int64_t>(it->second.all.size());
}

int64_t SeriesIndex::Count(TenantId tenant, std::string_view metric) const {
  ReaderLock lock(&mu_);
  const auto it = tenants_.find(tenant);
  if (it == tenants_.end()) return 0;
  const auto values = it->second.postings.find(kMetricNameLabel);
  if (values == it->second.postings.end()) return 0;
  const auto ids = values->second.find(metric);
  return ids == values->second.end() ? 0 : static_cast<int64_t>(ids->second.size());
}

SeriesId SeriesIndex::next_id() const {
  ReaderLock lock(&mu_);
  return next_id_;
}

}  // namespace pulseboard

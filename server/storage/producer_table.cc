#include "server/storage/producer_table.h"

#include <utility>

#include "common/base/endian.h"
#include "common/codec/bytes.h"

namespace pulseboard {

int64_t ProducerTable::Find(TenantId tenant, std::string_view producer_id) const {
  const auto it = tenants_.find(tenant);
  if (it == tenants_.end()) return 0;
  const auto entry = it->second.by_id.find(producer_id);
  return entry == it->second.by_id.end() ? 0 : entry->second->position.sequence;
}

bool ProducerTable::Set(TenantId tenant, const std::string& producer_id, Position position) {
  Tenant& t = tenants_[tenant];
  if (const auto it = t.by_id.find(producer_id); it != t.by_id.end()) {
    if (it->second->position.sequence >= position.sequence) return false;
    it->second->position = position;
    t.entries.splice(t.entries.end(), t.entries, it->second);
    return true;
  }
  t.entries.push_back({producer_id, position});
  t.by_id.emplace(t.entries.back().producer_id, std::prev(t.entries.end()));
  if (t.entries.size() > max_per_tenant_) {
    changes_[{tenant, t.entries.front().producer_id}] = Position{};
    t.by_id.erase(t.entries.front().producer_id);
    t.entries.pop_front();
  }
  return true;
}

void ProducerTable::Advance(TenantId tenant, const std::string& producer_id, Position position) {
  if (Set(tenant, producer_id, position)) changes_[{tenant, producer_id}] = position;
}

void ProducerTable::Load(TenantId tenant, const std::string& producer_id, Position position) {
  Set(tenant, producer_id, position);
}

std::vector<ProducerTable::Change> ProducerTable::TakeChanges() {
  std::vector<Change> out;
  out.reserve(changes_.size());
  for (auto& [key, position] : changes_) out.push_back({key.first, key.second, position});
  changes_.clear();
  return out;
}

void ProducerTable::ReturnChanges(std::vector<Change> changes) {
  for (Change& change : changes) changes_.try_emplace({change.tenant, std::move(change.producer_id)}, change.position);
}

std::string ProducerTable::Key(TenantId tenant, std::string_view producer_id) {
  std::string key;
  PutBigEndian(&key, tenant);
  return key.append(producer_id);
}

std::string ProducerTable::Value(Position position) {
  std::string value;
  PutVarint(&value, static_cast<uint64_t>(position.sequence));
  PutVarint(&value, static_cast<uint64_t>(position.commit_sequence));
  return value;
}

bool ProducerTable::Parse(std::string_view key, std::string_view value, Change* row) {
  if (key.size() < sizeof(TenantId)) return false;
  row->tenant = GetBigEndian<TenantId>(key);
  row->producer_id = key.substr(sizeof(TenantId));
  ByteReader in(value);
  row->position.sequence = static_cast<int64_t>(in.Varint());
  row->position.commit_sequence = static_cast<int64_t>(in.Varint());
  return in.ok() && in.remaining() == 0;
}

}  // namespace pulseboard

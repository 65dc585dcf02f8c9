// Which batch of each producer was committed last: what makes a retried batch a duplicate.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/model/labels.h"

namespace pulseboard {

// Bounded per tenant: the producer that has been silent longest is forgotten first. Not thread-safe.
class ProducerTable {
 public:
  struct Position {
    int64_t sequence = 0;
    int64_t commit_sequence = 0;
  };
  // A row to write (sequence > 0) or to delete (sequence 0) so that the durable table catches up.
  struct Change {
    TenantId tenant = 0;
    std::string producer_id;
    Position position;
  };

  explicit ProducerTable(int64_t max_per_tenant) : max_per_tenant_(static_cast<size_t>(max_per_tenant)) {}

  // 0 when unknown.
  int64_t Find(TenantId tenant, std::string_view producer_id) const;
  // Never moves a producer backwards: the log may be replayed over newer rows.
  void Advance(TenantId tenant, const std::string& producer_id, Position position);
  // As Advance, without a change to write: for rows read from the durable table, in any order of age.
  void Load(TenantId tenant, const std::string& producer_id, Position position);
  // Everything changed since the last call.
  std::vector<Change> TakeChanges();
  // Gives back changes that could not be written; newer ones of the same producers win.
  void ReturnChanges(std::vector<Change> changes);

  // A row of the `producers` family: tenant (4 bytes, big-endian) and producer id -> two varints.
  static std::string Key(TenantId tenant, std::string_view producer_id);
  static std::string Value(Position position);
  // False for bytes that are no such row.
  static bool Parse(std::string_view key, std::string_view value, Change* row);

 private:
  struct Entry {
    std::string producer_id;
    Position position;
  };
  struct Tenant {
    std::list<Entry> entries;                                                // longest silent first
    std::unordered_map<std::string_view, std::list<Entry>::iterator> by_id;  // keys point into entries
  };

  bool Set(TenantId tenant, const std::string& producer_id, Position position);

  const size_t max_per_tenant_;
  std::map<TenantId, Tenant> tenants_;
  std::map<std::pair<TenantId, std::string>, Position> changes_;
};

}  // namespace pulseboard

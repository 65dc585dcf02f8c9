#include "server/identity/tenant_registry.h"

#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "server/identity/records.h"
#include "server/storage/table.h"

namespace pulseboard {

absl::StatusOr<std::unique_ptr<TenantRegistry>> TenantRegistry::Open(Table& table) {
  std::unique_ptr<TenantRegistry> registry(new TenantRegistry());
  absl::Status broken;
  PB_RETURN_IF_ERROR(table.Scan("", "", [&](std::string_view key, std::string_view value) {
    auto id = DecodeTenant(value);
    if (!id.ok()) {
      broken = WithContext(id.status(), "tenant '" + Printable(key) + "'");
      return false;
    }
    registry->by_name_.emplace(key, *id);
    return true;
  }));
  PB_RETURN_IF_ERROR(broken);
  std::vector<Table::Change> missing;
  for (const auto& [name, id] : {std::pair{kDefaultTenantName, kDefaultTenant}, {kSystemTenantName, kSystemTenant}}) {
    if (registry->by_name_.emplace(name, id).second) missing.push_back({std::string(name), EncodeTenant(id)});
  }
  if (!missing.empty()) PB_RETURN_IF_ERROR(table.Write(std::move(missing)));
  return registry;
}

std::optional<TenantId> TenantRegistry::Find(std::string_view name) const {
  const auto it = by_name_.find(name.empty() ? kDefaultTenantName : name);
  if (it == by_name_.end()) return std::nullopt;
  return it->second;
}

std::string_view TenantRegistry::Name(TenantId id) const {
  for (const auto& [name, number] : by_name_) {
    if (number == id) return name;
  }
  return {};
}

}  // namespace pulseboard

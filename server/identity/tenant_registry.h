// TenantRegistry: names and numbers of tenants. The number is the first part of every key in the store.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/model/labels.h"

namespace pulseboard {

class Table;

inline constexpr std::string_view kDefaultTenantName = "default";
inline constexpr std::string_view kSystemTenantName = "_system";

// Thread-safe: fixed after Open.
class TenantRegistry {
 public:
  // Reads the `tenants` table; on first start writes `default` and `_system` into it. Records: FORMAT.md.
  static absl::StatusOr<std::unique_ptr<TenantRegistry>> Open(Table& table);

  // Nothing for an unknown name. An empty name means `default`.
  std::optional<TenantId> Find(std::string_view name) const;
  // Empty for an unknown number.
  std::string_view Name(TenantId id) const;

 private:
  TenantRegistry() = default;
  std::map<std::string, TenantId, std::less<>> by_name_;
};

}  // namespace pulseboard

// The registry of RocksDB column families beside those of windows (window.h). A name that is neither is refused at
// open: it belongs to a newer Pulseboard.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace pulseboard {

struct FixedFamily {
  std::string_view name;
  bool is_table;  // may be had with Store::GetTable; the others are the store's own
};

// Persisted by name.
inline constexpr std::array kFixedFamilies = {
    FixedFamily{"meta", true},         // keys starting with `store/` are the store's own
    FixedFamily{"series", false},      // series definitions by id
    FixedFamily{"producers", false},   // last sequence by tenant and producer id
    FixedFamily{"tenants", true},      //
    FixedFamily{"users", true},        //
    FixedFamily{"sessions", true},     //
    FixedFamily{"preferences", true},  //
    FixedFamily{"keys", true},         // API keys
    FixedFamily{"dashboards", true},   //
    FixedFamily{"rules", true},        // alert rules
    FixedFamily{"alerts", true},       // alert states
    FixedFamily{"ledger", true},       // alert transitions and deliveries
    FixedFamily{"events", true},       // server/events/FORMAT.md
};

constexpr bool IsFixedFamily(std::string_view name) {
  return std::any_of(kFixedFamilies.begin(), kFixedFamilies.end(),
                     [name](const FixedFamily& f) { return f.name == name; });
}

}  // namespace pulseboard

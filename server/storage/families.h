// The registry of RocksDB column families. A name not listed here is refused at open: it belongs to a newer Pulseboard.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.h"

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
};

constexpr bool IsFixedFamily(std::string_view name) {
  return std::any_of(kFixedFamilies.begin(), kFixedFamilies.end(),
                     [name](const FixedFamily& f) { return f.name == name; });
}

// Days count from 1970-01-01 UTC and may be negative.
constexpr int64_t DayOf(int64_t unix_nanos) {
  return unix_nanos / kNanosPerDay - (unix_nanos % kNanosPerDay < 0 ? 1 : 0);
}

// `raw.20240131`: the blocks whose first sample lies in that UTC day.
std::string RawFamilyName(int64_t day);
// Nothing when `name` is not a raw family's.
std::optional<int64_t> ParseRawFamilyName(std::string_view name);
// `2024-01-31`, for messages.
std::string FormatDay(int64_t day);

}  // namespace pulseboard

// Table: small durable records by key (users, sessions, preferences …), on RocksDB behind the Store.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pulseboard {

// Thread-safe. Writes are fsynced when the call returns.
class Table {
 public:
  struct Change {
    std::string key;
    std::optional<std::string> value;  // nothing: delete
  };

  virtual ~Table() = default;
  // Nothing when the key is not there.
  virtual absl::StatusOr<std::optional<std::string>> Get(std::string_view key) const = 0;
  // All changes or none.
  virtual absl::Status Write(std::vector<Change> changes) = 0;
  // Visits keys >= `start` with prefix `prefix`, ascending, until `visit` returns false.
  virtual absl::Status Scan(std::string_view prefix, std::string_view start,
                            const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;

  absl::Status Put(std::string key, std::string value) {
    std::vector<Change> changes;
    changes.push_back({std::move(key), std::move(value)});
    return Write(std::move(changes));
  }
  absl::Status Delete(std::string key) {
    std::vector<Change> changes;
    changes.push_back({std::move(key), std::nullopt});
    return Write(std::move(changes));
  }
};

}  // namespace pulseboard

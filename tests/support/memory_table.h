// A Table in memory, for tests of what lies above the store. Survives the object under test, as a disk would.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "server/storage/table.h"

namespace pulseboard::testing {

// Thread-safe.
class MemoryTable final : public Table {
 public:
  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) const override {
    MutexLock lock(&mu_);
    const auto it = rows_.find(std::string(key));
    if (it == rows_.end()) return std::optional<std::string>();
    return std::optional<std::string>(it->second);
  }
  absl::Status Write(std::vector<Change> changes) override {
    MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    for (Change& change : changes) {
      if (change.value) {
        rows_[change.key] = *std::move(change.value);
      } else {
        rows_.erase(change.key);
      }
    }
    return absl::OkStatus();
  }
  absl::Status Scan(std::string_view prefix, std::string_view start,
                    const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    std::map<std::string, std::string> rows;
    {
      MutexLock lock(&mu_);
      rows = rows_;
    }
    for (auto it = rows.lower_bound(std::string(std::max(prefix, start))); it != rows.end(); ++it) {
      if (!it->first.starts_with(prefix) || !visit(it->first, it->second)) break;
    }
    return absl::OkStatus();
  }

  // Writes fail with `status` until told otherwise by OK.
  void FailWrites(absl::Status status) {
    MutexLock lock(&mu_);
    failure_ = std::move(status);
  }
  size_t size() const {
    MutexLock lock(&mu_);
    return rows_.size();
  }
  // All keys and values in one string, to look for what must not be stored.
  std::string Dump() const {
    MutexLock lock(&mu_);
    std::string out;
    for (const auto& [key, value] : rows_) out += key + "\n" + value + "\n";
    return out;
  }

 private:
  mutable Mutex mu_;
  std::map<std::string, std::string> rows_ PB_GUARDED_BY(mu_);
  absl::Status failure_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard::testing

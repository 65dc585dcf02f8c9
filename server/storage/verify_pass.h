// What the passes of a verification share.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "server/storage/operations.h"
#include "server/storage/pacer.h"
#include "server/storage/verify_store.h"

namespace pulseboard {

// Not thread-safe.
class VerifyPass {
 public:
  struct KnownSeries {
    TenantId tenant = 0;
    bool is_counter = false;
  };

  VerifyPass(const VerifySource& source, const VerifyWatcher& watch)
      : source_(source), watch_(watch), pacer_(source.bytes_per_second) {}

  const VerifySource& source() const { return source_; }
  const rocksdb::Snapshot* snapshot() const { return source_.snapshot == nullptr ? nullptr : source_.snapshot->get(); }
  VerifySummary& summary() { return summary_; }
  void SetTotal(int64_t bytes) { progress_.total_bytes = bytes; }

  void Find(VerifyFinding finding) {
    ++summary_.findings;
    if (watch_.on_finding) watch_.on_finding(finding);
  }
  // Counts bytes read at `place`, waits as the rate demands, tells the watcher. Its error ends the verification.
  absl::Status Spend(const std::string& place, size_t bytes);
  // Visits every row of a family as of the state. Rows that can't be read are a finding; it goes on behind them as well
  // as it can.
  absl::Status EachRow(const std::string& family, rocksdb::ColumnFamilyHandle* handle,
                       const std::function<void(std::string_view key, std::string_view value)>& visit);

  void AddSeries(SeriesId id, KnownSeries series) { series_.insert_or_assign(id, series); }
  const KnownSeries* FindSeries(SeriesId id) const {
    const auto it = series_.find(id);
    return it == series_.end() ? nullptr : &it->second;
  }

 private:
  const VerifySource& source_;
  const VerifyWatcher& watch_;
  Pacer pacer_;
  VerifySummary summary_;
  VerifyProgress progress_;
  std::unordered_map<SeriesId, KnownSeries> series_;
};

// One row of a window: its findings are located by it.
VerifyFinding FindingAt(const std::string& family, std::string_view key, std::string description);

// Series, producers and all other tables.
absl::Status VerifyTables(VerifyPass* pass);
// The log's records, and the series they define.
absl::Status VerifyLog(VerifyPass* pass);
// All blocks of raw samples.
absl::Status VerifyRawBlocks(VerifyPass* pass);
// All span blocks of rollups, each compared with what it says it was folded from.
absl::Status VerifyRollups(VerifyPass* pass);

}  // namespace pulseboard

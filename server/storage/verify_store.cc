#include "server/storage/verify_store.h"

#include <algorithm>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/codec/block.h"
#include "server/storage/delete_record.h"
#include "server/storage/meta_keys.h"
#include "server/storage/producer_table.h"
#include "server/storage/verify_pass.h"
#include "server/storage/wal_record.h"

namespace pulseboard {
namespace {

// Behind damage the next series is tried, then ever larger steps further.
constexpr int kMaxRestarts = 40;
constexpr size_t kReadAheadBytes = 256 << 10;

VerifyFinding At(const std::string& family, std::string description) {
  VerifyFinding finding;
  finding.family = family;
  finding.description = std::move(description);
  return finding;
}

int64_t FileBytes(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family) {
  rocksdb::ColumnFamilyMetaData metadata;
  db->GetColumnFamilyMetaData(family, &metadata);
  return static_cast<int64_t>(metadata.size);
}

// The key from which to go on when rows behind `last` can't be read; empty when there is no way to tell.
std::string Behind(std::string_view last, uint64_t step) {
  if (last.size() != kBlockKeyBytes) return "";
  const auto [tenant, series] = BlockKeySeries(last);
  return BlockKey(tenant, series + step, kAllTime.start);
}

}  // namespace

absl::Status VerifyPass::Spend(const std::string& place, size_t bytes) {
  progress_.place = place;
  progress_.bytes += static_cast<int64_t>(bytes);
  summary_.bytes = progress_.bytes;
  pacer_.Spend(static_cast<int64_t>(bytes));
  return watch_.on_progress ? watch_.on_progress(progress_) : absl::OkStatus();
}

absl::Status VerifyPass::EachRow(const std::string& family, rocksdb::ColumnFamilyHandle* handle,
                                 const std::function<void(std::string_view, std::string_view)>& visit) {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot();
  options.fill_cache = false;  // what queries use stays in the cache
  options.readahead_size = kReadAheadBytes;
  std::string from;
  std::string last;
  uint64_t step = 1;
  for (int restarts = 0; restarts <= kMaxRestarts; ++restarts) {
    const std::unique_ptr<rocksdb::Iterator> it(source_.db->NewIterator(options, handle));
    for (it->Seek(from); it->Valid(); it->Next()) {
      last = it->key().ToString();
      step = 1;
      visit(ToView(it->key()), ToView(it->value()));
      PB_RETURN_IF_ERROR(Spend(family, it->key().size() + it->value().size()));
    }
    if (it->status().ok()) return absl::OkStatus();
    Find(FindingAt(family, last, "rows behind this one can't be read: " + it->status().ToString()));
    from = Behind(last, step);
    step *= 2;
    if (from.empty()) return absl::OkStatus();
  }
  return absl::OkStatus();
}

VerifyFinding FindingAt(const std::string& family, std::string_view key, std::string description) {
  VerifyFinding finding = At(family, std::move(description));
  if (key.size() != kBlockKeyBytes) return finding;
  const auto [tenant, series] = BlockKeySeries(key);
  finding.tenant = tenant;
  finding.series = series;
  finding.block_start = BlockKeyTime(key);
  return finding;
}

absl::Status VerifyTables(VerifyPass* pass) {
  for (const auto& [name, handle] : pass->source().tables) {
    const std::string& family = name;
    PB_RETURN_IF_ERROR(pass->EachRow(family, handle.get(), [&](std::string_view key, std::string_view value) {
      if (family == "series") {
        const std::shared_ptr<const SeriesInfo> info = DecodeSeriesInfo(value);
        ++pass->summary().series;
        if (info == nullptr || key.size() != sizeof(SeriesId) || GetBigEndian<SeriesId>(key) != info->id) {
          return pass->Find(At(family, "row " + Printable(key) + " is no series definition"));
        }
        pass->AddSeries(info->id, {info->tenant, info->metadata.kind == MetricKind::kCounter});
      } else if (family == "producers") {
        ProducerTable::Change row;
        ++pass->summary().producers;
        if (!ProducerTable::Parse(key, value, &row)) {
          pass->Find(At(family, "row " + Printable(key) + " is no producer's position"));
        }
      } else if (family == "meta" && key.starts_with(kDeleteKeyPrefix)) {
        DeleteRecord record;
        if (!ParseDeleteRecord(key, value, &record)) {
          pass->Find(At(family, "row " + Printable(key) + " is no deletion"));
        }
      }
    }));
  }
  return absl::OkStatus();
}

absl::Status VerifyRawBlocks(VerifyPass* pass) {
  SampleColumns samples;
  for (const PartitionPtr& partition : pass->source().partitions->Overlapping(kRawBucket, kAllTime)) {
    const Window& window = partition->window;
    const std::string family = FamilyName(window);
    std::string series_key;  // tenant and series of the block before
    int64_t last_time = 0;   // of the block before
    const auto check = [&](std::string_view key, std::string_view block) {
      ++pass->summary().blocks;
      if (key.size() != kBlockKeyBytes) return pass->Find(At(family, "key " + Printable(key) + " is no block's"));
      const auto [tenant, id] = BlockKeySeries(key);
      const VerifyPass::KnownSeries* series = pass->FindSeries(id);
      if (series == nullptr) pass->Find(FindingAt(family, key, "the series is not defined"));
      if (series != nullptr && series->tenant != tenant) {
        pass->Find(FindingAt(family, key, "the series belongs to tenant " + std::to_string(series->tenant)));
      }
      samples.clear();
      const absl::Status decoded = DecodeBlock(block, &samples);
      if (!decoded.ok()) return pass->Find(FindingAt(family, key, StatusMessage(decoded)));
      pass->summary().samples += static_cast<int64_t>(samples.size());
      const auto& times = samples.times;
      if (times.front() != BlockKeyTime(key)) {
        pass->Find(FindingAt(family, key, "the first sample is at " + std::to_string(times.front())));
      }
      if (std::adjacent_find(times.begin(), times.end(), std::greater_equal<>()) != times.end()) {
        pass->Find(FindingAt(family, key, "the times do not ascend"));
      }
      if (times.front() < window.start() || times.back() >= window.end()) {
        pass->Find(FindingAt(family, key, "there are samples outside the window"));
      }
      const std::string_view of_series = key.substr(0, kBlockKeyBytes - sizeof(int64_t));
      if (of_series == series_key && times.front() <= last_time) {
        pass->Find(
            FindingAt(family, key, "it overlaps with the block before, which ends at " + std::to_string(last_time)));
      }
      series_key = of_series;
      last_time = times.back();
    };
    PB_RETURN_IF_ERROR(pass->EachRow(family, partition->family.get(), check));
  }
  return absl::OkStatus();
}

absl::StatusOr<VerifySummary> VerifyEverything(VerifySource source, const VerifyWatcher& watch) {
  VerifyPass pass(source, watch);
  int64_t total = 0;
  for (const auto& [name, handle] : source.tables) total += FileBytes(source.db.get(), handle.get());
  for (const SuspectSegment& segment : source.log) total += segment.file_bytes;
  for (const int64_t bucket : source.partitions->Buckets()) {
    for (const PartitionPtr& partition : source.partitions->Overlapping(bucket, kAllTime)) {
      total += FileBytes(source.db.get(), partition->family.get());
    }
  }
  pass.SetTotal(total);
  PB_RETURN_IF_ERROR(VerifyTables(&pass));
  PB_RETURN_IF_ERROR(VerifyLog(&pass));  // before the blocks: it may define series
  PB_RETURN_IF_ERROR(VerifyRawBlocks(&pass));
  PB_RETURN_IF_ERROR(VerifyRollups(&pass));
  return pass.summary();
}

}  // namespace pulseboard

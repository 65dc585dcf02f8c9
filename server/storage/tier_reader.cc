#include "server/storage/tier_reader.h"

#include <algorithm>
#include <utility>

#include "common/analysis/rollup.h"
#include "common/base/errors.h"
#include "common/codec/block.h"
#include "server/storage/memory_reads.h"

namespace pulseboard {
namespace {

constexpr uint64_t kReservedRows = 10'000;
constexpr int64_t kMaxGuessedLength = 400 * kNanosPerDay;  // of a block; beyond, none is guessed

void MergeWithin(std::span<const int64_t> times, std::span<const double> values, TimeRange range, SampleColumns* out) {
  const IndexRange part = IndicesWithin(times, range);
  MergeRun(times.subspan(part.first, part.count), values.subspan(part.first, part.count), out);
}

// Leaves of what stands from `first` on only times within `range`.
void Trim(size_t first, TimeRange range, SampleColumns* out) {
  const IndexRange part = IndicesWithin(std::span(out->times).subspan(first), range);
  const auto keep = [&](auto* column) {
    const auto begin = column->begin() + static_cast<std::ptrdiff_t>(first);
    column->erase(begin + static_cast<std::ptrdiff_t>(part.first + part.count), column->end());
    column->erase(begin, begin + static_cast<std::ptrdiff_t>(part.first));
  };
  if (part.count == out->size() - first) return;
  keep(&out->times);
  keep(&out->values);
}

void AddRange(TimeRange range, std::vector<TimeRange>* ranges) {
  if (range.empty()) return;
  if (!ranges->empty() && ranges->back().end >= range.start) {
    ranges->back().end = std::max(ranges->back().end, range.end);
  } else {
    ranges->push_back(range);
  }
}

// Buckets that hold samples of the runs.
std::vector<TimeRange> TouchedBuckets(std::span<const SampleRun> runs, int64_t bucket_ns, TimeRange range) {
  std::vector<int64_t> starts;
  for (const SampleRun& run : runs) {
    const IndexRange part = IndicesWithin(run.times(), range);
    for (const int64_t time : run.times().subspan(part.first, part.count)) {
      const int64_t start = BucketStart(time, bucket_ns);
      if (starts.empty() || starts.back() != start) starts.push_back(start);
    }
  }
  std::sort(starts.begin(), starts.end());
  std::vector<TimeRange> ranges;
  for (const int64_t start : starts) AddRange({start, start + bucket_ns}, &ranges);
  return ranges;
}

std::vector<TimeRange> Unite(const std::vector<TimeRange>& a, const std::vector<TimeRange>& b) {
  std::vector<TimeRange> all = a;
  all.insert(all.end(), b.begin(), b.end());
  std::sort(all.begin(), all.end(), [](const TimeRange& x, const TimeRange& y) { return x.start < y.start; });
  std::vector<TimeRange> out;
  for (const TimeRange& range : all) AddRange(range, &out);
  return out;
}

template <typename Visit>
void VisitFields(RollupColumns* columns, RollupFields fields, const Visit& visit) {
  visit(columns->starts);
  RollupColumns::VisitColumns(*columns, [&](RollupField field, auto& column) {
    if (fields.Has(field)) visit(column);
  });
}

// Leaves only the buckets within `range` and outside of `without`.
void Keep(TimeRange range, const std::vector<TimeRange>& without, RollupFields fields, RollupColumns* columns) {
  if (columns->empty()) return;
  const bool within = columns->starts.front() >= range.start && columns->starts.back() < range.end;
  if (within && (without.empty() || without.front().start > columns->starts.back())) return;
  std::vector<size_t> kept;
  kept.reserve(columns->size());
  auto hole = without.begin();
  for (size_t i = 0; i < columns->size(); ++i) {
    const int64_t start = columns->starts[i];
    while (hole != without.end() && hole->end <= start) ++hole;
    if (range.Contains(start) && (hole == without.end() || start < hole->start)) kept.push_back(i);
  }
  if (kept.size() == columns->size()) return;
  VisitFields(columns, fields, [&](auto& column) {
    for (size_t i = 0; i < kept.size(); ++i) column[i] = column[kept[i]];
    column.resize(kept.size());
  });
}

// Appends both, ascending by start; no start is in both.
void AppendMerged(RollupColumns a, RollupColumns b, RollupFields fields, RollupColumns* out) {
  std::vector<std::pair<int64_t, size_t>> order;  // start, place (those of b behind those of a)
  const size_t of_a = a.size();
  const bool in_order = a.empty() || b.empty() || a.starts.back() < b.starts.front();
  if (!in_order) {
    for (size_t i = 0; i < of_a; ++i) order.emplace_back(a.starts[i], i);
    for (size_t i = 0; i < b.size(); ++i) order.emplace_back(b.starts[i], of_a + i);
    std::sort(order.begin(), order.end());
  }
  const auto append = [&](auto& from_a, auto& from_b, auto& to) {
    if (in_order) {
      if (to.empty()) {
        to = std::move(from_a);
      } else {
        to.insert(to.end(), from_a.begin(), from_a.end());
      }
      to.insert(to.end(), from_b.begin(), from_b.end());
    } else {
      for (const auto& [start, i] : order) to.push_back(i < of_a ? from_a[i] : from_b[i - of_a]);
    }
  };
  append(a.starts, b.starts, out->starts);
  const auto append_field = [&](RollupField field, auto& from_a, auto& from_b, auto& to) {
    if (fields.Has(field)) append(from_a, from_b, to);
  };
  append_field(RollupField::kCount, a.counts, b.counts, out->counts);
  append_field(RollupField::kNanCount, a.nan_counts, b.nan_counts, out->nan_counts);
  append_field(RollupField::kSum, a.sums, b.sums, out->sums);
  append_field(RollupField::kMin, a.mins, b.mins, out->mins);
  append_field(RollupField::kMax, a.maxs, b.maxs, out->maxs);
  append_field(RollupField::kFirst, a.firsts, b.firsts, out->firsts);
  append_field(RollupField::kLast, a.lasts, b.lasts, out->lasts);
  append_field(RollupField::kResets, a.resets, b.resets, out->resets);
  append_field(RollupField::kFirstTime, a.first_times, b.first_times, out->first_times);
  append_field(RollupField::kLastTime, a.last_times, b.last_times, out->last_times);
  append_field(RollupField::kMinTime, a.min_times, b.min_times, out->min_times);
  append_field(RollupField::kMaxTime, a.max_times, b.max_times, out->max_times);
}

// The time from a block's beginning to that of the next, if samples come evenly.
void NoteLength(const BlockHeader& header, PartitionCursor* cursor) {
  const auto span = static_cast<uint64_t>(header.max_time) - static_cast<uint64_t>(header.min_time);
  if (header.count < 2 || span > static_cast<uint64_t>(kMaxGuessedLength)) return cursor->NoteLength(0);
  cursor->NoteLength(static_cast<int64_t>(span + span / (header.count - 1)));
}

}  // namespace

TimeRange SpanRange(const Tier& tier, const Window& window, int64_t time) {
  const int64_t start = FloorTo(time, tier.span_ns);
  return {std::max(start, window.start()), std::min(start + tier.span_ns, window.end())};
}

TierReader::TierReader(const rocksdb::Snapshot* snapshot, PartitionSetPtr partitions, const std::vector<Tier>* tiers,
                       DecodedBlocks* decoded)
    : snapshot_(snapshot), partitions_(std::move(partitions)), tiers_(tiers), decoded_(decoded) {}

PartitionCursor* TierReader::CursorOf(const PartitionPtr& partition) {
  std::unique_ptr<PartitionCursor>& cursor = cursors_[partition.get()];
  if (cursor == nullptr) cursor = std::make_unique<PartitionCursor>(partition, snapshot_);
  return cursor.get();
}

absl::Status TierReader::ReadBlocks(const StoredSeries& series, TimeRange range, SampleColumns* out) {
  if (range.empty() || partitions_ == nullptr || !series.has_blocks) return absl::OkStatus();
  for (const PartitionPtr& partition : partitions_->Overlapping(kRawBucket, range)) {
    PB_RETURN_IF_ERROR(ReadBlocksOf(CursorOf(partition), series, range, out));
  }
  return absl::OkStatus();
}

absl::Status TierReader::ReadBlock(const BlockScan& scan, const BlockHeader& header, TimeRange range,
                                   SampleColumns* out) {
  bool wanted = false;
  if (decoded_ != nullptr) {
    if (const auto block = decoded_->Find(scan.bytes(), &wanted); block != nullptr) {
      stats_.scanned_samples += static_cast<int64_t>(block->AppendWithin(range, out));
      return absl::OkStatus();
    }
  }
  PB_RETURN_IF_ERROR(MemoryReads::MayDecode(header.count));
  const size_t first = out->size();
  if (const absl::Status status = DecodeBlock(scan.bytes(), out); !status.ok()) return scan.Describe(status);
  ++stats_.decoded_blocks;
  stats_.scanned_samples += static_cast<int64_t>(header.count);
  if (wanted) {
    decoded_->Offer(std::make_shared<const DecodedBlock>(scan.bytes(), std::span(out->times).subspan(first),
                                                         std::span(out->values).subspan(first)));
  }
  if (header.min_time < range.start || header.max_time >= range.end) Trim(first, range, out);
  return absl::OkStatus();
}

absl::Status TierReader::ReadBlocksOf(PartitionCursor* cursor, const StoredSeries& series, TimeRange range,
                                      SampleColumns* out) {
  BlockScan scan(cursor, series.tenant, series.id);
  SampleColumns beside;
  for (scan.SeekBefore(range.start); scan.Valid() && scan.start_time() < range.end; scan.Next()) {
    const absl::StatusOr<BlockHeader> header = ReadBlockHeader(scan.bytes());
    if (!header.ok()) return scan.Describe(header.status());
    NoteLength(*header, cursor);
    if (header->max_time < range.start) continue;
    // Straight to the end of the output, but for a block that lies beside a damaged one.
    if (out->empty() || out->times.back() < header->min_time) {
      PB_RETURN_IF_ERROR(ReadBlock(scan, *header, range, out));
    } else {
      beside.clear();
      PB_RETURN_IF_ERROR(ReadBlock(scan, *header, range, &beside));
      MergeWithin(beside.times, beside.values, range, out);
    }
    // Beside a block that is not damaged lies no other.
    if (header->max_time >= range.end) return absl::OkStatus();
  }
  return scan.status();
}

absl::Status TierReader::ReadSamples(const StoredSeries& series, std::span<const SampleRun> runs, TimeRange range,
                                     SampleColumns* out) {
  if (range.empty()) return absl::OkStatus();
  PB_RETURN_IF_ERROR(ReadBlocks(series, range, out));
  for (const SampleRun& run : runs) {
    stats_.scanned_samples += run.count;
    MergeWithin(run.times(), run.values(), range, out);
  }
  return absl::OkStatus();
}

absl::Status TierReader::ReadSpans(PartitionCursor* cursor, const StoredSeries& series, TimeRange range,
                                   RollupFields fields, int64_t* covered, Stored* out) {
  BlockScan scan(cursor, series.tenant, series.id);
  for (scan.SeekTo(range.start); scan.Valid() && scan.start_time() < range.end; scan.Next()) {
    const absl::StatusOr<RollupSpan> header = ReadRollupSpan(scan.bytes());
    if (!header.ok()) return scan.Describe(header.status());
    if (header->end() <= range.start) continue;
    PB_RETURN_IF_ERROR(MemoryReads::MayDecode(header->count));
    RollupSpan span;
    if (const absl::Status status = DecodeRollupBlock(scan.bytes(), fields, &span, &out->columns); !status.ok()) {
      return scan.Describe(status);
    }
    stats_.scanned_rollups += span.count;
    AddRange({*covered, std::min(span.start, range.end)}, &out->derive);
    for (const SlotRange& slots : span.derive) {
      AddRange({std::max(span.SlotStart(slots.first), range.start), std::min(span.SlotStart(slots.end), range.end)},
               &out->derive);
    }
    *covered = std::max(*covered, span.end());
  }
  return scan.status();
}

absl::Status TierReader::ReadRollups(const StoredSeries& series, std::span<const SampleRun> runs, size_t tier,
                                     TimeRange range, RollupFields fields, RollupColumns* out) {
  if (range.empty()) return absl::OkStatus();
  const int64_t bucket_ns = (*tiers_)[tier].bucket_ns;
  Stored stored;
  const auto length = static_cast<uint64_t>(range.end) - static_cast<uint64_t>(range.start);
  const auto rows = static_cast<size_t>(std::min(kReservedRows, length / static_cast<uint64_t>(bucket_ns)));
  VisitFields(&stored.columns, fields, [rows](auto& column) { column.reserve(rows); });
  int64_t covered = range.start;
  if (partitions_ != nullptr && series.has_blocks) {
    for (const PartitionPtr& partition : partitions_->Overlapping(bucket_ns, range)) {
      PB_RETURN_IF_ERROR(ReadSpans(CursorOf(partition), series, range, fields, &covered, &stored));
    }
  }
  AddRange({covered, range.end}, &stored.derive);
  const std::vector<TimeRange> touched = TouchedBuckets(runs, bucket_ns, range);
  Keep(range, touched, fields, &stored.columns);
  RollupColumns derived;
  const std::vector<TimeRange> derive = touched.empty() ? std::move(stored.derive) : Unite(stored.derive, touched);
  PB_RETURN_IF_ERROR(Derive(series, runs, tier, derive, fields, &derived));
  AppendMerged(std::move(stored.columns), std::move(derived), fields, out);
  return absl::OkStatus();
}

absl::Status TierReader::Derive(const StoredSeries& series, std::span<const SampleRun> runs, size_t tier,
                                std::span<const TimeRange> ranges, RollupFields fields, RollupColumns* out) {
  const Tier& here = (*tiers_)[tier];
  SampleColumns samples;
  RollupColumns finer;
  for (const TimeRange& range : ranges) {
    if (here.source == 0) {
      samples.clear();
      PB_RETURN_IF_ERROR(ReadSamples(series, runs, range, &samples));
      FoldSamples(samples.times, samples.values, here.bucket_ns, series.is_counter, out, fields);
    } else {
      finer.clear();
      PB_RETURN_IF_ERROR(ReadRollups(series, runs, here.source, range, FieldsToFold(fields), &finer));
      FoldRollups(finer, here.bucket_ns, series.is_counter, out, fields);
    }
  }
  return absl::OkStatus();
}

}  // namespace pulseboard

#include "server/storage/rollup_keeper.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "common/analysis/rollup.h"
#include "common/base/errors.h"
#include "common/base/log.h"

namespace pulseboard {
namespace {

constexpr int64_t kNotKnown = std::numeric_limits<int64_t>::min();
constexpr size_t kMaxBatchBytes = 2 << 20;
// From here on a span is filled in quarters of its steps: what is not filled yet takes longer to derive.
constexpr int64_t kManySamplesPerBucket = 1'000;

int64_t MonotonicNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

SlotRange SlotsOf(const RollupSpan& span, TimeRange range) {
  return {static_cast<uint32_t>((range.start - span.start) / span.bucket_ns),
          static_cast<uint32_t>((range.end - span.start) / span.bucket_ns)};
}

int64_t SamplesIn(const RollupColumns& columns) {
  int64_t samples = 0;
  for (const int64_t count : columns.counts) samples += count;
  for (const int64_t count : columns.nan_counts) samples += count;
  return samples;
}

// Both ascending, no start in both.
RollupColumns Merged(const RollupColumns& a, const RollupColumns& b) {
  RollupColumns out;
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() || j < b.size()) {
    if (j == b.size() || (i < a.size() && a.starts[i] < b.starts[j])) {
      out.push_back(a.starts[i], a.Get(i));
      ++i;
    } else {
      out.push_back(b.starts[j], b.Get(j));
      ++j;
    }
  }
  return out;
}

}  // namespace

RollupKeeper::RollupKeeper(BlockStore* blocks, const SeriesIndex* index, const std::vector<Tier>* tiers)
    : blocks_(blocks), index_(index), tiers_(tiers) {}

int64_t& RollupKeeper::ClaimedUntil(SeriesId series) {
  const auto at = static_cast<size_t>(series);
  if (at >= claimed_until_.size()) claimed_until_.resize(at + at / 4 + 64, kNotKnown);
  return claimed_until_[at];
}

absl::StatusOr<std::optional<std::string>> RollupKeeper::ReadBlock(const Tier& tier, const StoredSeries& series,
                                                                   int64_t time, TimeRange* span,
                                                                   PartitionPtr* partition) const {
  *partition = blocks_->Partitions()->Find(tier.bucket_ns, time);
  const Window window =
      *partition != nullptr ? (*partition)->window : blocks_->WindowFor(tier.bucket_ns, time, tier.window_days);
  *span = SpanRange(tier, window, time);
  if (*partition == nullptr) return std::optional<std::string>();
  std::string block;
  const rocksdb::Status status = GetBlock(**partition, BlockKey(series.tenant, series.id, span->start), &block);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return FromRocks(status, "read rollups of series " + std::to_string(series.id));
  return std::optional<std::string>(std::move(block));
}

std::optional<StoredSeries> RollupKeeper::Find(SeriesId id) const {
  const std::optional<SeriesBrief> brief = index_->Brief(id);
  if (!brief) return std::nullopt;
  return StoredSeries{id, brief->tenant, brief->kind == MetricKind::kCounter};
}

void RollupKeeper::Want(const Wanted& wanted, int64_t until, std::map<Wanted, int64_t>* into) {
  if (wanted_.size() + punched_.size() >= kMaxWanted && !into->contains(wanted)) {
    ++stats_.dropped_wants;
    return;
  }
  const auto [it, inserted] = into->try_emplace(wanted, until);
  it->second = std::max(it->second, until);
}

// What of the series was written before the start of this process and reaches beyond `from`.
absl::Status RollupKeeper::ResolveClaims(const StoredSeries& series, int64_t from) {
  int64_t claimed = from;
  const PartitionSetPtr partitions = blocks_->Partitions();
  for (const Tier& tier : std::span(*tiers_).subspan(1)) {
    const auto windows = partitions->Overlapping(tier.bucket_ns, {from, kAllTime.end});
    for (auto it = windows.rbegin(); it != windows.rend(); ++it) {
      PartitionCursor cursor(*it, nullptr);
      BlockScan scan(&cursor, series.tenant, series.id);
      scan.SeekToLast();
      PB_RETURN_IF_ERROR(scan.status());
      if (!scan.Valid()) continue;
      const absl::StatusOr<RollupSpan> span = ReadRollupSpan(scan.bytes());
      claimed = std::max(claimed, span.ok() ? span->end() : (*it)->window.end());
      break;
    }
  }
  ClaimedUntil(series.id) = claimed;
  return absl::OkStatus();
}

absl::Status RollupKeeper::Punch(const StoredSeries& series, std::span<const int64_t> times,
                                 rocksdb::WriteBatch* batch) {
  if (times.empty() || tiers_->size() == 1) return absl::OkStatus();
  std::erase_if(swept_, [&](const auto& swept) {
    return swept.first.start() <= times.back() && times.front() < swept.first.end();
  });
  if (ClaimedUntil(series.id) == kNotKnown) PB_RETURN_IF_ERROR(ResolveClaims(series, times.front()));
  if (times.front() >= ClaimedUntil(series.id)) return absl::OkStatus();
  for (size_t tier = 1; tier < tiers_->size(); ++tier) {
    std::span<const int64_t> rest = times;
    while (!rest.empty() && rest.front() < ClaimedUntil(series.id)) {
      const Tier& t = (*tiers_)[tier];
      const Window window = blocks_->WindowFor(t.bucket_ns, rest.front(), t.window_days);
      const TimeRange span = SpanRange(t, window, rest.front());
      const size_t count = IndicesWithin(rest, {rest.front(), span.end}).count;
      PB_RETURN_IF_ERROR(PunchSpan(series, tier, rest.front(), rest.first(count), batch));
      rest = rest.subspan(count);
    }
  }
  return absl::OkStatus();
}

absl::Status RollupKeeper::PunchSpan(const StoredSeries& series, size_t tier, int64_t time,
                                     std::span<const int64_t> times, rocksdb::WriteBatch* batch) {
  const Tier& t = (*tiers_)[tier];
  TimeRange range;
  PartitionPtr partition;
  PB_ASSIGN_OR_RETURN(const std::optional<std::string> block, ReadBlock(t, series, time, &range, &partition));
  if (!block) return absl::OkStatus();
  std::vector<SlotRange> slots;
  for (const int64_t touched : times) {
    const auto slot = static_cast<uint32_t>((touched - range.start) / t.bucket_ns);
    if (slots.empty() || slots.back().end <= slot) {
      if (!slots.empty() && slots.back().end == slot) {
        ++slots.back().end;
      } else {
        slots.push_back({slot, slot + 1});
      }
    }
  }
  const absl::StatusOr<std::string> punched = PunchRollupBlock(*block, slots);
  if (!punched.ok()) {
    // Who reads it is told of the damage; sealing goes on.
    PB_LOG(Error, "storage", "skipped damaged rollups series={} family={} start={} error={}", series.id,
           FamilyName(partition->window), range.start, StatusMessage(punched.status()));
    return absl::OkStatus();
  }
  ++stats_.punched_spans;
  if (t.filled) Want({tier, series.id, range.start}, range.start, &punched_);
  return FromRocks(batch->Put(partition->family.get(), BlockKey(series.tenant, series.id, range.start), *punched),
                   "punch rollups");
}

absl::Status RollupKeeper::Erase(const StoredSeries& series, TimeRange range, rocksdb::WriteBatch* batch) {
  range = {std::max(range.start, kBucketTimes.start), std::min(range.end, kBucketTimes.end)};
  if (range.empty()) return absl::OkStatus();
  // What is derived from now on has to be filled before the window goes.
  std::erase_if(swept_, [range](const auto& swept) {
    return swept.first.start() < range.end && range.start < swept.first.end();
  });
  for (const Tier& t : std::span(*tiers_).subspan(1)) {
    for (const PartitionPtr& partition : blocks_->Partitions()->Overlapping(t.bucket_ns, range)) {
      PartitionCursor cursor(partition, nullptr);
      BlockScan scan(&cursor, series.tenant, series.id);
      for (scan.SeekTo(range.start); scan.Valid() && scan.start_time() < range.end; scan.Next()) {
        RollupSpan span;
        RollupColumns columns;
        const std::string key = BlockKey(series.tenant, series.id, scan.start_time());
        if (const absl::Status status = DecodeRollupBlock(scan.bytes(), kAllRollupFields, &span, &columns);
            !status.ok()) {
          // Whatever it was about: it goes, and its buckets are derived.
          PB_LOG(Error, "storage", "erased damaged rollups error={}", StatusMessage(scan.Describe(status)));
          PB_RETURN_IF_ERROR(FromRocks(batch->Delete(partition->family.get(), key), "erase rollups"));
          continue;
        }
        if (span.end() <= range.start) continue;
        PB_RETURN_IF_ERROR(EraseFromSpan(*partition, key, range, std::move(span), columns, batch));
      }
      PB_RETURN_IF_ERROR(scan.status());
    }
  }
  return absl::OkStatus();
}

absl::Status RollupKeeper::EraseFromSpan(const Partition& partition, const std::string& key, TimeRange range,
                                         RollupSpan span, const RollupColumns& columns, rocksdb::WriteBatch* batch) {
  RollupColumns left;
  for (size_t i = 0; i < columns.size(); ++i) {
    const int64_t start = columns.starts[i];
    if (start >= range.end || start + span.bucket_ns <= range.start) left.push_back(start, columns.Get(i));
  }
  // Buckets that lie within the range only in part are derived from what is left of the finer tiers.
  std::vector<SlotRange> cut;
  for (const int64_t edge : {range.start, range.end}) {
    const int64_t start = BucketStart(edge, span.bucket_ns);
    if (start == edge || start < span.start || start >= span.end()) continue;
    cut.push_back(SlotsOf(span, {start, start + span.bucket_ns}));
  }
  span.derive = UniteSlots(span.derive, cut);
  // Without a bucket there is no block: all of it is derived, from samples that are gone as well.
  const rocksdb::Status status = left.empty() ? batch->Delete(partition.family.get(), key)
                                              : batch->Put(partition.family.get(), key, EncodeRollupBlock(span, left));
  return FromRocks(status, "erase rollups");
}

void RollupKeeper::NotePassed(const StoredSeries& series, std::optional<int64_t> before,
                              std::span<const int64_t> times) {
  if (times.empty()) return;
  const int64_t last = times.back();
  for (size_t tier = 1; tier < tiers_->size(); ++tier) {
    const Tier& t = (*tiers_)[tier];
    // Not worth a look when the samples lie too far apart; the more there are, the sooner it is.
    const int64_t distance = (last - times.front()) / std::max<int64_t>(1, static_cast<int64_t>(times.size()) - 1);
    if (distance > t.bucket_ns / kMinSamplesPerBucket) continue;
    const bool many = distance < t.bucket_ns / kManySamplesPerBucket && t.step_ns % (4 * t.bucket_ns) == 0;
    const int64_t passed = FloorTo(last, many ? t.step_ns / 4 : t.step_ns);
    if (!t.filled || (before ? *before : times.front()) >= passed) continue;
    const auto want = [&](int64_t time) {
      const Window window = blocks_->WindowFor(t.bucket_ns, time, t.window_days);
      const TimeRange span = SpanRange(t, window, time);
      if (std::min(span.end, passed) > span.start) {
        Want({tier, series.id, span.start}, std::min(span.end, passed), &wanted_);
      }
      return span.end;
    };
    if (before) want(*before);
    for (auto it = times.begin(); it != times.end();) it = std::lower_bound(it, times.end(), want(*it));
  }
}

absl::Status RollupKeeper::Fill(const StoredSeries& series, size_t tier, int64_t time, int64_t until, bool force,
                                TierReader* reader, rocksdb::WriteBatch* batch) {
  const Tier& t = (*tiers_)[tier];
  TimeRange range;
  PartitionPtr partition;
  PB_ASSIGN_OR_RETURN(const std::optional<std::string> block, ReadBlock(t, series, time, &range, &partition));
  RollupSpan span;
  span.bucket_ns = t.bucket_ns;
  span.source_bucket_ns = (*tiers_)[t.source].bucket_ns;
  span.start = range.start;
  std::vector<TimeRange> ranges;
  absl::Status status;
  if (block) {
    absl::StatusOr<RollupSpan> old = ReadRollupSpan(*block);
    status = old.status();
    if (status.ok()) span.slots = old->slots;
    if (status.ok()) {
      for (const SlotRange& slots : old->derive)
        ranges.push_back({old->SlotStart(slots.first), old->SlotStart(slots.end)});
    }
  }
  const int64_t end = std::max(span.end(), FloorTo(std::min(until, range.end), t.bucket_ns));
  if (end > span.end()) ranges.push_back({span.end(), end});
  if (status.ok() && ranges.empty()) return absl::OkStatus();
  RollupColumns stored;
  RollupColumns derived;
  if (status.ok()) status = reader->Derive(series, {}, tier, ranges, kAllRollupFields, &derived);
  if (status.ok() && block) {
    RollupSpan old;
    status = DecodeRollupBlock(*block, kAllRollupFields, &old, &stored);
  }
  if (!status.ok()) {
    PB_LOG(Error, "storage", "left rollups as they are series={} tier={} start={} error={}", series.id,
           TierName(t.bucket_ns), range.start, StatusMessage(status));
    return absl::OkStatus();
  }
  const RollupColumns all = Merged(stored, derived);
  if (all.empty()) {
    if (!block) return absl::OkStatus();
    return FromRocks(batch->Delete(partition->family.get(), BlockKey(series.tenant, series.id, range.start)),
                     "remove rollups");
  }
  const auto buckets = static_cast<int64_t>(all.size());
  const int64_t least = std::max(kMinSamplesPerBucket * buckets, tier == 1 ? 0 : kMinSamplesPerSpan);
  if (!block && !force && SamplesIn(all) < least) return absl::OkStatus();
  if (partition == nullptr) {
    PB_ASSIGN_OR_RETURN(partition, blocks_->ForWrite(t.bucket_ns, range.start, t.window_days));
  }
  span.slots = SlotsOf(span, {range.start, end}).end;
  const std::string bytes = EncodeRollupBlock(span, all);
  int64_t& claimed = ClaimedUntil(series.id);
  if (claimed != kNotKnown) claimed = std::max(claimed, end);
  ++stats_.written_spans;
  stats_.written_bytes += static_cast<int64_t>(bytes.size() + kBlockKeyBytes);
  return FromRocks(batch->Put(partition->family.get(), BlockKey(series.tenant, series.id, range.start), bytes),
                   "write rollups");
}

void RollupKeeper::Sweep(const PartitionPtr& partition, bool force) {
  const Window& window = partition->window;
  for (const Sweeping& sweep : sweeps_) {
    if (sweep.partition->window == window && sweep.force == force) return;
  }
  for (size_t tier = 0; tier < tiers_->size(); ++tier) {
    if ((*tiers_)[tier].bucket_ns == window.bucket_ns) sweeps_.push_back({partition, tier, force, ""});
  }
}

void RollupKeeper::ForgetSweeps(const Window& window) {
  for (const bool force : {false, true}) swept_.erase({window, force});
}

void RollupKeeper::FillPunched() {
  for (const auto& [wanted, until] : std::exchange(punched_, {})) Want(wanted, until, &wanted_);
}

absl::Status RollupKeeper::Work(int64_t budget_ns) {
  const int64_t deadline = MonotonicNanos() + budget_ns;
  rocksdb::WriteBatch batch;
  TierReader reader(nullptr, blocks_->Partitions(), tiers_);
  if (!wanted_.empty()) {
    PB_RETURN_IF_ERROR(FillWanted(deadline, &reader, &batch));
    return blocks_->Write(&batch);
  }
  if (sweeps_.empty()) return absl::OkStatus();
  // What a sweep leaves out would be lost with the window: a failed slice is done again.
  const std::string from = sweeps_.front().next_key;
  absl::StatusOr<bool> done = SweepSome(deadline, &reader, &batch);
  if (done.ok()) {
    if (const absl::Status written = blocks_->Write(&batch); !written.ok()) done = written;
  }
  if (!done.ok()) {
    sweeps_.front().next_key = from;
    return done.status();
  }
  if (*done) {
    swept_.insert({sweeps_.front().partition->window, sweeps_.front().force});
    sweeps_.pop_front();
  }
  return absl::OkStatus();
}

absl::Status RollupKeeper::FillWanted(int64_t deadline, TierReader* reader, rocksdb::WriteBatch* batch) {
  // One tier per slice: what a coarser one is folded from is then on its way to be read.
  const size_t tier = wanted_.begin()->first.tier;
  while (!wanted_.empty() && wanted_.begin()->first.tier == tier) {
    const auto [wanted, until] = *wanted_.begin();
    wanted_.erase(wanted_.begin());
    if (const std::optional<StoredSeries> series = Find(wanted.series)) {
      PB_RETURN_IF_ERROR(Fill(*series, tier, wanted.span_start, until, false, reader, batch));
    }
    if (MonotonicNanos() >= deadline || batch->GetDataSize() >= kMaxBatchBytes) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> RollupKeeper::SweepSome(int64_t deadline, TierReader* reader, rocksdb::WriteBatch* batch) {
  Sweeping& sweep = sweeps_.front();
  const TimeRange window = sweep.partition->window.range();
  // Of now: RocksDB may have been opened again since.
  const PartitionPtr partition = blocks_->Partitions()->Find(sweep.partition->window.bucket_ns, window.start);
  if (partition == nullptr) return true;
  PartitionCursor cursor(partition, nullptr);
  rocksdb::Iterator* it = cursor.iterator();
  for (it->Seek(sweep.next_key); it->Valid(); it->Seek(sweep.next_key)) {
    const auto [tenant, id] = BlockKeySeries(ToView(it->key()));
    StoredSeries series = Find(id).value_or(StoredSeries{id, tenant});
    for (size_t tier = sweep.tier + 1; tier < tiers_->size(); ++tier) {
      const Tier& t = (*tiers_)[tier];
      if (!t.filled) continue;
      for (int64_t time = window.start; time < window.end;) {
        const TimeRange span = SpanRange(t, blocks_->WindowFor(t.bucket_ns, time, t.window_days), time);
        PB_RETURN_IF_ERROR(Fill(series, tier, time, std::min(span.end, window.end), sweep.force, reader, batch));
        time = span.end;
      }
    }
    sweep.next_key = BlockKey(tenant, id + 1, kAllTime.start);
    if (MonotonicNanos() >= deadline || batch->GetDataSize() >= kMaxBatchBytes) return false;
  }
  PB_RETURN_IF_ERROR(FromRocks(it->status(), "sweep " + FamilyName(sweep.partition->window)));
  return true;
}

}  // namespace pulseboard

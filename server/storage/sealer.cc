#include "server/storage/sealer.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "common/codec/block.h"

namespace pulseboard {

absl::Status Sealer::Seal(std::span<const SealingChunkPtr> chunks, const OldestTime& oldest_time, SealStats* stats) {
  const absl::Status status = WriteChunks(chunks, oldest_time, stats);
  // What is remembered about last blocks is right only if the batch was written.
  if (!status.ok()) tails_.Clear();
  return status;
}

absl::Status Sealer::WriteChunks(std::span<const SealingChunkPtr> chunks, const OldestTime& oldest_time,
                                 SealStats* stats) {
  std::vector<const SealingChunk*> by_series;
  by_series.reserve(chunks.size());
  for (const SealingChunkPtr& chunk : chunks) by_series.push_back(chunk.get());
  std::stable_sort(by_series.begin(), by_series.end(),
                   [](const SealingChunk* a, const SealingChunk* b) { return a->series < b->series; });
  rocksdb::WriteBatch batch;
  SampleColumns merged;
  for (size_t at = 0; at < by_series.size();) {
    const SealingChunk& first = *by_series[at++];
    Columns samples = {first.run.times(), first.run.values()};
    if (at < by_series.size() && by_series[at]->series == first.series) {
      merged.clear();
      MergeRun(samples.times, samples.values, &merged);
      for (; at < by_series.size() && by_series[at]->series == first.series; ++at) {
        MergeRun(by_series[at]->run.times(), by_series[at]->run.values(), &merged);
      }
      samples = {merged.times, merged.values};
    }
    const std::optional<SeriesBrief> brief = index_->Brief(first.series);
    if (!brief) {
      return MakeError(ErrorReason::kInternal, "BUG: samples of unknown series " + std::to_string(first.series));
    }
    const StoredSeries series = {first.series, brief->tenant, brief->kind == MetricKind::kCounter};
    PB_RETURN_IF_ERROR(SealSeries(series, samples, oldest_time(series.tenant), &batch, stats));
  }
  return blocks_->Write(&batch);
}

absl::Status Sealer::SealSeries(const StoredSeries& series, Columns samples, int64_t oldest_time,
                                rocksdb::WriteBatch* batch, SealStats* stats) {
  const auto [times, values] = samples;
  const Tail* tail = tails_.Find(series.id);
  const std::optional<int64_t> before =
      tail != nullptr && tail->count > 0 ? std::optional(tail->max_time) : std::nullopt;
  size_t kept_from = 0;
  for (size_t at = 0; at < times.size();) {
    const Window window = blocks_->WindowFor(kRawBucket, times[at], tiers_->front().window_days);
    const size_t end = at + IndicesWithin(times.subspan(at), {times[at], window.end()}).count;
    if (window.end() <= oldest_time) {
      stats->expired_samples += static_cast<int64_t>(end - at);
      kept_from = end;
    } else {
      PB_ASSIGN_OR_RETURN(PartitionPtr partition, blocks_->ForWrite(kRawBucket, times[at], window.days));
      PB_RETURN_IF_ERROR(SealWindow({&series, std::move(partition), batch, stats},
                                    {times.subspan(at, end - at), values.subspan(at, end - at)}));
    }
    at = end;
  }
  PB_RETURN_IF_ERROR(rollups_->Punch(series, times.subspan(kept_from), batch));
  rollups_->NotePassed(series, before, times.subspan(kept_from));
  return absl::OkStatus();
}

absl::Status Sealer::SealWindow(const Target& target, Columns samples) {
  const Tail tail = tails_.At(target.series->id);
  if (tail.count > 0 && tail.start_day == target.partition->window.start_day && samples.times.front() > tail.max_time) {
    PB_RETURN_IF_ERROR(AppendToTail(target, tail, samples));
    tails_.At(target.series->id) = last_put_;
    return absl::OkStatus();
  }
  return MergeIntoWindow(target, samples);
}

absl::Status Sealer::AppendToTail(const Target& target, const Tail& tail, Columns samples) {
  if (tail.count + samples.times.size() > block_samples_) return PutBlocks(target, samples);
  std::string block;
  const std::string key = BlockKey(target.series->tenant, target.series->id, tail.start);
  const rocksdb::Status status = GetBlock(*target.partition, key, &block);
  if (status.IsNotFound()) return MergeIntoWindow(target, samples);  // its window was dropped and begins anew
  if (!status.ok()) return FromRocks(status, "read last block of series " + std::to_string(target.series->id));
  return MergeIntoBlock(target, tail.start, block, samples);
}

absl::Status Sealer::MergeIntoWindow(const Target& target, Columns samples) {
  PartitionCursor cursor(target.partition, nullptr);
  BlockScan scan(&cursor, target.series->tenant, target.series->id);
  bool reached_last = false;
  while (!samples.times.empty()) {
    scan.SeekTo(samples.times.front());
    PB_RETURN_IF_ERROR(scan.status());
    if (!scan.Valid()) {
      PB_RETURN_IF_ERROR(PutBlocks(target, samples));
      reached_last = true;
      break;
    }
    const int64_t start = scan.start_time();
    const std::string block(scan.bytes());
    scan.Next();
    PB_RETURN_IF_ERROR(scan.status());
    reached_last = !scan.Valid();
    // This block's share: all that lies before the next block.
    size_t share = samples.times.size();
    if (!reached_last) share = IndicesWithin(samples.times, {samples.times.front(), scan.start_time()}).count;
    const Columns part = {samples.times.first(share), samples.values.first(share)};
    const absl::StatusOr<BlockHeader> header = ReadBlockHeader(block);
    if (header.ok() && part.times.front() > header->max_time && header->count + share > block_samples_) {
      PB_RETURN_IF_ERROR(PutBlocks(target, part));
    } else {
      PB_RETURN_IF_ERROR(MergeIntoBlock(target, start, block, part));
    }
    samples = {samples.times.subspan(share), samples.values.subspan(share)};
  }
  if (reached_last) tails_.At(target.series->id) = last_put_;
  return absl::OkStatus();
}

absl::Status Sealer::MergeIntoBlock(const Target& target, int64_t block_start, std::string_view block,
                                    Columns samples) {
  SampleColumns merged;
  if (const absl::Status decoded = DecodeBlock(block, &merged); !decoded.ok()) {
    // Readers of the damaged block go on being told; the samples at hand must not be lost with it.
    PB_LOG(Error, "storage", "skipped damaged block series={} window={} start={} error={}", target.series->id,
           FamilyName(target.partition->window), block_start, StatusMessage(decoded));
    return PutBlocks(target, samples);
  }
  MergeRun(samples.times, samples.values, &merged);
  if (merged.times.front() != block_start) {
    const rocksdb::Status status = target.batch->Delete(
        target.partition->family.get(), BlockKey(target.series->tenant, target.series->id, block_start));
    if (!status.ok()) return FromRocks(status, "replace block");
  }
  return PutBlocks(target, {merged.times, merged.values});
}

absl::Status Sealer::PutBlocks(const Target& target, Columns samples) {
  const size_t blocks = (samples.times.size() + block_samples_ - 1) / block_samples_;
  for (size_t i = 0; i < blocks; ++i) {
    const size_t from = samples.times.size() * i / blocks;
    const size_t count = samples.times.size() * (i + 1) / blocks - from;
    const auto times = samples.times.subspan(from, count);
    const std::string bytes = EncodeBlock(times, samples.values.subspan(from, count));
    const std::string key = BlockKey(target.series->tenant, target.series->id, times.front());
    const rocksdb::Status status = target.batch->Put(target.partition->family.get(), key, bytes);
    if (!status.ok()) return FromRocks(status, "write block");
    ++target.stats->blocks;
    target.stats->samples += static_cast<int64_t>(count);
    target.stats->bytes += static_cast<int64_t>(key.size() + bytes.size());
    last_put_ = {times.front(), times.back(), static_cast<uint32_t>(count),
                 static_cast<int32_t>(target.partition->window.start_day)};
  }
  return absl::OkStatus();
}

}  // namespace pulseboard

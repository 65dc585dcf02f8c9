#include "server/storage/decoded_blocks.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pulseboard {
namespace {

constexpr size_t kAskedSlots = 1 << 14;
constexpr int64_t kEntryOverheadBytes = 256;  // list, map, allocations

// Blocks end with their checksum and begin with their times.
uint64_t HashOf(std::string_view bytes) {
  uint64_t first = 0, last = 0;
  std::memcpy(&first, bytes.data(), std::min(sizeof(first), bytes.size()));
  const size_t tail = std::min(sizeof(last), bytes.size());
  std::memcpy(&last, bytes.data() + bytes.size() - tail, tail);
  uint64_t hash = (first ^ (last * 0x9E3779B97F4A7C15u) ^ bytes.size()) * 0xD6E8FEB86659FD93u;
  return hash ^ (hash >> 32);
}

// Of evenly spaced times: how many lie before `time`.
size_t CountBefore(int64_t time, int64_t first, uint64_t step, size_t count) {
  if (time <= first) return 0;
  const uint64_t offset = static_cast<uint64_t>(time) - static_cast<uint64_t>(first);
  return static_cast<size_t>(std::min<uint64_t>(count, (offset - 1) / step + 1));
}

}  // namespace

DecodedBlock::DecodedBlock(std::string_view bytes, std::span<const int64_t> times, std::span<const double> values)
    : bytes_(bytes), values_(values.begin(), values.end()), first_time_(times.front()), last_time_(times.back()) {
  const auto gap = [&](size_t i) { return static_cast<uint64_t>(times[i]) - static_cast<uint64_t>(times[i - 1]); };
  if (times.size() > 1) step_ = gap(1);
  for (size_t i = 2; i < times.size(); ++i) {
    if (gap(i) == step_) continue;
    times_.assign(times.begin(), times.end());
    return;
  }
}

size_t DecodedBlock::AppendWithin(TimeRange range, SampleColumns* out) const {
  size_t begin = 0, end = 0;
  if (times_.empty()) {
    begin = CountBefore(range.start, first_time_, step_, values_.size());
    end = CountBefore(range.end, first_time_, step_, values_.size());
  } else {
    begin = static_cast<size_t>(std::lower_bound(times_.begin(), times_.end(), range.start) - times_.begin());
    end = static_cast<size_t>(std::lower_bound(times_.begin(), times_.end(), range.end) - times_.begin());
  }
  if (begin >= end) return 0;
  const auto first = static_cast<std::ptrdiff_t>(begin), last = static_cast<std::ptrdiff_t>(end);
  if (times_.empty()) {
    const size_t before = out->times.size();
    out->times.resize(before + end - begin);
    for (size_t i = begin; i < end; ++i) {
      out->times[before + i - begin] = static_cast<int64_t>(static_cast<uint64_t>(first_time_) + i * step_);
    }
  } else {
    out->times.insert(out->times.end(), times_.begin() + first, times_.begin() + last);
  }
  out->values.insert(out->values.end(), values_.begin() + first, values_.begin() + last);
  return end - begin;
}

int64_t DecodedBlock::memory_bytes() const {
  return kEntryOverheadBytes + static_cast<int64_t>(bytes_.capacity() + values_.capacity() * sizeof(double) +
                                                    times_.capacity() * sizeof(int64_t));
}

DecodedBlocks::DecodedBlocks(int64_t max_bytes) : max_bytes_(max_bytes), asked_(kAskedSlots) {}

std::shared_ptr<const DecodedBlock> DecodedBlocks::Find(std::string_view bytes, bool* wanted) {
  *wanted = false;
  if (max_bytes_ <= 0) return nullptr;
  const uint64_t hash = HashOf(bytes);
  std::shared_ptr<const DecodedBlock> found;
  {
    MutexLock lock(&mu_);
    if (const auto it = by_hash_.find(hash); it != by_hash_.end()) {
      order_.splice(order_.begin(), order_, it->second);
      found = order_.front();
    }
    uint32_t& slot = asked_[(hash >> 20) % kAskedSlots];
    const bool same = found != nullptr && found->bytes().size() == bytes.size();
    ++(same ? stats_.hits : stats_.misses);
    if (!same) *wanted = std::exchange(slot, static_cast<uint32_t>(hash)) == static_cast<uint32_t>(hash);
  }
  // Outside of the lock, all of them: hashes may meet.
  if (found == nullptr || found->bytes() != bytes) return nullptr;
  return found;
}

void DecodedBlocks::Offer(std::shared_ptr<const DecodedBlock> block) {
  const int64_t bytes = block->memory_bytes();
  if (bytes > max_bytes_) return;
  const uint64_t hash = HashOf(block->bytes());
  std::vector<std::shared_ptr<const DecodedBlock>> gone;  // freed outside of the lock
  MutexLock lock(&mu_);
  const auto drop = [&](Order::iterator it) PB_REQUIRES(mu_) {
    stats_.bytes -= (*it)->memory_bytes();
    gone.push_back(std::move(*it));
    order_.erase(it);
  };
  if (const auto it = by_hash_.find(hash); it != by_hash_.end()) {
    drop(it->second);
    by_hash_.erase(it);
  }
  while (!order_.empty() && stats_.bytes + bytes > max_bytes_) {
    by_hash_.erase(HashOf(order_.back()->bytes()));
    drop(std::prev(order_.end()));
  }
  order_.push_front(std::move(block));
  by_hash_[hash] = order_.begin();
  stats_.bytes += bytes;
}

DecodedBlocksStats DecodedBlocks::Stats() const {
  MutexLock lock(&mu_);
  return stats_;
}

}  // namespace pulseboard

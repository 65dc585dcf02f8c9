#include "server/transfer/series_cache.h"

#include <absl/hash/hash.h>
#include <absl/strings/string_view.h>

#include <algorithm>
#include <cstring>

namespace pulseboard {
namespace {

constexpr size_t kBlockBytes = 256 << 10;
constexpr size_t kFirstSlots = 1 << 10;

uint64_t HashOf(std::string_view text) {
  return absl::Hash<absl::string_view>()(absl::string_view(text.data(), text.size()));
}

}  // namespace

SeriesCache::SeriesCache(int64_t max_series, int64_t max_bytes)
    : max_series_(max_series), max_bytes_(max_bytes), entries_(1), slots_(kFirstSlots, 0) {}

const SeriesCache::Entry* SeriesCache::Find(std::string_view text) {
  const uint64_t hash = HashOf(text);
  const size_t mask = slots_.size() - 1;
  for (size_t slot = hash & mask; slots_[slot] != 0; slot = (slot + 1) & mask) {
    const Entry& entry = entries_[slots_[slot]];
    if (entry.hash == hash && entry.text == text) return Follow(slots_[slot]);
  }
  return nullptr;
}

const SeriesCache::Entry* SeriesCache::Insert(std::string_view text, uint32_t flags) {
  const auto cost = static_cast<int64_t>(text.size() + sizeof(Entry));
  if (size() >= max_series_ || bytes_ + cost > max_bytes_) return nullptr;
  bytes_ += cost;
  if (entries_.size() * 2 > slots_.size()) Grow();
  const auto index = static_cast<uint32_t>(entries_.size());
  entries_.push_back({Keep(text), index, flags, 0, HashOf(text)});
  size_t slot = entries_.back().hash & (slots_.size() - 1);
  while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
  slots_[slot] = index;
  return Follow(index);
}

void SeriesCache::Grow() {
  slots_.assign(slots_.size() * 2, 0);
  const size_t mask = slots_.size() - 1;
  for (uint32_t index = 1; index < entries_.size(); ++index) {
    size_t slot = entries_[index].hash & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = index;
  }
}

std::string_view SeriesCache::Keep(std::string_view text) {
  if (text.size() > block_left_) {
    block_left_ = std::max(kBlockBytes, text.size());
    blocks_.push_back(std::make_unique<char[]>(block_left_));
    block_at_ = blocks_.back().get();
  }
  if (!text.empty()) std::memcpy(block_at_, text.data(), text.size());
  const std::string_view kept(block_at_, text.size());
  block_at_ += text.size();
  block_left_ -= text.size();
  return kept;
}

}  // namespace pulseboard

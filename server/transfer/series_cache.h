// SeriesCache: the series of a text by the bytes that spell it, so that a repeated series costs a comparison.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

namespace pulseboard {

// Texts repeat their series in the same order, or the same one many times: so the cache remembers which came after
// which, and a right guess needs no hash. Thread-compatible. Hashes are seeded per process.
class SeriesCache {
 public:
  struct Entry {
    std::string_view text;
    uint32_t ref = 0;
    uint32_t flags = 0;  // the parser's
    uint32_t next = 0;   // index of the entry that came after it last time
    uint64_t hash = 0;
  };

  // `max_series`, `max_bytes`: more are not taken.
  SeriesCache(int64_t max_series, int64_t max_bytes);

  // Guesses for the series that begins `text`: the one that came after the last one, and the last one again. Null:
  // wrong. `terminator(rest)` says whether the spelling may end where the entry's does.
  template <typename Terminator>
  const Entry* Guess(std::string_view text, Terminator&& terminator) {
    const uint32_t expected = entries_[last_].next;
    for (const uint32_t index : {expected, last_}) {
      const Entry& entry = entries_[index];
      if (index != 0 && text.starts_with(entry.text) && terminator(text.substr(entry.text.size()))) {
        return Follow(index);
      }
    }
    return nullptr;
  }
  // Null when unknown.
  const Entry* Find(std::string_view text);
  // Null when full. REQUIRES: not known. The ref is new: 1, 2, 3 …
  const Entry* Insert(std::string_view text, uint32_t flags);
  int64_t size() const { return static_cast<int64_t>(entries_.size()) - 1; }

 private:
  const Entry* Follow(uint32_t index) {
    entries_[last_].next = index;
    last_ = index;
    return &entries_[index];
  }
  void Grow();
  std::string_view Keep(std::string_view text);

  const int64_t max_series_;
  const int64_t max_bytes_;
  std::vector<Entry> entries_;   // the first is a sentinel
  std::vector<uint32_t> slots_;  // by hash, open addressing; 0 empty
  std::deque<std::unique_ptr<char[]>> blocks_;
  size_t block_left_ = 0;
  char* block_at_ = nullptr;
  int64_t bytes_ = 0;
  uint32_t last_ = 0;
};

}  // namespace pulseboard

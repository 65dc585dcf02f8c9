// IdTable: values by series id, in pages, so that ids which come to an end give their memory back and those in use are
// two look-ups away. Not thread-safe. References stay valid until their id is erased.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/model/labels.h"

namespace pulseboard {

template <typename Value>
class IdTable {
 public:
  // Made when new.
  Value& At(SeriesId id) {
    const size_t page_number = static_cast<size_t>(id / kPageSize);
    if (page_number >= pages_.size()) pages_.resize(page_number + 1);
    std::unique_ptr<Page>& page = pages_[page_number];
    if (page == nullptr) page = std::make_unique<Page>();
    const size_t slot = static_cast<size_t>(id % kPageSize);
    if (!page->used[slot]) {
      page->used[slot] = true;
      ++size_;
    }
    return page->values[slot];
  }

  // Null when there is none.
  const Value* Find(SeriesId id) const {
    const size_t page_number = static_cast<size_t>(id / kPageSize);
    if (page_number >= pages_.size() || pages_[page_number] == nullptr) return nullptr;
    const Page& page = *pages_[page_number];
    const size_t slot = static_cast<size_t>(id % kPageSize);
    return page.used[slot] ? &page.values[slot] : nullptr;
  }
  Value* Find(SeriesId id) { return const_cast<Value*>(static_cast<const IdTable*>(this)->Find(id)); }

  void Erase(SeriesId id) {
    if (Find(id) == nullptr) return;
    std::unique_ptr<Page>& page = pages_[static_cast<size_t>(id / kPageSize)];
    const size_t slot = static_cast<size_t>(id % kPageSize);
    page->values[slot] = Value();
    page->used[slot] = false;
    --size_;
    if (page->used.none()) page = nullptr;
  }

  void Clear() {
    pages_.clear();
    size_ = 0;
  }
  size_t size() const { return size_; }

 private:
  static constexpr size_t kPageSize = 256;
  struct Page {
    std::array<Value, kPageSize> values{};
    std::bitset<kPageSize> used;
  };

  std::vector<std::unique_ptr<Page>> pages_;  // null where no id is used
  size_t size_ = 0;
};

}  // namespace pulseboard

// Sets of series ids. SeriesSet is a compressed bitmap (CRoaring); Postings is one label value's series: most values of
// labels like `pod` have one series, which then costs 16 bytes and no bitmap.
#pragma once

#include <roaring/roaring.hh>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/model/labels.h"

namespace pulseboard {

// A set of 64-bit ids as one 32-bit bitmap per 2^32 ids: ids are dense from 1, so there is nearly always one. Const
// member functions may run concurrently.
class SeriesSet {
 public:
  SeriesSet() = default;
  explicit SeriesSet(std::span<const SeriesId> ascending);

  void Add(SeriesId id);
  void Remove(SeriesId id);
  bool Contains(SeriesId id) const;
  bool empty() const { return parts_.empty(); }
  int64_t size() const;
  // How many are at or above `id`.
  int64_t CountFrom(SeriesId id) const;
  int64_t CountCommon(const SeriesSet& other) const;
  // The smallest; 0 when empty.
  SeriesId Smallest() const;
  // Calls `visit` for each id, ascending, until it returns false.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (const Part& part : parts_) {
      for (auto it = part.low.begin(); it != part.low.end(); ++it) {
        if (!visit(Join(part.high, *it))) return;
      }
    }
  }
  std::vector<SeriesId> ToVector() const;

  SeriesSet& operator&=(const SeriesSet& other);
  SeriesSet& operator|=(const SeriesSet& other);
  SeriesSet& operator-=(const SeriesSet& other);
  bool operator==(const SeriesSet& other) const;

  // Packs what will not change for a while.
  void Compress();
  // Portable bytes, for storage. Decode returns false for anything else.
  void Encode(std::string* out) const;
  static bool Decode(std::string_view bytes, SeriesSet* out);

 private:
  struct Part {
    uint32_t high = 0;
    Roaring low;  // never empty
  };
  static SeriesId Join(uint32_t high, uint32_t low) { return (SeriesId{high} << 32) | low; }
  static uint32_t High(SeriesId id) { return static_cast<uint32_t>(id >> 32); }
  static uint32_t Low(SeriesId id) { return static_cast<uint32_t>(id); }
  const Roaring* Find(uint32_t high) const;
  Roaring& At(uint32_t high);
  void DropEmpty();

  std::vector<Part> parts_;  // ascending by high
};

// The series of one label value.
class Postings {
 public:
  void Add(SeriesId id);
  void Remove(SeriesId id);
  bool empty() const { return one_ == 0 && many_ == nullptr; }
  int64_t size() const { return many_ ? many_->size() : static_cast<int64_t>(one_ != 0); }
  SeriesId Smallest() const { return many_ ? many_->Smallest() : one_; }
  bool Contains(SeriesId id) const { return many_ ? many_->Contains(id) : one_ == id && id != 0; }
  int64_t CountFrom(SeriesId id) const;
  int64_t CountCommon(const SeriesSet& other) const;
  SeriesSet ToSet() const;
  void IntersectInto(SeriesSet* ids) const;
  // Null unless it is a bitmap; then the one series, or 0, is Smallest().
  const SeriesSet* bitmap() const { return many_.get(); }

 private:
  SeriesId one_ = 0;                 // the only member, without bitmap
  std::unique_ptr<SeriesSet> many_;  // two or more
};

}  // namespace pulseboard

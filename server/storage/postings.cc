#include "server/storage/postings.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "common/codec/bytes.h"

namespace pulseboard {

SeriesSet::SeriesSet(std::span<const SeriesId> ascending) {
  std::vector<uint32_t> low;
  for (size_t at = 0; at < ascending.size();) {
    const uint32_t high = High(ascending[at]);
    low.clear();
    for (; at < ascending.size() && High(ascending[at]) == high; ++at) low.push_back(Low(ascending[at]));
    parts_.push_back({high, Roaring(low.size(), low.data())});
  }
}

const Roaring* SeriesSet::Find(uint32_t high) const {
  for (const Part& part : parts_) {
    if (part.high == high) return &part.low;
  }
  return nullptr;
}

Roaring& SeriesSet::At(uint32_t high) {
  auto it = parts_.begin();
  while (it != parts_.end() && it->high < high) ++it;
  if (it == parts_.end() || it->high != high) it = parts_.insert(it, {high, Roaring()});
  return it->low;
}

void SeriesSet::DropEmpty() {
  std::erase_if(parts_, [](const Part& part) { return part.low.isEmpty(); });
}

void SeriesSet::Add(SeriesId id) { At(High(id)).add(Low(id)); }

void SeriesSet::Remove(SeriesId id) {
  if (Find(High(id)) == nullptr) return;
  At(High(id)).remove(Low(id));
  DropEmpty();
}

bool SeriesSet::Contains(SeriesId id) const {
  const Roaring* part = Find(High(id));
  return part != nullptr && part->contains(Low(id));
}

int64_t SeriesSet::size() const {
  uint64_t size = 0;
  for (const Part& part : parts_) size += part.low.cardinality();
  return static_cast<int64_t>(size);
}

int64_t SeriesSet::CountFrom(SeriesId id) const {
  uint64_t count = 0;
  for (const Part& part : parts_) {
    if (part.high < High(id)) continue;
    count += part.low.cardinality();
    if (part.high == High(id) && Low(id) > 0) count -= part.low.rank(Low(id) - 1);
  }
  return static_cast<int64_t>(count);
}

int64_t SeriesSet::CountCommon(const SeriesSet& other) const {
  uint64_t count = 0;
  for (const Part& part : parts_) {
    if (const Roaring* theirs = other.Find(part.high)) count += part.low.and_cardinality(*theirs);
  }
  return static_cast<int64_t>(count);
}

SeriesId SeriesSet::Smallest() const {
  return parts_.empty() ? 0 : Join(parts_.front().high, parts_.front().low.minimum());
}

std::vector<SeriesId> SeriesSet::ToVector() const {
  std::vector<SeriesId> out;
  out.reserve(static_cast<size_t>(size()));
  std::vector<uint32_t> low;
  for (const Part& part : parts_) {
    low.resize(part.low.cardinality());
    part.low.toUint32Array(low.data());
    for (const uint32_t id : low) out.push_back(Join(part.high, id));
  }
  return out;
}

SeriesSet& SeriesSet::operator&=(const SeriesSet& other) {
  for (Part& part : parts_) {
    if (const Roaring* theirs = other.Find(part.high)) {
      part.low &= *theirs;
    } else {
      part.low = Roaring();
    }
  }
  DropEmpty();
  return *this;
}

SeriesSet& SeriesSet::operator|=(const SeriesSet& other) {
  for (const Part& part : other.parts_) At(part.high) |= part.low;
  return *this;
}

SeriesSet& SeriesSet::operator-=(const SeriesSet& other) {
  for (Part& part : parts_) {
    if (const Roaring* theirs = other.Find(part.high)) part.low -= *theirs;
  }
  DropEmpty();
  return *this;
}

bool SeriesSet::operator==(const SeriesSet& other) const {
  return std::equal(parts_.begin(), parts_.end(), other.parts_.begin(), other.parts_.end(),
                    [](const Part& a, const Part& b) { return a.high == b.high && a.low == b.low; });
}

void SeriesSet::Compress() {
  for (Part& part : parts_) {
    part.low.runOptimize();
    part.low.shrinkToFit();
  }
}

void SeriesSet::Encode(std::string* out) const {
  PutVarint(out, parts_.size());
  for (const Part& part : parts_) {
    PutVarint(out, part.high);
    std::string bytes(part.low.getSizeInBytes(), '\0');
    part.low.write(bytes.data());
    PutLengthPrefixed(out, bytes);
  }
}

bool SeriesSet::Decode(std::string_view bytes, SeriesSet* out) {
  out->parts_.clear();
  ByteReader in(bytes);
  const uint64_t count = in.Varint();
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    const uint64_t high = in.Varint();
    const std::string_view low = in.LengthPrefixed();
    if (!in.ok() || high > UINT32_MAX || (!out->parts_.empty() && out->parts_.back().high >= high)) return false;
    // The safe reader never looks past the end, and says so by an empty bitmap.
    roaring_bitmap_t* bitmap = roaring_bitmap_portable_deserialize_safe(low.data(), low.size());
    if (bitmap == nullptr) return false;
    Roaring part(bitmap);
    if (part.isEmpty()) return false;
    out->parts_.push_back({static_cast<uint32_t>(high), std::move(part)});
  }
  return in.ok() && in.remaining() == 0;
}

void Postings::Add(SeriesId id) {
  if (many_ != nullptr) {
    many_->Add(id);
  } else if (one_ == 0 || one_ == id) {
    one_ = id;
  } else {
    many_ = std::make_unique<SeriesSet>();
    many_->Add(std::exchange(one_, 0));
    many_->Add(id);
  }
}

void Postings::Remove(SeriesId id) {
  if (many_ == nullptr) {
    if (one_ == id) one_ = 0;
    return;
  }
  many_->Remove(id);
  if (many_->size() > 1) return;
  one_ = many_->Smallest();
  many_ = nullptr;
}

SeriesSet Postings::ToSet() const {
  if (many_ != nullptr) return *many_;
  SeriesSet set;
  if (one_ != 0) set.Add(one_);
  return set;
}

void Postings::IntersectInto(SeriesSet* ids) const {
  if (many_ != nullptr) {
    *ids &= *many_;
  } else {
    const bool has_it = one_ != 0 && ids->Contains(one_);
    *ids = {};
    if (has_it) ids->Add(one_);
  }
}

int64_t Postings::CountFrom(SeriesId id) const {
  return many_ ? many_->CountFrom(id) : static_cast<int64_t>(one_ != 0 && one_ >= id);
}

int64_t Postings::CountCommon(const SeriesSet& other) const {
  return many_ ? many_->CountCommon(other) : static_cast<int64_t>(one_ != 0 && other.Contains(one_));
}

}  // namespace pulseboard

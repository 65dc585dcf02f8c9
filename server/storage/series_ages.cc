#include "server/storage/series_ages.h"

#include <algorithm>

#include "common/codec/bytes.h"

namespace pulseboard {

bool SeriesAges::Note(int64_t unix_nanos, SeriesId next_id) {
  const int64_t now = unix_nanos / kNanosPerSecond;
  if (!marks_.empty()) {
    const Mark& last = marks_.back();
    if (next_id <= last.next_id || now < last.unix_seconds + kMarkEverySeconds) return false;
  }
  marks_.push_back({now, next_id});
  // The newest of the old ones stays: it says which ids are older than a day.
  while (marks_.size() > 1 && marks_[1].unix_seconds < now - kKeptSeconds) marks_.pop_front();
  return true;
}

SeriesId SeriesAges::FirstIdSince(int64_t unix_nanos) const {
  const int64_t seconds = unix_nanos / kNanosPerSecond;
  if (marks_.empty()) return 0;
  const auto after = std::upper_bound(marks_.begin(), marks_.end(), seconds,
                                      [](int64_t time, const Mark& mark) { return time < mark.unix_seconds; });
  return after == marks_.begin() ? marks_.front().next_id : std::prev(after)->next_id;
}

std::string SeriesAges::Encode() const {
  std::string bytes;
  PutVarint(&bytes, marks_.size());
  Mark previous{0, 0};
  for (const Mark& mark : marks_) {
    PutZigZag(&bytes, mark.unix_seconds - previous.unix_seconds);
    PutVarint(&bytes, mark.next_id - previous.next_id);
    previous = mark;
  }
  return bytes;
}

bool SeriesAges::Decode(std::string_view bytes) {
  marks_.clear();
  ByteReader in(bytes);
  const uint64_t count = in.Varint();
  Mark mark{0, 0};
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    mark.unix_seconds += in.ZigZag();
    mark.next_id += in.Varint();
    marks_.push_back(mark);
  }
  return in.ok() && in.remaining() == 0;
}

}  // namespace pulseboard

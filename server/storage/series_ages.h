// When series came: ids ascend in time, so a few marks "at this time the next id was that" tell for every id.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/model/labels.h"

namespace pulseboard {

// Exact to a minute, for the last day. Not thread-safe.
class SeriesAges {
 public:
  // Ids from `next_id` on were not handed out at `unix_nanos`. True when a mark was made: worth saving.
  bool Note(int64_t unix_nanos, SeriesId next_id);
  // The first id handed out at or after this time. What came before the oldest mark counts as old.
  SeriesId FirstIdSince(int64_t unix_nanos) const;

  std::string Encode() const;
  // False for bytes that Encode did not make.
  bool Decode(std::string_view bytes);

 private:
  static constexpr int64_t kMarkEverySeconds = 60;
  static constexpr int64_t kKeptSeconds = 25 * 3600;
  struct Mark {
    int64_t unix_seconds;
    SeriesId next_id;
  };
  std::deque<Mark> marks_;  // ascending in both
};

}  // namespace pulseboard

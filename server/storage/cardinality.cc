#include "server/storage/cardinality.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace pulseboard {

int64_t CardinalityTop::Weight(const SeriesCounts& counts) const {
  switch (order_) {
    case CardinalityOrder::kSeries:
      return counts.series;
    case CardinalityOrder::kCreatedLastHour:
      return counts.created_last_hour;
    case CardinalityOrder::kCreatedLastDay:
      return counts.created_last_day;
  }
  return 0;
}

bool CardinalityTop::Before(const CardinalityEntry& a, const CardinalityEntry& b) const {
  return std::make_tuple(-Weight(a.counts), std::tie(a.label, a.value)) <
         std::make_tuple(-Weight(b.counts), std::tie(b.label, b.value));
}

bool CardinalityTop::Wants(const SeriesCounts& counts) const {
  if (limit_ == 0 || Weight(counts) <= 0) return false;
  return heap_.size() < limit_ || Weight(counts) >= Weight(heap_.front().counts);
}

void CardinalityTop::Add(CardinalityEntry entry) {
  if (!Wants(entry.counts)) return;
  const auto before = [this](const CardinalityEntry& a, const CardinalityEntry& b) { return Before(a, b); };
  heap_.push_back(std::move(entry));
  std::push_heap(heap_.begin(), heap_.end(), before);
  if (heap_.size() <= limit_) return;
  std::pop_heap(heap_.begin(), heap_.end(), before);
  heap_.pop_back();
}

std::vector<CardinalityEntry> CardinalityTop::Take() {
  std::sort(heap_.begin(), heap_.end(),
            [this](const CardinalityEntry& a, const CardinalityEntry& b) { return Before(a, b); });
  return std::move(heap_);
}

}  // namespace pulseboard

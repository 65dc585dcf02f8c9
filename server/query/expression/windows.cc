#include "server/query/expression/windows.h"

#include <algorithm>

namespace pulseboard::expression {

std::optional<int64_t> Grid::FirstFrom(int64_t time) const {
  if (time <= start) return start;
  if (time > last()) return std::nullopt;
  const __int128 past = static_cast<__int128>(time) - start;
  return At(static_cast<size_t>((past + step - 1) / step));
}

WindowKind KindFor(WindowKind kind, MetricKind metric) {
  if (metric != MetricKind::kDelta) return kind;
  if (kind == WindowKind::kRate) return WindowKind::kDeltaRate;
  return kind == WindowKind::kIncrease ? WindowKind::kDeltaIncrease : kind;
}

bool NeedsSampleBefore(WindowKind kind) {
  return kind == WindowKind::kRate || kind == WindowKind::kIncrease || kind == WindowKind::kDelta ||
         kind == WindowKind::kDeltaRate;
}

bool SeesNaN(WindowKind kind) { return kind == WindowKind::kNewest || kind == WindowKind::kTimestamp; }

bool SeesOnlyNewest(WindowKind kind) {
  return SeesNaN(kind) || kind == WindowKind::kLast || kind == WindowKind::kPresent;
}

bool ReadsRollups(WindowKind kind, MetricKind metric) {
  switch (KindFor(kind, metric)) {
    case WindowKind::kRate:
    case WindowKind::kIncrease:
      return metric == MetricKind::kCounter;  // of others rollups do not know the falls
    case WindowKind::kIrate:
    case WindowKind::kIdelta:
    case WindowKind::kDeriv:
    case WindowKind::kResets:
    case WindowKind::kChanges:
    case WindowKind::kQuantile:
    case WindowKind::kStddev:
    case WindowKind::kStdvar:
      return false;
    default:
      return true;
  }
}

RollupFields RollupFieldsOf(WindowKind kind) {
  const RollupFields ends =
      RollupField::kCount | RollupField::kFirst | RollupField::kLast | RollupField::kFirstTime | RollupField::kLastTime;
  switch (kind) {
    case WindowKind::kNewest:
    case WindowKind::kTimestamp:
      return ends | RollupField::kNanCount;
    case WindowKind::kRate:
    case WindowKind::kIncrease:
      return ends | RollupField::kResets;
    case WindowKind::kAvg:
    case WindowKind::kSum:
    case WindowKind::kDeltaIncrease:
    case WindowKind::kDeltaRate:
      return ends | RollupField::kSum;
    case WindowKind::kMin:
      return ends | RollupField::kMin;
    case WindowKind::kMax:
      return ends | RollupField::kMax;
    default:
      return ends;
  }
}

TimeRange Windows::Readable(int64_t instant) const {
  int64_t start = SaturatingSubtract(instant, length_ns);
  if (NeedsSampleBefore(kind)) start = SaturatingSubtract(start, max_gap_ns);
  return {SaturatingAdd(start, 1), SaturatingAdd(instant, 1)};
}

std::optional<int64_t> Windows::FirstEdgeFrom(int64_t time) const {
  const std::optional<int64_t> end = grid.FirstFrom(time);
  if (SeesOnlyNewest(kind)) return end;
  // A window's beginning, which may be an edge of another's as well.
  const std::optional<int64_t> later = grid.FirstFrom(SaturatingAdd(time, length_ns));
  if (!later) return end;
  const int64_t begin = SaturatingSubtract(*later, length_ns);
  return end ? std::min(*end, begin) : begin;
}

}  // namespace pulseboard::expression

#include "server/query/columns/aggregates.h"

#include <string>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "server/query/expression/evaluation.h"

namespace pulseboard {
namespace {

using expression::kNoValue;

struct Growth {
  double amount = 0;
  int64_t covered_ns = 0;
  bool known = false;
};

Growth GrowthOf(const ColumnState& column) {
  const Rollup& r = column.rollup;
  const int64_t from = column.has_before ? column.before_time : r.first_time;
  Growth out;
  out.covered_ns = r.last_time - from;
  if (column.kind == MetricKind::kDelta) {
    out.amount = r.sum;
    out.known = true;
    return out;
  }
  out.known = out.covered_ns > 0 && column.falls_known;
  const double base = column.has_before ? column.before : r.first;
  const bool fell_before = column.has_before && r.first < column.before;
  out.amount = (r.last - base) + ((fell_before ? column.before : 0) + r.resets);
  return out;
}

double RateOf(const ColumnState& column) {
  Growth growth = GrowthOf(column);
  // Since when the first increment counts is not known.
  if (column.kind == MetricKind::kDelta && !column.has_before) growth.amount -= column.rollup.first;
  if (!growth.known || growth.covered_ns <= 0) return kNoValue;
  return growth.amount / (static_cast<double>(growth.covered_ns) / static_cast<double>(kNanosPerSecond));
}

RollupFields FieldsOf(AggregateKind kind) {
  switch (kind) {
    case AggregateKind::kAvg:
    case AggregateKind::kSum:
      return RollupField::kSum;
    case AggregateKind::kMin:
      return RollupField::kMin;
    case AggregateKind::kMax:
      return RollupField::kMax;
    case AggregateKind::kFirst:
      return RollupField::kFirst;
    case AggregateKind::kLast:
      return RollupField::kLast;
    case AggregateKind::kIncrease:
    case AggregateKind::kRate:
      return RollupField::kSum | RollupField::kFirst | RollupField::kLast | RollupField::kResets |
             RollupField::kFirstTime | RollupField::kLastTime;
    case AggregateKind::kCount:
    case AggregateKind::kQuantile:
      break;
  }
  return {};
}

}  // namespace

absl::Status CheckAggregates(std::string_view field, std::span<const Aggregate> aggregates) {
  for (size_t i = 0; i < aggregates.size(); ++i) {
    const Aggregate& aggregate = aggregates[i];
    const std::string path = std::string(field) + "[" + std::to_string(i) + "].quantile";
    if (aggregate.kind != AggregateKind::kQuantile) {
      if (aggregate.quantile != 0) return BadField(path, std::to_string(aggregate.quantile), "none but for QUANTILE");
    } else if (!(aggregate.quantile >= 0 && aggregate.quantile <= 1)) {
      return BadField(path, std::to_string(aggregate.quantile), "0 to 1");
    }
  }
  return absl::OkStatus();
}

AggregateNeeds NeedsOf(std::span<const Aggregate> aggregates) {
  AggregateNeeds needs;
  needs.fields = RollupField::kCount | RollupField::kNanCount;
  for (const Aggregate& aggregate : aggregates) {
    needs.fields = needs.fields | FieldsOf(aggregate.kind);
    needs.values |= aggregate.kind == AggregateKind::kQuantile;
    const bool counts = aggregate.kind == AggregateKind::kIncrease || aggregate.kind == AggregateKind::kRate;
    needs.before |= counts;
    needs.falls |= counts;
  }
  return needs;
}

double ValueOf(const Aggregate& aggregate, const ColumnState& column) {
  const Rollup& r = column.rollup;
  if (r.count == 0) return kNoValue;
  switch (aggregate.kind) {
    case AggregateKind::kAvg:
      return r.sum / static_cast<double>(r.count);
    case AggregateKind::kSum:
      return r.sum;
    case AggregateKind::kMin:
      return r.min;
    case AggregateKind::kMax:
      return r.max;
    case AggregateKind::kCount:
      return static_cast<double>(r.count);
    case AggregateKind::kFirst:
      return r.first;
    case AggregateKind::kLast:
      return r.last;
    case AggregateKind::kQuantile:
      return column.sketch == nullptr ? kNoValue : column.sketch->Quantile(aggregate.quantile);
    case AggregateKind::kIncrease: {
      const Growth growth = GrowthOf(column);
      return growth.known ? growth.amount : kNoValue;
    }
    case AggregateKind::kRate:
      return RateOf(column);
  }
  return kNoValue;
}

}  // namespace pulseboard

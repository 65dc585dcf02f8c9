#include "server/query/expression/window_functions.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "common/base/clock.h"
#include "server/query/expression/evaluation.h"
#include "server/query/expression/sliding_fold.h"

namespace pulseboard::expression {
namespace {

double Seconds(int64_t nanos) { return static_cast<double>(nanos) / static_cast<double>(kNanosPerSecond); }

// --- Folds ---

// Compensated (Neumaier) as rollups' sums are.
struct SumState {
  double sum = 0;
  double lost = 0;

  SumState Merge(const SumState& later) const {
    SumState out;
    out.sum = sum + later.sum;
    const double error =
        std::abs(sum) >= std::abs(later.sum) ? (sum - out.sum) + later.sum : (later.sum - out.sum) + sum;
    out.lost = lost + later.lost + error;
    return out;
  }
  double Total() const { return std::isfinite(sum) ? sum + lost : sum; }
};
struct MinState {
  double value = 0;
  MinState Merge(const MinState& later) const { return {std::min(value, later.value)}; }
};
struct MaxState {
  double value = 0;
  MaxState Merge(const MaxState& later) const { return {std::max(value, later.value)}; }
};
struct CountState {
  int64_t count = 0;
  CountState Merge(const CountState& later) const { return {count + later.count}; }
};
struct MeanState {
  SumState sum;
  CountState count;
  MeanState Merge(const MeanState& later) const { return {sum.Merge(later.sum), count.Merge(later.count)}; }
};
// Chan, Golub, LeVeque: moments about the means, merged.
struct MomentState {
  double n = 0, mean_x = 0, mean_y = 0, xx = 0, xy = 0;

  MomentState Merge(const MomentState& later) const {
    MomentState out;
    out.n = n + later.n;
    const double dx = later.mean_x - mean_x;
    const double dy = later.mean_y - mean_y;
    const double weight = later.n / out.n;
    out.mean_x = mean_x + dx * weight;
    out.mean_y = mean_y + dy * weight;
    out.xx = xx + later.xx + dx * dx * n * weight;
    out.xy = xy + later.xy + dx * dy * n * weight;
    return out;
  }
};

// --- Functions ---

template <typename Of>
class SimpleFunction final : public WindowFunction {
 public:
  explicit SimpleFunction(Of of) : of_(std::move(of)) {}
  double Value(const WindowSamples& window) override { return of_(window); }

 private:
  Of of_;
};
template <typename Of>
std::unique_ptr<WindowFunction> Simple(Of of) {
  return std::make_unique<SimpleFunction<Of>>(std::move(of));
}

// `item(window, i)` gives the state of the window's i-th sample, `skip` how many at its start are left out, `result`
// the value of the fold.
template <typename State, typename Item, typename Result>
std::unique_ptr<WindowFunction> Folded(size_t skip, Item item, Result result) {
  return Simple([fold = SlidingFold<State>(), skip, item, result](const WindowSamples& w) mutable {
    if (w.count <= skip) return result(w, State{});
    return result(w, fold.Fold(w.first + skip, w.first + w.count,
                               [&w, &item](uint64_t i) { return item(w, static_cast<size_t>(i - w.first)); }));
  });
}

// Increase and covered time of a counter, or difference and covered time of a gauge.
struct Change {
  double amount = 0;
  int64_t covered_ns = 0;  // 0: a single sample, nothing is covered
};

Change Difference(const WindowSamples& w) {
  const double first = w.has_before ? w.values[-1] : w.firsts[0];
  const int64_t first_time = w.has_before ? w.times[-1] : w.first_times[0];
  return {w.values[w.count - 1] - first, w.times[w.count - 1] - first_time};
}

template <typename Result>
std::unique_ptr<WindowFunction> CounterFunction(Result result) {
  const auto reset = [](const WindowSamples& w, size_t i) {
    const SumState fall{w.firsts[i] < w.values[i - 1] ? w.values[i - 1] : 0, 0};
    return w.resets == nullptr ? fall : fall.Merge({w.resets[i], 0});
  };
  return Folded<SumState>(1, reset, [result](const WindowSamples& w, SumState resets) {
    Change change = Difference(w);
    if (change.covered_ns == 0) return kNoValue;
    if (w.resets != nullptr) resets = SumState{w.resets[0], 0}.Merge(resets);
    if (w.has_before && w.firsts[0] < w.values[-1]) resets = SumState{w.values[-1], 0}.Merge(resets);
    change.amount += resets.Total();
    return result(change);
  });
}

template <typename Result>
std::unique_ptr<WindowFunction> NewestPair(Result result) {
  return Simple([result](const WindowSamples& w) {
    if (w.count < 2) return kNoValue;
    return result(w.values[w.count - 2], w.values[w.count - 1], Seconds(w.times[w.count - 1] - w.times[w.count - 2]));
  });
}

std::unique_ptr<WindowFunction> Regression() {
  return Simple(
      [fold = SlidingFold<MomentState>(), origin = int64_t{0}, started = false](const WindowSamples& w) mutable {
        if (!std::exchange(started, true)) origin = w.times[0];
        const MomentState all = fold.Fold(w.first, w.first + w.count, [&w, origin](uint64_t i) {
          return MomentState{1, Seconds(w.times[i - w.first] - origin), w.values[i - w.first], 0, 0};
        });
        return w.count < 2 ? kNoValue : all.xy / all.xx;
      });
}

template <typename Result>
std::unique_ptr<WindowFunction> Variance(Result result) {
  return Folded<MomentState>(
      0,
      [](const WindowSamples& w, size_t i) {
        return MomentState{1, w.values[i], 0, 0, 0};
      },
      [result](const WindowSamples&, const MomentState& all) { return result(all.xx / all.n); });
}

template <typename Differs>
std::unique_ptr<WindowFunction> CountSteps(Differs differs) {
  return Folded<CountState>(
      1,
      [differs](const WindowSamples& w, size_t i) { return CountState{differs(w.values[i - 1], w.values[i]) ? 1 : 0}; },
      [](const WindowSamples&, const CountState& all) { return static_cast<double>(all.count); });
}

SumState SumOf(const WindowSamples& w, size_t i) { return {w.sums[i], 0}; }
CountState CountOf(const WindowSamples& w, size_t i) { return {w.counts == nullptr ? 1 : w.counts[i]}; }

std::unique_ptr<WindowFunction> Sum() {
  return Folded<SumState>(0, SumOf, [](const WindowSamples&, const SumState& all) { return all.Total(); });
}

std::unique_ptr<WindowFunction> Mean() {
  return Folded<MeanState>(
      0,
      [](const WindowSamples& w, size_t i) {
        return MeanState{SumOf(w, i), CountOf(w, i)};
      },
      [](const WindowSamples&, const MeanState& all) {
        return all.sum.Total() / static_cast<double>(all.count.count);
      });
}

std::unique_ptr<WindowFunction> Count() {
  return Simple([fold = SlidingFold<CountState>()](const WindowSamples& w) mutable {
    if (w.counts == nullptr) return static_cast<double>(w.count);
    const CountState all = fold.Fold(w.first, w.first + w.count, [&w](uint64_t i) { return CountOf(w, i - w.first); });
    return static_cast<double>(all.count);
  });
}

// Since when the first increase counts is known only with a sample before it.
std::unique_ptr<WindowFunction> DeltaRate() {
  return Folded<SumState>(0, SumOf, [](const WindowSamples& w, const SumState& all) {
    const Change change = Difference(w);
    if (change.covered_ns == 0) return kNoValue;
    return (w.has_before ? all.Total() : all.Total() - w.firsts[0]) / Seconds(change.covered_ns);
  });
}

template <typename State>
std::unique_ptr<WindowFunction> Extreme(const double* WindowSamples::*column) {
  return Folded<State>(
      0, [column](const WindowSamples& w, size_t i) { return State{(w.*column)[i]}; },
      [](const WindowSamples&, const State& all) { return all.value; });
}

std::unique_ptr<WindowFunction> Quantiles() {
  return Simple([scratch = std::vector<double>()](const WindowSamples& w) mutable {
    scratch.assign(w.values, w.values + w.count);
    return Quantile(w.parameter, &scratch);
  });
}

}  // namespace

std::unique_ptr<WindowFunction> MakeWindowFunction(WindowKind kind) {
  switch (kind) {
    case WindowKind::kNewest:
      return Simple(
          [](const WindowSamples& w) { return std::isnan(w.values[w.count - 1]) ? kNoValue : w.values[w.count - 1]; });
    case WindowKind::kTimestamp:
      return Simple([](const WindowSamples& w) {
        return std::isnan(w.values[w.count - 1]) ? kNoValue : Seconds(w.times[w.count - 1]);
      });
    case WindowKind::kRate:
      return CounterFunction([](const Change& change) { return change.amount / Seconds(change.covered_ns); });
    case WindowKind::kIncrease:
      return CounterFunction([](const Change& change) { return change.amount; });
    case WindowKind::kDelta:
      return Simple([](const WindowSamples& w) {
        const Change change = Difference(w);
        return change.covered_ns == 0 ? kNoValue : change.amount;
      });
    case WindowKind::kIrate:
      return NewestPair([](double a, double b, double seconds) { return (b < a ? b : b - a) / seconds; });
    case WindowKind::kIdelta:
      return NewestPair([](double a, double b, double) { return b - a; });
    case WindowKind::kDeriv:
      return Regression();
    case WindowKind::kResets:
      return CountSteps([](double a, double b) { return b < a; });
    case WindowKind::kChanges:
      return CountSteps([](double a, double b) { return b != a; });
    case WindowKind::kAvg:
      return Mean();
    case WindowKind::kMin:
      return Extreme<MinState>(&WindowSamples::mins);
    case WindowKind::kMax:
      return Extreme<MaxState>(&WindowSamples::maxs);
    case WindowKind::kSum:
      return Sum();
    case WindowKind::kCount:
      return Count();
    case WindowKind::kLast:
      return Simple([](const WindowSamples& w) { return w.values[w.count - 1]; });
    case WindowKind::kQuantile:
      return Quantiles();
    case WindowKind::kStddev:
      return Variance([](double variance) { return std::sqrt(variance); });
    case WindowKind::kStdvar:
      return Variance([](double variance) { return variance; });
    case WindowKind::kPresent:
      return Simple([](const WindowSamples&) { return 1.0; });
    case WindowKind::kDeltaIncrease:
      return Sum();
    case WindowKind::kDeltaRate:
      return DeltaRate();
  }
  return nullptr;
}

double Quantile(double phi, std::vector<double>* values) {
  if (std::isnan(phi)) return std::numeric_limits<double>::quiet_NaN();
  if (phi < 0) return -std::numeric_limits<double>::infinity();
  if (phi > 1) return std::numeric_limits<double>::infinity();
  const double rank = phi * static_cast<double>(values->size() - 1);
  const auto lower = static_cast<size_t>(std::floor(rank));
  const double weight = rank - std::floor(rank);
  // NaN counts as the least.
  const auto less = [](double a, double b) { return std::isnan(a) ? !std::isnan(b) : a < b; };
  const auto at = values->begin() + static_cast<ptrdiff_t>(lower);
  std::nth_element(values->begin(), at, values->end(), less);
  if (weight == 0) return *at;  // not infinity times zero
  const double upper = *std::min_element(at + 1, values->end(), less);
  return *at * (1 - weight) + upper * weight;
}

}  // namespace pulseboard::expression

#include "server/query/expression/selection.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "server/query/expression/evaluator.h"
#include "server/query/expression/lexer.h"
#include "server/query/expression/window_evaluator.h"

namespace pulseboard::expression {
namespace {

constexpr int64_t kDefaultSubqueryStep = 60 * kNanosPerSecond;

// The instants at which a shifted selector looks. With `@` a single one, or, where the function has a parameter that
// may change, the same one every time.
Grid Shifted(const EvaluationContext& context, const TimeShift& shift, const Grid& grid, const Windowed& windowed) {
  const size_t times = windowed.parameter == nullptr ? 1 : grid.size;
  Grid out = grid;
  switch (shift.anchor) {
    case TimeShift::Anchor::kNone:
      break;
    case TimeShift::Anchor::kTime:
      out = {shift.time_unix_nanos, 0, times};
      break;
    case TimeShift::Anchor::kStart:
      out = {context.grid.start, 0, times};
      break;
    case TimeShift::Anchor::kEnd:
      out = {context.grid.last(), 0, times};
      break;
  }
  out.start = SaturatingSubtract(out.start, shift.offset_ns);
  // The grid's last instant must be a time as well.
  const int64_t span = static_cast<int64_t>(out.size - 1) * out.step;
  out.start = std::min(out.start, INT64_MAX - span);
  return out;
}

// What both kinds of stream share: making window evaluators and finishing series.
class WindowStream : public VectorStream {
 public:
  WindowStream(const EvaluationContext& context, const Grid& grid, const Grid& shifted, int64_t length_ns,
               int64_t max_gap_ns, Windowed&& windowed)
      : context_(context),
        size_(grid.size),
        windows_{windowed.kind, shifted, length_ns, max_gap_ns},
        windowed_(std::move(windowed)) {}

 protected:
  absl::Status PrepareParameters() {
    if (windowed_.parameter == nullptr || !parameters_.empty()) return absl::OkStatus();
    PB_ASSIGN_OR_RETURN(parameters_, windowed_.parameter());
    return absl::OkStatus();
  }
  WindowEvaluator MakeEvaluator(MetricKind metric = MetricKind::kGauge) const {
    WindowOptions options;
    options.windows = windows_;
    options.windows.kind = KindFor(windows_.kind, metric);
    options.parameters = parameters_;
    options.check_alive = [source = context_.source] { return source->CheckAlive(); };
    return WindowEvaluator(std::move(options));
  }
  // False when the series has no value at any instant.
  absl::StatusOr<bool> FinishSeries(WindowEvaluator* evaluator, EvaluatedSeries* out) const {
    PB_ASSIGN_OR_RETURN(out->values, evaluator->Finish());
    if (std::all_of(out->values.begin(), out->values.end(), IsAbsent)) return false;
    if (out->values.size() != size_) out->values.assign(size_, out->values[0]);
    if (!windowed_.keep_name) out->key.metric.clear();
    return true;
  }

  const EvaluationContext context_;
  const size_t size_;
  const Windows windows_;
  const Windowed windowed_;
  std::vector<double> parameters_;
};

class SelectorStream final : public WindowStream {
 public:
  SelectorStream(const EvaluationContext& context, const SelectorNode& selector, const Grid& grid, Windowed windowed)
      : WindowStream(context, grid, Shifted(context, selector.shift, grid, windowed),
                     selector.range_ns > 0 ? selector.range_ns : context.lookback_ns, context.lookback_ns,
                     std::move(windowed)) {
    selection_ = context_.source->Register(selector.selector, windows_);
  }

  absl::StatusOr<bool> Next(EvaluatedSeries* out) override {
    if (!std::exchange(started_, true)) {
      PB_RETURN_IF_ERROR(PrepareParameters());
      PB_ASSIGN_OR_RETURN(series_, context_.source->Series(selection_));
    }
    while (next_ < series_.size()) {
      const auto& info = series_[next_++];
      PB_RETURN_IF_ERROR(context_.source->CheckAlive());
      WindowEvaluator evaluator = MakeEvaluator(info->metadata.kind);
      PB_RETURN_IF_ERROR(context_.source->Read(selection_, *info, &evaluator));
      *out = {info->key, 0, {}, {}};
      if (windowed_.kind == WindowKind::kNewest) {
        out->id = info->id;
        out->metadata = info->metadata;
      }
      PB_ASSIGN_OR_RETURN(const bool present, FinishSeries(&evaluator, out));
      if (present) return true;
    }
    return false;
  }

 private:
  size_t selection_ = 0;
  bool started_ = false;
  std::vector<std::shared_ptr<const SeriesInfo>> series_;
  size_t next_ = 0;
};

class SubqueryStream final : public WindowStream {
 public:
  SubqueryStream(const EvaluationContext& context, const Grid& grid, const Grid& shifted, const Grid& inner_grid,
                 int64_t length_ns, int64_t max_gap_ns, Windowed windowed, VectorStreamPtr inner)
      : WindowStream(context, grid, shifted, length_ns, max_gap_ns, std::move(windowed)),
        inner_grid_(inner_grid),
        inner_(std::move(inner)) {}

  absl::StatusOr<bool> Next(EvaluatedSeries* out) override {
    PB_RETURN_IF_ERROR(PrepareParameters());
    while (true) {
      PB_ASSIGN_OR_RETURN(const bool more, inner_->Next(out));
      if (!more) return false;
      SampleColumns samples;
      for (size_t i = 0; i < out->values.size(); ++i) {
        if (!IsAbsent(out->values[i])) samples.push_back(inner_grid_.At(i), out->values[i]);
      }
      WindowEvaluator evaluator = MakeEvaluator();
      PB_RETURN_IF_ERROR(evaluator.AddSamples(samples));
      out->ForgetSource();
      PB_ASSIGN_OR_RETURN(const bool present, FinishSeries(&evaluator, out));
      if (present) return true;
    }
  }

 private:
  const Grid inner_grid_;
  const VectorStreamPtr inner_;
};

}  // namespace

VectorStreamPtr SelectWindows(const EvaluationContext& context, const SelectorNode& selector, const Grid& grid,
                              Windowed windowed) {
  return std::make_unique<SelectorStream>(context, selector, grid, std::move(windowed));
}

absl::StatusOr<VectorStreamPtr> SubqueryWindows(const EvaluationContext& context, const SubqueryNode& subquery,
                                                size_t column, const Grid& grid, Windowed windowed) {
  const Grid shifted = Shifted(context, subquery.shift, grid, windowed);
  const int64_t step = subquery.step_ns > 0 ? subquery.step_ns : kDefaultSubqueryStep;
  const int64_t max_gap = std::max(context.lookback_ns, step);
  // Instants of the subquery are whole multiples of its step, in (start, last].
  int64_t start = SaturatingSubtract(shifted.start, subquery.range_ns);
  if (NeedsSampleBefore(windowed.kind)) start = SaturatingSubtract(start, max_gap);
  const auto floor_to_step = [step](int64_t time) {
    const int64_t rest = time % step;
    return SaturatingSubtract(time, rest < 0 ? rest + step : rest);
  };
  const int64_t first = SaturatingAdd(floor_to_step(start), step);
  const int64_t last = floor_to_step(shifted.last());
  const __int128 count = (static_cast<__int128>(last) - first) / step + 1;
  if (count > static_cast<__int128>(kMaxInstants)) {
    return BadExpression(context.text, column - 1,
                         "a subquery of " + std::to_string(static_cast<int64_t>(count)) + " steps",
                         "at most " + std::to_string(kMaxInstants) + " (a longer step or a shorter range)");
  }
  // Without an instant the inner grid has one all the same; windows then do not reach it, or hold it by right.
  const Grid inner_grid{count > 0 ? first : last, step, count > 0 ? static_cast<size_t>(count) : 1};
  PB_ASSIGN_OR_RETURN(VectorStreamPtr inner, EvaluateVector(context, *subquery.operand, inner_grid));
  return std::make_unique<SubqueryStream>(context, grid, shifted, inner_grid, subquery.range_ns, max_gap,
                                          std::move(windowed), std::move(inner));
}

}  // namespace pulseboard::expression

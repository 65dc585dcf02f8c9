#include "server/query/expression/expression_cursor.h"

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "common/analysis/rollup.h"
#include "common/base/clock.h"
#include "common/base/errors.h"
#include "server/query/expression/evaluator.h"
#include "server/query/expression/lexer.h"
#include "server/query/expression/parser.h"
#include "server/query/expression/series_keys.h"
#include "server/query/expression/window_plan.h"
#include "server/query/expression/window_reader.h"
#include "server/storage/store.h"

namespace pulseboard {
namespace {

using expression::Grid;

// More values held than these are told to the caller by name of the setting.
constexpr std::string_view kHeldSetting = "query.max_held_values";

// Instants that rollups have as the bounds of their buckets: of the coarsest tier with four of them (of an hour or
// longer: one) in a step. They stay where they are when the range moves on.
Grid OnBuckets(const Grid& grid, int64_t end, std::span<const TierOptions> tiers) {
  for (auto tier = tiers.rbegin(); tier != tiers.rend(); ++tier) {
    if (grid.step < (tier->bucket_ns < kNanosPerHour ? 4 : 1) * tier->bucket_ns) continue;
    const int64_t step = BucketStart(expression::SaturatingAdd(grid.step, tier->bucket_ns - 1), tier->bucket_ns);
    const int64_t start = BucketStart(expression::SaturatingAdd(grid.start, step - 1), step);
    if (step <= 0 || start < grid.start || start > end) return grid;
    return {start, step, static_cast<size_t>((end - start) / step + 1)};
  }
  return grid;
}

absl::StatusOr<Grid> MakeGrid(const ExpressionRequest& request, std::span<const TierOptions> tiers) {
  if (request.end < request.start) {
    return BadField("end_time", std::to_string(request.end),
                    "a time not before start_time (" + std::to_string(request.start) + ")");
  }
  if (request.max_points < 0 || request.max_points > kMaxPoints) {
    return BadField("max_points", std::to_string(request.max_points), "0 to " + std::to_string(kMaxPoints));
  }
  if (request.step_ns < 0) return BadField("step", std::to_string(request.step_ns) + " ns", "a positive duration");
  const int64_t span = request.end - request.start;
  int64_t step = request.step_ns;
  if (step == 0) {
    if (span > 0 && request.max_points == 0) {
      return BadField("step", "none", "a step or max_points, as end_time is after start_time");
    }
    // At most max_points instants, whole milliseconds apart.
    const int64_t steps = std::max(1, request.max_points - 1);
    step = expression::SaturatingAdd(span / steps, kNanosPerMilli) / kNanosPerMilli * kNanosPerMilli;
    if (span % steps == 0 && (span / steps) % kNanosPerMilli == 0) step = std::max(kNanosPerMilli, span / steps);
    if (request.max_points == 1) step = std::max(step, expression::SaturatingAdd(span, kNanosPerMilli));
  }
  const int64_t size = span / step + 1;
  if (size > static_cast<int64_t>(expression::kMaxInstants)) {
    return BadField("step", std::to_string(step) + " ns",
                    "a step of at least " +
                        std::to_string(span / (static_cast<int64_t>(expression::kMaxInstants) - 1) + 1) +
                        " ns, for at most " + std::to_string(expression::kMaxInstants) + " instants");
  }
  const Grid grid{request.start, step, static_cast<size_t>(size)};
  return request.step_ns == 0 && size > 1 ? OnBuckets(grid, request.end, tiers) : grid;
}

}  // namespace

// Selections of one expression, read from one view.
class ExpressionCursor::StoreSource final : public expression::SampleSource {
 public:
  StoreSource(QueryEngine& engine, const QueryContext& context, const std::string& expression)
      : engine_(engine),
        context_(context),
        expression_(expression),
        now_(engine.clock_.NowUnixNanos()),
        raw_retention_ns_(engine.store_.RawRetention(context.tenant)),
        tiers_(engine.store_.Tiers(context.tenant)) {}

  size_t Register(const Selector& selector, const expression::Windows& windows) override {
    selections_.push_back({selector, {windows, now_, raw_retention_ns_, tiers_}, {}});
    return selections_.size() - 1;
  }

  absl::Status Open() {
    std::vector<SeriesId> ids;
    TimeRange hull{INT64_MAX, INT64_MIN};
    for (Selection& selection : selections_) {
      PB_RETURN_IF_ERROR(CheckAlive());
      selection.ids = engine_.store_.SelectSeries(context_.tenant, selection.selector);
      ids.insert(ids.end(), selection.ids.begin(), selection.ids.end());
      const TimeRange readable = selection.plan.readable();
      if (readable.empty()) continue;
      hull = {std::min(hull.start, readable.start), std::max(hull.end, readable.end)};
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    PB_RETURN_IF_ERROR(engine_.CheckSeriesCount(context_, expression_, ids.size()));
    PB_RETURN_IF_ERROR(engine_.Charge(context_, UsageKind::kSeries, static_cast<int64_t>(ids.size())));
    if (hull.end < hull.start) hull = {0, 0};  // nothing to read
    PB_ASSIGN_OR_RETURN(view_, engine_.store_.OpenView(ids, hull, nullptr));
    return absl::OkStatus();
  }

  absl::StatusOr<QueryEstimate> Estimate() const {
    QueryEstimate all;
    for (const Selection& selection : selections_) {
      std::map<const LinePlan*, std::vector<SeriesId>> by_steps;
      for (const SeriesId id : selection.ids) {
        if (const auto info = engine_.store_.GetSeries(id); info != nullptr) {
          by_steps[&selection.plan.StepsFor(info->metadata.kind)].push_back(id);
        }
      }
      for (const auto& [steps, ids] : by_steps) {
        PB_ASSIGN_OR_RETURN(const QueryEstimate one, EstimateRead(engine_, context_, ids, *steps));
        all.Add(one);
      }
    }
    return all;
  }

  absl::StatusOr<std::vector<std::shared_ptr<const SeriesInfo>>> Series(size_t selection) override {
    std::vector<std::shared_ptr<const SeriesInfo>> out;
    out.reserve(selections_[selection].ids.size());
    for (const SeriesId id : selections_[selection].ids) {
      if (auto info = engine_.store_.GetSeries(id); info != nullptr) out.push_back(std::move(info));
    }
    return out;
  }

  absl::Status Read(size_t selection, const SeriesInfo& series, expression::WindowInput* input) override {
    PB_RETURN_IF_ERROR(CheckAlive());
    expression::WindowReader reader(*view_, selections_[selection].plan, series,
                                    [this](int64_t samples, int64_t rollups) {
                                      PB_RETURN_IF_ERROR(Count(samples, rollups));
                                      return CheckAlive();
                                    });
    return reader.Read(input);
  }

  absl::Status CheckAlive() override { return engine_.CheckAlive(context_); }

  absl::Status Hold(size_t values) override {
    held_ += static_cast<int64_t>(values);
    PB_RETURN_IF_ERROR(engine_.Charge(context_, UsageKind::kHeldValues, static_cast<int64_t>(values)));
    if (held_ <= engine_.options_.max_held_values) return absl::OkStatus();
    const std::string limit = std::to_string(engine_.options_.max_held_values);
    return MakeError(ErrorReason::kQueryTooBroad,
                     "the expression has to hold more than " + limit + " values at once (" + std::string(kHeldSetting) +
                         "); fewer series or fewer instants would be accepted",
                     {{"limit", limit}, {"setting", std::string(kHeldSetting)}});
  }

  int64_t commit_sequence() const { return view_->commit_sequence(); }
  int64_t scanned_samples() const { return scanned_samples_; }
  int64_t scanned_rollups() const { return scanned_rollups_; }
  // Of the coarsest tier that a selection is made for.
  int64_t bucket_ns() const {
    int64_t longest = kRawBucket;
    for (const Selection& selection : selections_) longest = std::max(longest, selection.plan.bucket_ns());
    return longest;
  }

 private:
  struct Selection {
    Selector selector;
    expression::WindowPlan plan;
    std::vector<SeriesId> ids;
  };

  absl::Status Count(int64_t samples, int64_t rollups) {
    scanned_samples_ += samples;
    scanned_rollups_ += rollups;
    PB_RETURN_IF_ERROR(engine_.NoteScanned(context_, samples, rollups));
    return engine_.CheckScanned(scanned_samples_ + scanned_rollups_);
  }

  QueryEngine& engine_;
  const QueryContext& context_;
  const std::string& expression_;
  const int64_t now_;
  const int64_t raw_retention_ns_;
  const std::vector<TierOptions> tiers_;
  std::vector<Selection> selections_;
  std::unique_ptr<ReadView> view_;
  int64_t scanned_samples_ = 0;
  int64_t scanned_rollups_ = 0;
  int64_t held_ = 0;
};

ExpressionCursor::ExpressionCursor(QueryEngine& engine, QueryContext context, ExpressionRequest request,
                                   expression::NodePtr root, const Grid& grid)
    : engine_(engine),
      context_(std::move(context)),
      request_(std::move(request)),
      root_(std::move(root)),
      grid_(grid) {}

ExpressionCursor::~ExpressionCursor() = default;

absl::Status ExpressionCursor::Open() {
  source_ = std::make_unique<StoreSource>(engine_, context_, request_.expression);
  const expression::EvaluationContext evaluation{source_.get(), request_.expression, grid_,
                                                 engine_.options_.lookback_ns};
  if (root_->type == expression::ValueType::kScalar) {
    PB_ASSIGN_OR_RETURN(expression::ScalarSource scalar, expression::EvaluateScalar(evaluation, *root_, grid_));
    stream_ = expression::MakeScalarVector(std::move(scalar));
  } else {
    PB_ASSIGN_OR_RETURN(stream_, expression::EvaluateVector(evaluation, *root_, grid_));
  }
  PB_RETURN_IF_ERROR(source_->Open());
  summary_.commit_sequence = source_->commit_sequence();
  summary_.step_ns = grid_.step;
  summary_.bucket_ns = source_->bucket_ns();
  return absl::OkStatus();
}

absl::Status ExpressionCursor::StartSeries() {
  PB_RETURN_IF_ERROR(engine_.CheckAlive(context_));
  PB_ASSIGN_OR_RETURN(const bool more, stream_->Next(&series_));
  at_end_ = !more;
  if (!more) return absl::OkStatus();
  if (!seen_.insert(series_.key).second) {
    return expression::BadExpression(request_.expression, root_->column - 1,
                                     "several series " + expression::Described(series_.key) + " in the result",
                                     "labels that keep them apart, or an aggregation,");
  }
  series_open_ = true;
  series_defined_ = false;
  next_value_ = 0;
  return absl::OkStatus();
}

void ExpressionCursor::Emit(RangeChunk* chunk, size_t* room) {
  RangeColumn column;
  for (; next_value_ < series_.values.size() && *room > 0; ++next_value_) {
    const double value = series_.values[next_value_];
    if (expression::IsAbsent(value)) continue;
    column.samples.push_back(grid_.At(next_value_), value);
    --*room;
  }
  series_open_ = next_value_ < series_.values.size();
  if (column.samples.empty()) return;
  if (!series_defined_) {
    series_defined_ = true;
    SeriesInfo info{series_.id, context_.tenant, series_.key, series_.metadata};
    chunk->definitions.push_back({++last_ref_, std::make_shared<const SeriesInfo>(std::move(info))});
    ++summary_.series_count;
  }
  column.ref = last_ref_;
  summary_.sample_count += static_cast<int64_t>(column.samples.size());
  chunk->columns.push_back(std::move(column));
}

absl::StatusOr<RangeChunk> ExpressionCursor::Next() {
  RangeChunk chunk;
  auto room = static_cast<size_t>(std::max(1, engine_.options_.chunk_samples));
  while (!at_end_) {
    if (series_open_) Emit(&chunk, &room);
    if (room == 0) return chunk;
    if (!series_open_) PB_RETURN_IF_ERROR(StartSeries());
  }
  summary_.scanned_sample_count = source_->scanned_samples();
  summary_.scanned_rollup_count = source_->scanned_rollups();
  chunk.summary = summary_;
  return chunk;
}

absl::StatusOr<QueryEstimate> ExpressionCursor::Estimate() const {
  PB_ASSIGN_OR_RETURN(QueryEstimate estimate, source_->Estimate());
  // No operator makes more series than it reads, but for count_values.
  const int64_t lines = std::max<int64_t>(1, estimate.series_count);
  estimate.AddAnswer(lines, lines * static_cast<int64_t>(grid_.size));
  return estimate;
}

absl::StatusOr<std::unique_ptr<ChunkSource>> QueryEngine::EstimateExpression(const QueryContext& context,
                                                                             const ExpressionRequest& request) {
  PB_ASSIGN_OR_RETURN(const auto cursor, OpenExpression(context, request));
  PB_ASSIGN_OR_RETURN(const QueryEstimate estimate, cursor->Estimate());
  return std::make_unique<EstimateSource>(estimate);
}

absl::StatusOr<std::unique_ptr<ExpressionCursor>> QueryEngine::OpenExpression(const QueryContext& context,
                                                                              const ExpressionRequest& request) {
  PB_RETURN_IF_ERROR(CheckAlive(context));
  PB_ASSIGN_OR_RETURN(expression::NodePtr root, expression::Parse(request.expression));
  PB_ASSIGN_OR_RETURN(const Grid grid, MakeGrid(request, store_.Tiers(context.tenant)));
  std::unique_ptr<ExpressionCursor> cursor(new ExpressionCursor(*this, context, request, std::move(root), grid));
  PB_RETURN_IF_ERROR(cursor->Open());
  return cursor;
}

}  // namespace pulseboard

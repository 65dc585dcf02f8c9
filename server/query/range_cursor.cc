#include "server/query/range_cursor.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

// Samples can lie this far outside of what the clock and the retention say: clocks step, whole days are dropped late.
constexpr int64_t kSlackNanos = 2 * kNanosPerDay;

// Without the days that can hold nothing. As samples nothing is older than raw retention, drawn as a line than the
// longest.
LinePlan PlanRange(const RangeRequest& request, int64_t now, TenantId tenant, const Store& store) {
  const int64_t raw_retention = store.RawRetention(tenant);
  const std::vector<TierOptions> tiers = store.Tiers(tenant);
  const int64_t retention = request.max_points > 0 ? LongestRetention(tiers, raw_retention) : raw_retention;
  TimeRange readable = request.range;
  readable.start = std::max(readable.start, now - retention - kSlackNanos);
  readable.end = std::max(readable.start, readable.end);
  return PlanLine({readable, request.range, request.max_points, now + kSlackNanos, now, raw_retention}, tiers);
}

void MovePart(const SampleColumns& from, size_t at, size_t count, SampleColumns* to) {
  const auto first = static_cast<ptrdiff_t>(at);
  const auto last = static_cast<ptrdiff_t>(at + count);
  to->times.assign(from.times.begin() + first, from.times.begin() + last);
  to->values.assign(from.values.begin() + first, from.values.begin() + last);
}

}  // namespace

RangeCursor::RangeCursor(QueryEngine& engine, QueryContext context, RangeRequest request, std::vector<SeriesId> series,
                         std::unique_ptr<ReadView> view)
    : engine_(engine),
      context_(std::move(context)),
      request_(std::move(request)),
      series_(std::move(series)),
      view_(std::move(view)),
      plan_(std::make_shared<const LinePlan>(
          PlanRange(request_, engine.clock_.NowUnixNanos(), context_.tenant, engine.store_))) {
  summary_.commit_sequence = view_->commit_sequence();
  summary_.bucket_ns = plan_->bucket_ns;
  summary_.column_ns = plan_->column_ns();
}

void RangeCursor::StartSeries() {
  reader_ = std::make_unique<SeriesReader>(*view_, series_[next_series_], plan_);
  series_defined_ = false;
  ready_.clear();
  ready_at_ = 0;
}

absl::Status RangeCursor::ReadPiece() {
  PB_RETURN_IF_ERROR(engine_.CheckAlive(context_));
  const int64_t samples_before = reader_->scanned_samples(), rollups_before = reader_->scanned_rollups();
  PB_ASSIGN_OR_RETURN(ready_, reader_->Next());
  ready_at_ = 0;
  summary_.scanned_sample_count += reader_->scanned_samples() - samples_before;
  summary_.scanned_rollup_count += reader_->scanned_rollups() - rollups_before;
  PB_RETURN_IF_ERROR(engine_.NoteScanned(context_, reader_->scanned_samples() - samples_before,
                                         reader_->scanned_rollups() - rollups_before));
  return engine_.CheckScanned(summary_.scanned_sample_count + summary_.scanned_rollup_count);
}

void RangeCursor::Emit(RangeChunk* chunk, size_t* room) {
  const size_t count = std::min(*room, ready_.size() - ready_at_);
  if (count == 0) return;
  if (!series_defined_) {
    series_defined_ = true;
    chunk->definitions.push_back({++last_ref_, engine_.store_.GetSeries(series_[next_series_])});
    ++summary_.series_count;
  }
  RangeColumn column;
  column.ref = last_ref_;
  MovePart(ready_, ready_at_, count, &column.samples);
  ready_at_ += count;
  *room -= count;
  summary_.sample_count += static_cast<int64_t>(count);
  // Days of one series that meet in a chunk are one column.
  if (!chunk->columns.empty() && chunk->columns.back().ref == last_ref_) {
    SampleColumns& before = chunk->columns.back().samples;
    before.times.insert(before.times.end(), column.samples.times.begin(), column.samples.times.end());
    before.values.insert(before.values.end(), column.samples.values.begin(), column.samples.values.end());
    return;
  }
  chunk->columns.push_back(std::move(column));
}

absl::StatusOr<RangeChunk> RangeCursor::Next() {
  RangeChunk chunk;
  auto room = static_cast<size_t>(std::max(1, engine_.options_.chunk_samples));
  while (!at_end()) {
    if (reader_ == nullptr) StartSeries();
    Emit(&chunk, &room);
    if (room == 0) return chunk;
    if (reader_->done()) {
      reader_ = nullptr;
      ++next_series_;
      continue;
    }
    PB_RETURN_IF_ERROR(ReadPiece());
  }
  chunk.summary = summary_;
  return chunk;
}

absl::StatusOr<QueryEstimate> RangeCursor::Estimate() const {
  PB_ASSIGN_OR_RETURN(QueryEstimate estimate, EstimateRead(engine_, context_, series_, *plan_));
  int64_t points = estimate.scanned_sample_count + 4 * estimate.scanned_rollup_count;
  if (plan_->columns > 0) points = std::min(points, 4 * plan_->columns * estimate.series_count);
  estimate.AddAnswer(estimate.series_count, points);
  return estimate;
}

absl::StatusOr<std::unique_ptr<ChunkSource>> QueryEngine::EstimateRange(const QueryContext& context,
                                                                        const RangeRequest& request) {
  PB_ASSIGN_OR_RETURN(const auto cursor, OpenRange(context, request));
  PB_ASSIGN_OR_RETURN(const QueryEstimate estimate, cursor->Estimate());
  return std::make_unique<EstimateSource>(estimate);
}

}  // namespace pulseboard

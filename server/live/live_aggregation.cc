#include "server/live/live_aggregation.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "common/analysis/rollup.h"
#include "common/base/errors.h"
#include "common/base/worker_pool.h"
#include "server/live/live_subscription.h"
#include "server/live/subscription_index.h"
#include "server/query/query_engine.h"

namespace pulseboard {
namespace {

constexpr int64_t kPausePerRefresh = 4;  // of its time
constexpr size_t kMaxFrames = 16;        // that wait for a slow member, then the oldest are merged
// Samples come from ahead of the clock, too.
constexpr int64_t kAheadNanos = 600 * kNanosPerSecond;

bool SameBits(double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b); }

// Each line once, ascending by ref: a chunk may end within a line.
std::vector<LiveColumn> Joined(std::vector<LiveColumn> columns) {
  std::stable_sort(columns.begin(), columns.end(), [](const auto& a, const auto& b) { return a.ref < b.ref; });
  std::vector<LiveColumn> out;
  for (LiveColumn& column : columns) {
    if (out.empty() || out.back().ref != column.ref) {
      out.push_back(std::move(column));
      continue;
    }
    SampleColumns& to = out.back().samples;
    to.times.insert(to.times.end(), column.samples.times.begin(), column.samples.times.end());
    to.values.insert(to.values.end(), column.samples.values.begin(), column.samples.values.end());
  }
  return out;
}

int64_t LookAhead(const Aggregate& aggregate, const LiveContext& context) {
  const QueryEngine* const queries = context.queries;
  if (queries == nullptr || !NeedsOf({&aggregate, 1}).before) return 0;
  return queries->options().lookback_ns;
}

}  // namespace

std::string AggregateQuery::MakeKey(TenantId tenant, int64_t frame_interval_ns, const Selector& selector,
                                    const LiveAggregate& aggregate) {
  std::string key;
  const auto add = [&key](std::string_view part) {
    key += std::to_string(part.size()) + ':';
    key += part;
  };
  add(std::to_string(tenant));
  add(std::to_string(frame_interval_ns));
  add(selector.Format());
  add(std::to_string(aggregate.step_ns));
  add(std::to_string(static_cast<int>(aggregate.aggregate.kind)));
  add(std::to_string(std::bit_cast<uint64_t>(aggregate.aggregate.quantile)));
  add(std::to_string(static_cast<int>(aggregate.group.function)));
  add(std::to_string(std::bit_cast<uint64_t>(aggregate.group.quantile)));
  add(aggregate.group.without ? "without" : "by");
  std::vector<std::string> labels = aggregate.group.labels;
  std::sort(labels.begin(), labels.end());
  for (const std::string& label : labels) add(label);
  return key;
}

LiveAggregation::LiveAggregation(LiveContext& context, const AggregateQuery& query)
    : context_(context),
      refs_(context.refs),
      query_(query),
      look_ahead_ns_(LookAhead(query.aggregate.aggregate, context)) {}

LiveAggregation::~LiveAggregation() {
  MutexLock lock(&mu_);
  for (const Line& line : lines_) refs_->Free(line.ref);
}

void LiveAggregation::Join(LiveSubscription* member, int64_t backfill_ns) {
  {
    MutexLock lock(&members_mu_);
    members_.push_back(member);
  }
  Widen(backfill_ns);
  MutexLock lock(&mu_);
  // From now on everything is kept until it has taken it.
  positions_[member] = std::numeric_limits<int64_t>::min();
}

void LiveAggregation::Widen(int64_t backfill_ns) {
  MutexLock lock(&mu_);
  window_ns_ = std::max({window_ns_, backfill_ns, kMinAggregateColumns * query_.aggregate.step_ns});
}

bool LiveAggregation::Leave(LiveSubscription* member) {
  {
    MutexLock lock(&mu_);
    positions_.erase(member);
    TrimLocked();
  }
  MutexLock lock(&members_mu_);
  std::erase(members_, member);
  return members_.empty();
}

int64_t LiveAggregation::WindowStart(int64_t window_ns) const {
  return BucketStart(context_.clock().NowUnixNanos() - window_ns, query_.aggregate.step_ns);
}

TimeRange LiveAggregation::WindowOf(int64_t backfill_ns, int64_t resumed_at_unix_nanos) const {
  const int64_t step = query_.aggregate.step_ns;
  const int64_t now = context_.clock().NowUnixNanos();
  const int64_t from = resumed_at_unix_nanos == 0 ? now : std::min(now, resumed_at_unix_nanos);
  const int64_t longest = (kMaxAggregateColumns - 2) * step;
  // Columns that the last stream may not have finished, too.
  const int64_t unfinished = resumed_at_unix_nanos == 0 ? 0 : kMinAggregateColumns * step;
  const int64_t start = std::max(from - std::max(backfill_ns, unfinished), now - longest);
  return {BucketStart(start, step), BucketStart(now + kAheadNanos, step) + step};
}

absl::StatusOr<std::unique_ptr<AggregateReader>> LiveAggregation::Open(TimeRange range) {
  QueryEngine& queries = *context_.queries.load();
  ColumnsRequest request;
  request.selector = query_.selector_text;
  request.range = range;
  request.step.step_ns = query_.aggregate.step_ns;
  request.aggregates = {query_.aggregate.aggregate};
  request.group = query_.aggregate.group;
  PB_ASSIGN_OR_RETURN(auto cursor,
                      queries.OpenColumns({query_.tenant, queries.Deadline(std::nullopt), nullptr}, request));
  return std::unique_ptr<AggregateReader>(new AggregateReader(shared_from_this(), std::move(cursor)));
}

uint32_t LiveAggregation::RefOfLine(const std::shared_ptr<const SeriesInfo>& series) {
  MutexLock lock(&mu_);
  const auto [it, is_new] = by_key_.try_emplace({series->id, series->key});
  if (is_new) {
    it->second = refs_->Take();
    lines_.push_back({it->second, series});
  }
  return it->second;
}

size_t LiveAggregation::line_count() const {
  MutexLock lock(&mu_);
  return lines_.size();
}

std::vector<LiveAggregation::Line> LiveAggregation::LinesFrom(size_t first, size_t max) const {
  MutexLock lock(&mu_);
  if (first >= lines_.size()) return {};
  const auto begin = lines_.begin() + static_cast<ptrdiff_t>(first);
  return {begin, begin + static_cast<ptrdiff_t>(std::min(max, lines_.size() - first))};
}

bool LiveAggregation::AppendFrame(const LiveTopic*, const LiveFramePtr& frame, int64_t, bool) {
  const int64_t step = query_.aggregate.step_ns;
  const auto end_of = [step](int64_t column) {
    return column > std::numeric_limits<int64_t>::max() - step ? std::numeric_limits<int64_t>::max() : column + step;
  };
  const int64_t newest = context_.clock().NowUnixNanos() + kAheadNanos;
  MutexLock lock(&mu_);
  if (dirty_.empty()) dirty_times_ = frame->times;
  for (const LiveColumn& column : frame->samples.columns()) {
    dirty_.Add(
        {BucketStart(column.samples.times.front(), step), end_of(BucketStart(column.samples.times.back(), step))});
  }
  for (const LiveColumn& column : frame->amends.columns()) {
    for (const int64_t time : column.samples.times) {
      // A counter's next sample, wherever it is, has another one before it now.
      const int64_t last = std::max(time, std::min(time + look_ahead_ns_, newest));
      dirty_.Add({BucketStart(time, step), end_of(BucketStart(last, step))});
    }
  }
  ScheduleLocked();
  return false;
}

void LiveAggregation::ScheduleLocked() {
  if (scheduled_ || dirty_.empty()) return;
  scheduled_ = true;
  if (context_.clock().MonotonicNanos() >= next_refresh_ns_) {
    SubmitLocked();
  } else {
    context_.pump.Schedule(shared_from_this(), next_refresh_ns_);
  }
}

void LiveAggregation::SubmitLocked() {
  if (context_.readers.TrySubmit([self = shared_from_this()] { self->Refresh(); })) return;
  context_.pump.Schedule(shared_from_this(), context_.clock().MonotonicNanos() + query_.frame_interval_ns);
}

void LiveAggregation::Pump() {
  MutexLock lock(&mu_);
  SubmitLocked();
}

void LiveAggregation::Refresh() {
  const int64_t began = context_.clock().MonotonicNanos();
  // First how far the frames go, then what they said: all up to there is in it.
  const int64_t given = topic_->GivenUpTo(context_.index.published_commit());
  std::vector<TimeRange> ranges;
  LiveTimes times;
  int64_t window_start = 0;
  {
    MutexLock lock(&mu_);
    ranges = dirty_.Take();
    times = dirty_times_;
    window_start = WindowStart(window_ns_);
  }
  absl::Status status;
  for (const TimeRange& dirty : ranges) {
    const TimeRange range{std::max(dirty.start, window_start), dirty.end};
    if (range.empty() || !status.ok()) continue;  // older than anybody looks back
    status = RefreshRange(range, times);
  }
  if (!status.ok()) FailMembers(status);
  const int64_t now = context_.clock().MonotonicNanos();
  {
    MutexLock lock(&mu_);
    computed_to_ = std::max(computed_to_, given);
    next_refresh_ns_ = began + std::max(query_.frame_interval_ns, kPausePerRefresh * (now - began));
    scheduled_ = false;
    ScheduleLocked();
  }
  MutexLock lock(&members_mu_);
  for (LiveSubscription* member : members_) member->NoteAggregates();
}

absl::Status LiveAggregation::RefreshRange(TimeRange range, const LiveTimes& times) {
  PB_ASSIGN_OR_RETURN(const auto reader, Open(range));
  std::vector<LiveColumn> columns;
  while (!reader->done()) {
    PB_ASSIGN_OR_RETURN(std::vector<LiveColumn> some, reader->Next());
    columns.insert(columns.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  columns = Joined(std::move(columns));
  MutexLock lock(&mu_);
  std::erase_if(columns, [this](const LiveColumn& column) PB_REQUIRES(mu_) {
    const Sample last{column.samples.times.back(), column.samples.values.back()};
    const auto [newest, is_new] = newest_.try_emplace(column.ref, last);
    const bool same =
        !is_new && newest->second.time_unix_nanos == last.time_unix_nanos && SameBits(newest->second.value, last.value);
    if (last.time_unix_nanos >= newest->second.time_unix_nanos) newest->second = last;
    return same && column.samples.size() == 1;
  });
  if (!columns.empty()) KeepLocked(std::move(columns), times, reader->commit());
  return absl::OkStatus();
}

void LiveAggregation::KeepLocked(std::vector<LiveColumn> columns, const LiveTimes& times, int64_t commit) {
  frames_.emplace_back(++last_number_, std::make_shared<LiveFrame>(std::move(columns), std::vector<LiveColumn>(), times,
                                                                   commit, commit, context_.buffered_bytes));
  if (frames_.size() > kMaxFrames) MergeOldestLocked();
}

void LiveAggregation::MergeOldestLocked() {
  const LiveFramePtr first = frames_[0].second;
  const LiveFramePtr second = frames_[1].second;
  std::vector<PendingRow> rows;
  const int64_t start = WindowStart(window_ns_);
  for (const LiveFramePtr& frame : {first, second}) {
    for (const LiveColumn& column : frame->samples.columns()) {
      for (size_t i = 0; i < column.samples.size(); ++i) {
        if (column.samples.times[i] < start) continue;
        rows.push_back({column.ref, false, column.samples.times[i], column.samples.values[i]});
      }
    }
  }
  frames_.pop_front();
  frames_.front().second =
      std::make_shared<LiveFrame>(ToColumns(&rows), std::vector<LiveColumn>(), first->times, first->first_commit,
                                  second->last_commit, context_.buffered_bytes);
}

void LiveAggregation::TrimLocked() {
  int64_t taken = std::numeric_limits<int64_t>::max();
  for (const auto& [member, position] : positions_) taken = std::min(taken, position);
  while (!frames_.empty() && frames_.front().first <= taken) frames_.pop_front();
}

LiveAggregation::News LiveAggregation::NewsAfter(const LiveSubscription* member, int64_t position,
                                                 int64_t known_commit) {
  News news{{}, position};
  MutexLock lock(&mu_);
  for (const auto& [number, frame] : frames_) {
    if (number <= position) continue;
    news.position = number;
    if (frame->last_commit > known_commit && !frame->samples.empty()) news.frames.push_back(frame);
  }
  if (const auto known = positions_.find(member); known != positions_.end()) known->second = news.position;
  TrimLocked();
  return news;
}

bool LiveAggregation::HasNews(int64_t position) const {
  MutexLock lock(&mu_);
  return !frames_.empty() && frames_.back().first > position;
}

int64_t LiveAggregation::KnownUpTo(int64_t position, int64_t given) const {
  MutexLock lock(&mu_);
  if (!frames_.empty() && frames_.back().first > position) return 0;
  return dirty_.empty() && !scheduled_ ? std::max(given, computed_to_) : computed_to_;
}

void LiveAggregation::FailTooManySeries() {
  MutexLock lock(&members_mu_);
  for (LiveSubscription* member : members_) member->FailTooManySeries();
}

void LiveAggregation::FailMembers(const absl::Status& status) {
  MutexLock lock(&members_mu_);
  for (LiveSubscription* member : members_) member->Fail(status);
}

absl::StatusOr<std::vector<LiveColumn>> AggregateReader::Next() {
  PB_ASSIGN_OR_RETURN(RangeChunk chunk, cursor_->Next());
  for (const RangeSeries& line : chunk.definitions) refs_[line.ref] = aggregation_->RefOfLine(line.series);
  std::vector<LiveColumn> columns;
  columns.reserve(chunk.columns.size());
  for (RangeColumn& column : chunk.columns) columns.push_back({refs_.at(column.ref), std::move(column.samples)});
  if (chunk.summary) {
    done_ = true;
    commit_ = chunk.summary->commit_sequence;
  }
  return columns;
}

}  // namespace pulseboard

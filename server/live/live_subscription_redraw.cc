// Pixel columns of late samples, told anew.
#include <algorithm>
#include <utility>

#include "common/analysis/rollup.h"
#include "common/base/worker_pool.h"
#include "server/live/live_subscription.h"
#include "server/live/pending_samples.h"

namespace pulseboard {
namespace {

constexpr int64_t kRedrawPause = 200 * kNanosPerMilli;  // late samples seldom come alone
constexpr int64_t kPausePerRedraw = 4;                  // of its time

}  // namespace

void LiveSubscription::NoteRedrawsLocked(const std::vector<LiveFramePtr>& frames) {
  if (std::all_of(queries_->pixel_widths.begin(), queries_->pixel_widths.end(), [](int64_t w) { return w == 0; })) {
    return;
  }
  // Older ones are out of the receiver's sight.
  const int64_t oldest = context_.clock().NowUnixNanos() - queries_->longest_backfill_ns;
  for (const LiveFramePtr& frame : frames) {
    for (const LiveColumn& column : frame->amends.columns()) {
      const std::vector<int64_t> widths = queries_->PixelWidthsOf(topic_->SelectorsOf(column.ref));
      for (const int64_t width : widths) {
        for (const int64_t time : column.samples.times) {
          const int64_t start = BucketStart(time, width);
          if (start + width <= oldest) continue;
          if (redraw_.empty()) redraw_after_ = frame->first_commit - 1;
          redraw_[{column.ref, width}].Add({start, start + width});
        }
      }
    }
  }
}

int64_t LiveSubscription::RedrawnToLocked() const {
  if (redrawing_after_) return *redrawing_after_;
  return redraw_.empty() ? std::numeric_limits<int64_t>::max() : redraw_after_;
}

bool LiveSubscription::RedrawDueLocked() {
  if (redraw_.empty() || redrawing_after_ || drain_ || ended_ || failure_) return false;
  if (context_.clock().MonotonicNanos() >= next_redraw_ns_) return true;
  ScheduleLocked(next_redraw_ns_);
  return false;
}

std::vector<LiveSubscription::History> LiveSubscription::TakeRedraws() {
  std::vector<History> histories;
  MutexLock lock(&mu_);
  redrawing_after_ = redraw_after_;
  redraw_began_ns_ = context_.clock().MonotonicNanos();
  for (auto& [key, ranges] : std::exchange(redraw_, {})) {
    const auto& [ref, width] = key;
    const TopicSeries series = topic_->SeriesOf(ref);
    if (series.info == nullptr) continue;  // gone
    for (const TimeRange& range : ranges.Take()) histories.push_back({series.info->id, ref, range, width});
  }
  return histories;
}

absl::Status LiveSubscription::Redraw() {
  std::vector<History> histories = TakeRedraws();
  backfill_.now_unix_nanos = context_.clock().NowUnixNanos();
  absl::Status opened;
  if (!histories.empty()) {
    opened = OpenBackfill(*context_.store.load(), histories, [this](int64_t cut) { CutForRedraw(cut); });
    if (opened.ok()) return opened;
  }
  MutexLock lock(&mu_);
  if (!opened.ok()) GiveUpRedrawLocked(histories);
  FinishRedrawLocked();
  return absl::OkStatus();
}

void LiveSubscription::CutForRedraw(int64_t commit_sequence) {
  topic()->Cut([this, commit_sequence] {
    MutexLock lock(&mu_);
    if (ended_ || failure_) return;
    StagePendingLocked();
    AttachLocked(commit_sequence);
    rounds_ = kMaxCatchUpRounds;  // as while it is live
    phase_ = Phase::kBackfill;    // frames wait until the columns were read
  });
}

absl::Status LiveSubscription::ReadRedraw() {
  LiveBackfill chunk;
  const absl::Status read = FillBackfillChunk(&chunk);
  // Several parts of a series may be in it, of columns of several widths.
  std::vector<PendingRow> rows;
  for (const LiveColumn& column : chunk.columns) {
    for (size_t i = 0; i < column.samples.size(); ++i) {
      rows.push_back({column.ref, true, column.samples.times[i], column.samples.values[i]});
    }
  }
  const bool done = !read.ok() || backfill_.done();
  MutexLock lock(&mu_);
  if (!read.ok()) GiveUpRedrawLocked(backfill_.histories);
  if (done) FinishRedrawLocked();
  if (rows.empty() || ended_ || failure_) return absl::OkStatus();
  context_.delivered_samples += static_cast<int64_t>(rows.size());
  std::vector<LiveColumn> columns = ToColumns(&rows);
  const int64_t bytes = HeldBytes(columns);
  auto frame = std::make_shared<LiveFrame>(std::vector<LiveColumn>(), std::move(columns), LiveTimes(), 0, cut_,
                                           context_.unshared_bytes);
  StageLocked({LiveAmends{{std::move(frame)}}, TokenLocked(cut_)}, bytes);
  return absl::OkStatus();
}

void LiveSubscription::GiveUpRedrawLocked(const std::vector<History>& histories) {
  LiveGap gap{histories.front().range.start, histories.front().range.end - 1,
              static_cast<int64_t>(histories.size())};  // one sample of each stretch, at least
  for (const History& history : histories) {
    gap.start_time_unix_nanos = std::min(gap.start_time_unix_nanos, history.range.start);
    gap.end_time_unix_nanos = std::max(gap.end_time_unix_nanos, history.range.end - 1);
  }
  dropped_total_ += gap.dropped_sample_count;
  context_.dropped_samples += gap.dropped_sample_count;
  StageLocked({gap, ""}, 0);
}

void LiveSubscription::FinishRedrawLocked() {
  const int64_t now = context_.clock().MonotonicNanos();
  redrawing_after_ = std::nullopt;
  next_redraw_ns_ = now + std::max(kRedrawPause, kPausePerRedraw * (now - redraw_began_ns_));
  if (phase_ == Phase::kBackfill && !ended_ && !failure_) BecomeLiveLocked();
}

}  // namespace pulseboard

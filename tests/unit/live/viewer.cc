#include "tests/unit/live/viewer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "common/base/errors.h"

namespace pulseboard::testing {
namespace {

// Frames count against the hub's limits as long as somebody holds them; what a test keeps does not.
LiveEvent Kept(LiveEvent event) {
  static std::atomic<int64_t> uncounted{0};
  const auto copy = [](std::vector<LiveFramePtr>* frames) {
    for (LiveFramePtr& frame : *frames) {
      auto kept = std::make_shared<LiveFrame>(frame->samples.columns(), frame->amends.columns(), frame->times,
                                              frame->first_commit, frame->last_commit, uncounted);
      kept->conflation = frame->conflation;
      frame = std::move(kept);
    }
  };
  if (auto* samples = std::get_if<LiveSamples>(&event.what)) copy(&samples->frames);
  if (auto* amends = std::get_if<LiveAmends>(&event.what)) copy(&amends->frames);
  if (auto* aggregates = std::get_if<LiveAggregates>(&event.what)) copy(&aggregates->frames);
  return event;
}

}  // namespace

std::shared_ptr<Viewer> Viewer::Open(Hub& hub, SubscriptionSpec spec, ViewerState state) {
  spec.resume_token = state.token;
  return Start(hub, std::move(spec), std::shared_ptr<Viewer>(new Viewer(std::move(state))));
}

std::shared_ptr<Viewer> Viewer::OpenHeld(Hub& hub, SubscriptionSpec spec) {
  auto viewer = std::shared_ptr<Viewer>(new Viewer({}));
  viewer->SetAutomatic(false);
  return Start(hub, std::move(spec), std::move(viewer));
}

std::shared_ptr<Viewer> Viewer::Start(Hub& hub, SubscriptionSpec spec, std::shared_ptr<Viewer> viewer) {
  // Late samples whose pixel columns were not told anew yet come again on the next stream.
  viewer->amends_once_ =
      std::all_of(spec.queries.begin(), spec.queries.end(), [](const auto& query) { return query.max_points == 0; });
  auto subscription = hub.Subscribe(std::move(spec), viewer);
  EXPECT_TRUE(subscription.ok()) << StatusMessage(subscription.status());
  if (!subscription.ok()) return nullptr;
  viewer->subscription_ = *std::move(subscription);
  viewer->subscription_->Start();
  return viewer;
}

Viewer::~Viewer() { Close(); }

void Viewer::Close() {
  if (subscription_ != nullptr) subscription_->Close();
}

void Viewer::Offer(LiveEvent event) {
  bool automatic = false;
  {
    MutexLock lock(&mu_);
    if (end_) return;  // may cross with the end
    if (waiting_) breaches_.push_back("two events at a time");
    Apply(event);
    events_.push_back(Kept(std::move(event)));
    automatic = automatic_;
    waiting_ = !automatic;
  }
  if (automatic) subscription_->Ready();
}

void Viewer::End(const absl::Status& status) {
  MutexLock lock(&mu_);
  if (end_) breaches_.push_back("ended twice");
  end_ = status;
}

void Viewer::SetAutomatic(bool automatic) {
  bool ready = false;
  {
    MutexLock lock(&mu_);
    automatic_ = automatic;
    ready = automatic && std::exchange(waiting_, false);
  }
  if (ready) subscription_->Ready();
}

bool Viewer::Take() {
  {
    MutexLock lock(&mu_);
    if (!std::exchange(waiting_, false)) return false;
  }
  subscription_->Ready();
  return true;
}

void Viewer::ApplyColumns(Kind kind, const std::vector<LiveColumn>& columns) {
  std::set<uint32_t> seen;
  for (const LiveColumn& column : columns) {
    if (!seen.insert(column.ref).second) breaches_.push_back("a series twice in a frame");
    if (column.samples.empty()) breaches_.push_back("an empty column");
    const auto series = refs_.find(column.ref);
    if (series == refs_.end()) {
      breaches_.push_back("samples before their definition");
      continue;
    }
    for (size_t i = 0; i < column.samples.size(); ++i) {
      if (i > 0 && column.samples.times[i] <= column.samples.times[i - 1]) breaches_.push_back("not ascending");
      auto& samples = state_.samples[series->second];
      const int64_t time = column.samples.times[i];
      if (kind == Kind::kSamples && !samples.empty() && time <= samples.rbegin()->first) {
        breaches_.push_back("late, or sent twice, as if it was not");
      }
      if (const auto known = samples.find(time); kind == Kind::kAmends && amends_once_ && known != samples.end() &&
                                                 known->second == column.samples.values[i]) {
        breaches_.push_back("amended to what it was");
      }
      samples[time] = column.samples.values[i];
    }
  }
}

void Viewer::ApplyValues(const std::vector<LiveColumn>& columns) {
  for (const LiveColumn& column : columns) {
    const auto line = lines_.find(column.ref);
    if (line == lines_.end()) {
      breaches_.push_back("values before the definition of their line");
      continue;
    }
    const LiveDefinition& definition = line->second;
    const std::vector<std::string> alone = {""};
    for (const std::string& id : definition.query_ids.empty() ? alone : definition.query_ids) {
      auto& values = state_.values[{id, definition.series->key.Format()}];
      for (size_t i = 0; i < column.samples.size(); ++i) values[column.samples.times[i]] = column.samples.values[i];
    }
  }
}

void Viewer::Apply(const LiveEvent& event) {
  if (const auto* definitions = std::get_if<LiveDefinitions>(&event.what)) {
    story_ += 'D';
    for (const LiveDefinition& definition : definitions->definitions) {
      const auto [ref, is_new] = refs_.emplace(definition.ref, definition.series->id);
      if (!is_new && ref->second != definition.series->id) breaches_.push_back("a ref for two series");
      if (!definitions_.emplace(definition.series->id, definition).second) breaches_.push_back("defined twice");
    }
    for (const LiveDefinition& line : definitions->aggregates) {
      if (refs_.contains(line.ref)) breaches_.push_back("a ref for a series and a line");
      lines_[line.ref] = line;
    }
  } else if (const auto* backfill = std::get_if<LiveBackfill>(&event.what)) {
    story_ += 'B';
    ApplyColumns(Kind::kBackfill, backfill->columns);
    if (!event.resume_token.empty()) breaches_.push_back("a token before the backfill is done");
  } else if (const auto* done = std::get_if<LiveBackfillDone>(&event.what)) {
    story_ += 'K';
    state_.commit_sequence = done->commit_sequence;
    if (event.resume_token.empty()) breaches_.push_back("no token with the end of the backfill");
  } else if (const auto* samples = std::get_if<LiveSamples>(&event.what)) {
    story_ += 'S';
    for (const LiveFramePtr& frame : samples->frames) ApplyColumns(Kind::kSamples, frame->samples.columns());
    for (const LiveFramePtr& frame : samples->frames) {
      if (frame->conflation.left_out_sample_count > 0) state_.conflations.push_back(frame->conflation);
    }
    if (event.resume_token.empty()) breaches_.push_back("no token with samples");
  } else if (const auto* amends = std::get_if<LiveAmends>(&event.what)) {
    story_ += 'A';
    for (const LiveFramePtr& frame : amends->frames) {
      const bool is_late = frame->times.committed_unix_nanos != 0;  // else a pixel column told anew
      ApplyColumns(is_late ? Kind::kAmends : Kind::kBackfill, frame->amends.columns());
    }
    if (event.resume_token.empty()) breaches_.push_back("no token with amends");
  } else if (const auto* aggregates = std::get_if<LiveAggregates>(&event.what)) {
    story_ += 'V';
    for (const LiveFramePtr& frame : aggregates->frames) ApplyValues(frame->samples.columns());
  } else if (const auto* occurrences = std::get_if<LiveOccurrences>(&event.what)) {
    story_ += 'E';
    for (const auto& one : occurrences->occurrences) state_.occurrences.push_back(one.event);
  } else if (const auto* restated = std::get_if<LiveRestated>(&event.what)) {
    story_ += 'R';
    state_.restated.push_back(restated->start_time_unix_nanos);
    for (auto& [series, known] : state_.samples) {
      known.erase(known.lower_bound(restated->start_time_unix_nanos), known.end());
    }
  } else if (const auto* gap = std::get_if<LiveGap>(&event.what)) {
    story_ += 'G';
    state_.gaps.push_back(*gap);
    if (gap->dropped_sample_count <= 0 || gap->start_time_unix_nanos > gap->end_time_unix_nanos) {
      breaches_.push_back("an empty gap");
    }
  } else if (const auto* updated = std::get_if<LiveUpdated>(&event.what)) {
    story_ += updated->status.ok() ? 'U' : 'u';
    if (updated->status.ok()) {
      definitions_.clear();
      update_id_ = updated->update_id;
    }
    updates_.push_back(*updated);
  } else if (const auto* stale = std::get_if<LiveStale>(&event.what)) {
    story_ += 'Z';
    for (const uint32_t ref : stale->refs) state_.stale.push_back(refs_.at(ref));
  } else if (const auto* progress = std::get_if<LiveProgress>(&event.what)) {
    story_ += 'P';
    state_.commit_sequence = state_.known_commit = progress->commit_sequence;
  }
  if (event.resume_token.empty()) return;
  state_.token = event.resume_token;
  state_.update_id = update_id_;
}

ViewerState Viewer::state() const {
  MutexLock lock(&mu_);
  return state_;
}
bool Viewer::Has(SeriesId series, int64_t time) const {
  MutexLock lock(&mu_);
  const auto samples = state_.samples.find(series);
  return samples != state_.samples.end() && samples->second.contains(time);
}
std::optional<absl::Status> Viewer::end() const {
  MutexLock lock(&mu_);
  return end_;
}
std::vector<std::string> Viewer::breaches() const {
  MutexLock lock(&mu_);
  return breaches_;
}
std::string Viewer::story() const {
  MutexLock lock(&mu_);
  return story_;
}
std::vector<LiveEvent> Viewer::events() const {
  MutexLock lock(&mu_);
  return events_;
}
std::vector<LiveUpdated> Viewer::updates() const {
  MutexLock lock(&mu_);
  return updates_;
}
std::map<SeriesId, LiveDefinition> Viewer::definitions() const {
  MutexLock lock(&mu_);
  return definitions_;
}

}  // namespace pulseboard::testing

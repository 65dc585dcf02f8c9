// Viewer: a sink that keeps what a desktop would keep, and notes every breach of the stream's promises.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "server/live/hub.h"

namespace pulseboard::testing {

// What was received so far; a value.
struct ViewerState {
  std::map<SeriesId, std::map<int64_t, double>> samples;
  // Of aggregated queries: by query id and line, `cpu{host="a"}`.
  std::map<std::pair<std::string, std::string>, std::map<int64_t, double>> values;
  std::vector<Event> occurrences;  // as they came
  std::vector<int64_t> restated;   // from when on
  std::vector<LiveGap> gaps;
  std::vector<LiveFrame::Conflation> conflations;
  std::vector<SeriesId> stale;  // in the order in which they were told
  std::string token;
  int64_t update_id = 0;        // of the last update carried out before the token was given; 0: none
  int64_t commit_sequence = 0;  // of the last BackfillDone or Progress
  int64_t known_commit = 0;     // of the last Progress: all is known up to here, aggregated values too
};

// Thread-safe.
class Viewer final : public LiveSink, public std::enable_shared_from_this<Viewer> {
 public:
  // Subscribes and starts. Goes on from `state`, with its token when it has one.
  static std::shared_ptr<Viewer> Open(Hub& hub, SubscriptionSpec spec, ViewerState state = {});
  // The same, but takes events only by Take() from the very first.
  static std::shared_ptr<Viewer> OpenHeld(Hub& hub, SubscriptionSpec spec);
  ~Viewer() override;

  void Offer(LiveEvent event) override;
  void End(const absl::Status& status) override;

  // Takes events by itself (the default), or only by Take().
  void SetAutomatic(bool automatic);
  // Lets one more event come; false when the last one taken was not followed by another yet.
  bool Take();
  void Close();
  void Drain(const absl::Status& status) { subscription_->Drain(status); }

  ViewerState state() const;
  // Without a copy of all there is.
  bool Has(SeriesId series, int64_t time) const;
  std::optional<absl::Status> end() const;
  std::vector<std::string> breaches() const;
  // Kinds of events in order: D(efinitions) B(ackfill) K (backfill done) S(amples) A(mends) G(ap) P(rogress)
  // U(pdated) u(pdate refused) Z (stale) V(alues of aggregated queries) E(vents) R(estated).
  std::string story() const;
  std::vector<LiveEvent> events() const;
  // Of the queries as they are now.
  std::map<SeriesId, LiveDefinition> definitions() const;
  std::vector<LiveUpdated> updates() const;
  void Update(SubscriptionUpdate update) { subscription_->Update(std::move(update)); }
  size_t event_count() const { return story().size(); }

 private:
  explicit Viewer(ViewerState state) : state_(std::move(state)), update_id_(state_.update_id) {
    state_.known_commit = 0;  // by this stream
  }
  static std::shared_ptr<Viewer> Start(Hub& hub, SubscriptionSpec spec, std::shared_ptr<Viewer> viewer);
  void Apply(const LiveEvent& event) PB_REQUIRES(mu_);
  enum class Kind { kBackfill, kSamples, kAmends };
  void ApplyValues(const std::vector<LiveColumn>& columns) PB_REQUIRES(mu_);
  void ApplyColumns(Kind kind, const std::vector<LiveColumn>& columns) PB_REQUIRES(mu_);

  std::shared_ptr<Subscription> subscription_;
  bool amends_once_ = true;
  mutable Mutex mu_;
  bool automatic_ PB_GUARDED_BY(mu_) = true;
  bool waiting_ PB_GUARDED_BY(mu_) = false;  // an event was offered and Ready() not called
  ViewerState state_ PB_GUARDED_BY(mu_);
  int64_t update_id_ PB_GUARDED_BY(mu_);  // of the last one carried out
  std::map<uint32_t, SeriesId> refs_ PB_GUARDED_BY(mu_);
  std::map<uint32_t, LiveDefinition> lines_ PB_GUARDED_BY(mu_);
  std::map<SeriesId, LiveDefinition> definitions_ PB_GUARDED_BY(mu_);
  std::optional<absl::Status> end_ PB_GUARDED_BY(mu_);
  std::vector<std::string> breaches_ PB_GUARDED_BY(mu_);
  std::vector<LiveUpdated> updates_ PB_GUARDED_BY(mu_);
  std::string story_ PB_GUARDED_BY(mu_);
  std::vector<LiveEvent> events_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard::testing

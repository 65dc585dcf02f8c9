// FeedMailbox: what a feed received and the screen has not fetched yet. Filled on gRPC threads, emptied by swap on the
// GUI thread; when full it asks for a pause in reading, so that the server's own bounded queue (and its Gap) takes
// over.
#pragma once

#include <cstddef>
#include <unordered_map>

#include "client-qt/model/types.h"
#include "common/base/mutex.h"
#include "common/client/subscriber.h"

namespace pulseboard::qt {

// Thread-safe.
class FeedMailbox {
 public:
  static constexpr size_t kEventSamples = 32;

  struct Limits {
    size_t max_samples = 200'000;  // asks for a pause from here on; an event counts as kEventSamples
  };
  struct PutResult {
    bool was_empty = false;  // tell the screen
    bool full = false;       // pause reading
  };
  struct TakeResult {
    FeedBatch batch;
    bool was_full = false;  // resume reading
  };

  FeedMailbox() : FeedMailbox(Limits()) {}
  explicit FeedMailbox(Limits limits) : limits_(limits) {}

  // Takes a data event; a ResetEvent or RestatedEvent drops all that still waits here. State and progress events change
  // nothing, nor does an UpdatedEvent with an error.
  PutResult put(client::SubscriberEvent event) PB_EXCLUDES(mu_);
  TakeResult take() PB_EXCLUDES(mu_);

 private:
  void resetLocked() PB_REQUIRES(mu_);
  void defineLocked(const client::DefinitionsEvent& event) PB_REQUIRES(mu_);
  void addLocked(client::SeriesSamples&& in, bool amended, std::vector<SeriesSamples>* out,
                 std::unordered_map<quint64, size_t>* newest) PB_REQUIRES(mu_);

  const Limits limits_;
  Mutex mu_;
  FeedBatch batch_ PB_GUARDED_BY(mu_);
  size_t samples_ PB_GUARDED_BY(mu_) = 0;
  bool full_ PB_GUARDED_BY(mu_) = false;
  // Where in the batch a series' newest entry is, so that frames of one series are put together.
  std::unordered_map<quint64, size_t> newest_backfill_ PB_GUARDED_BY(mu_);
  std::unordered_map<quint64, size_t> newest_samples_ PB_GUARDED_BY(mu_);
  std::unordered_map<quint64, size_t> definitions_ PB_GUARDED_BY(mu_);  // since the update, if there is one
};

SeriesItem toItem(const SeriesInfo& series);
EventItem toItem(const client::Occurrence& occurrence);

}  // namespace pulseboard::qt

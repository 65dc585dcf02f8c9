// LiveWorld: a server as far as viewers see it (store, queries, events, hub), which can restart, and one viewer, driven
// by chance. For tests of what a viewer ends up with.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "common/base/clock.h"
#include "server/events/event_log.h"
#include "server/live/hub.h"
#include "server/query/query_engine.h"
#include "tests/support/memory_table.h"
#include "tests/support/test_store.h"
#include "tests/unit/live/viewer.h"

namespace pulseboard::testing {

class LiveWorld {
 public:
  // `clock`: what all but the deadlines of queries goes by; `wait`: passes some of its time.
  LiveWorld(uint64_t seed, const Clock& clock, std::function<void()> wait);
  ~LiveWorld();
  LiveWorld(const LiveWorld&) = delete;
  LiveWorld& operator=(const LiveWorld&) = delete;

  static constexpr int64_t kSealAge = 60 * kNanosPerSecond;  // of a store with a raw retention below a day

 protected:
  // A number from 0 to below - 1.
  int Pick(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }
  // Starts the server, again if need be; viewers end.
  void Restart();
  void Connect(const SubscriptionSpec& spec, ViewerState state);
  void Append(const std::vector<TestStore::Row>& rows);
  bool WaitUntil(const std::function<bool()>& condition) const;
  // Lets the viewer take everything.
  void CatchUp();
  // Holds the viewer up until it `lost` something, which chance alone does not promise. A viewer that still reads
  // history or the log loses nothing: once it is live, it does.
  void Overwhelm(const std::function<void()>& commit_little, const std::function<void()>& commit_much,
                 const std::function<bool(const ViewerState&)>& lost);

  // Wall time as injected, deadlines by the machine's.
  class QueryClock final : public Clock {
   public:
    explicit QueryClock(const Clock& wall) : wall_(wall) {}
    int64_t NowUnixNanos() const override { return wall_.NowUnixNanos(); }
    int64_t MonotonicNanos() const override { return SystemClock().MonotonicNanos(); }

   private:
    const Clock& wall_;
  };

  std::mt19937_64 random_;
  const Clock& clock_;
  const QueryClock query_clock_{clock_};
  const std::function<void()> wait_;
  int64_t raw_retention_ns_ = 30 * kNanosPerDay;  // as of the next Restart
  MemoryTable event_table_;
  std::unique_ptr<Hub> hub_;
  std::unique_ptr<TestStore> store_;
  std::unique_ptr<QueryEngine> queries_;
  std::unique_ptr<EventLog> events_;
  std::shared_ptr<Viewer> viewer_;
  int64_t last_commit_ = 0;
};

}  // namespace pulseboard::testing

// EventLog: the durable home of events. Pushes wait for one writer thread, which writes all that wait with one sync;
// readers look into the table by time (lists) or by id (followers). A follower has no queue of its own: it is told that
// there is news and reads on from its position, so a slow one costs nothing and misses nothing.
//
// Thread-safe. Table and clock must outlive it.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/worker_pool.h"
#include "server/events/event.h"
#include "server/events/event_rows.h"
#include "server/storage/table.h"

namespace pulseboard {

struct EventOptions {
  int64_t retention_ns = 400 * kNanosPerDay;    // storage.event_retention: older ones go
  int64_t max_per_tenant = 1'000'000;           // events.max_per_tenant: beyond it the oldest go
  int64_t max_lead_ns = 600 * kNanosPerSecond;  // ingest.max_sample_lead: further ahead is BAD_FIELD
  int64_t max_queued_bytes = 16 << 20;          // events.max_queued: waiting for the disk, else INGEST_BACKLOG_FULL
  int32_t max_queued_reads = 256;               // events.max_queued_reads: beyond it QUERY_BUSY
  int32_t max_subscriptions = 10'000;           // events.max_subscriptions: beyond it TOO_MANY_SUBSCRIPTIONS
  int64_t request_life_ns = kNanosPerDay;       // how long a request_id is remembered
  int64_t max_scanned = 100'000;                // events looked at for one page or message
  int64_t max_page_bytes = 1 << 20;             // of events in one page or message
  int64_t busy_retry_ms = 250;                  // RetryInfo with the refusals above
};

struct EventBatch {
  std::string request_id;     // empty: no protection of retries
  std::vector<Event> events;  // time 0: that of receipt
};

struct EventReceipt {
  int64_t first_id = 0;  // the others follow it
  int64_t count = 0;
  bool duplicate = false;
};

// Runs once, on the writer's thread. Must not block.
using EventsPushed = std::function<void(const absl::StatusOr<EventReceipt>&)>;

struct EventListRequest {
  std::string selector;
  EventSeverity min_severity = EventSeverity::kUnspecified;
  std::string text_contains;
  TimeRange range = kAllTime;
  int32_t page_size = 0;  // 0: the default
  std::string page_token;
};

struct EventPage {
  std::vector<Event> events;
  std::string next_page_token;
  std::string resume_token;
};

inline constexpr int32_t kDefaultEventPage = 100;
inline constexpr int32_t kMaxEventPage = 1'000;

struct EventStats {
  int64_t kept = 0;  // of all tenants
  int64_t pushed = 0;
  int64_t duplicate_requests = 0;
  int64_t dropped = 0;  // by retention
  int64_t refused_pushes = 0;
  int64_t subscriptions = 0;
};

// Told of news. Must not block.
class EventFollower {
 public:
  virtual ~EventFollower() = default;
  virtual void OnEvents() = 0;
};

class EventLog {
 public:
  // Counts what is there. `store_id`: tells resume tokens from another store's.
  static absl::StatusOr<std::unique_ptr<EventLog>> Open(Table& table, const Clock& clock, const std::string& store_id,
                                                        EventOptions options);
  ~EventLog();

  // An error means that nothing was taken and `done` will not run: BAD_FIELD, INGEST_BACKLOG_FULL with RetryInfo,
  // SHUTTING_DOWN. What is told to `done`: DISK_FULL, STORE_READ_ONLY …
  absl::Status Push(TenantId tenant, EventBatch batch, EventsPushed done);

  // Runs `read` on the reading thread; QUERY_BUSY with RetryInfo or SHUTTING_DOWN when it never will.
  absl::Status Read(std::function<void()> read);
  // Reads the disk. BAD_FIELD, BAD_SELECTOR, BAD_PAGE_TOKEN.
  absl::StatusOr<EventPage> List(TenantId tenant, const EventListRequest& request) const;

  // Ids up to this one are there to be read.
  int64_t last_id() const { return last_id_; }
  std::string MakeResumeToken(TenantId tenant, int64_t id) const;
  // The id in it. BAD_RESUME_TOKEN, RESUME_TOKEN_EXPIRED.
  absl::StatusOr<int64_t> ParseResumeToken(TenantId tenant, const std::string& token) const;
  // Reads the disk: events after `*position` that match, in order of arrival; moves `*position` behind what was looked
  // at. `*more`: whether there is more to look at.
  absl::StatusOr<std::vector<Event>> ReadAfter(TenantId tenant, const EventFilter& filter, int64_t* position,
                                               bool* more) const;
  // Until Unfollow, `follower` is told of new events of the tenant. TOO_MANY_SUBSCRIPTIONS with RetryInfo.
  absl::StatusOr<uint64_t> Follow(TenantId tenant, std::weak_ptr<EventFollower> follower);
  void Unfollow(uint64_t id);

  void SetRetention(int64_t retention_ns) { retention_ns_ = retention_ns; }
  // Drops what retention does not keep. To be called from time to time.
  absl::Status Sweep();
  EventStats Stats() const;
  // Ends the threads; what is queued is written first. Idempotent.
  void Stop();

 private:
  struct Waiting {
    TenantId tenant = 0;
    EventBatch batch;
    EventsPushed done;
    int64_t bytes = 0;
  };
  struct Following {
    TenantId tenant = 0;
    std::weak_ptr<EventFollower> follower;
  };
  using Group = std::vector<Waiting>;

  EventLog(Table& table, const Clock& clock, std::string store_id, EventOptions options);
  absl::Status Load();
  absl::Status CheckTimes(EventBatch* batch) const;

  // Writer (event_writer.cc).
  void WriteLoop();
  void WriteGroup(Group* group);
  // What is known of the batch's request_id, from the table or from `group`.
  absl::StatusOr<std::optional<event_rows::Receipt>> FindRequest(
      const Waiting& waiting, const std::map<std::string, event_rows::Receipt>& group) const;
  void Tell(const std::map<TenantId, int64_t>& added);
  absl::Status SweepTenant(TenantId tenant, int64_t kept);
  absl::Status SweepRequests();

  Table& table_;
  const Clock& clock_;
  const std::string store_id_;
  const EventOptions options_;
  std::atomic<int64_t> retention_ns_;
  std::atomic<int64_t> last_id_{0};
  int64_t given_id_ = 0;  // the writer's; ids of failed writes are not used again

  mutable Mutex mu_;
  CondVar wake_;
  Group queue_ PB_GUARDED_BY(mu_);
  int64_t queued_bytes_ PB_GUARDED_BY(mu_) = 0;
  bool stopping_ PB_GUARDED_BY(mu_) = false;
  std::map<TenantId, int64_t> kept_ PB_GUARDED_BY(mu_);
  EventStats stats_ PB_GUARDED_BY(mu_);
  uint64_t next_follower_ PB_GUARDED_BY(mu_) = 1;
  std::unordered_map<uint64_t, Following> followers_ PB_GUARDED_BY(mu_);

  Mutex sweep_mu_;
  WorkerPool reads_;
  std::thread writer_;
};

}  // namespace pulseboard

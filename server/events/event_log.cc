#include "server/events/event_log.h"

#include <algorithm>
#include <utility>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "server/query/page_token.h"

namespace pulseboard {
namespace {

std::string TenantText(TenantId tenant) { return std::to_string(tenant); }

// Where a list goes on: what was there at its first page, and the last event it has looked at.
struct ListPosition {
  int64_t cut = 0;
  std::string key;
};

std::string EncodePosition(const ListPosition& position) {
  std::string bytes;
  PutLittleEndian(&bytes, position.cut);
  return bytes + position.key;
}

absl::Status ShuttingDown() { return MakeError(ErrorReason::kShuttingDown, "the server is shutting down"); }

}  // namespace

EventLog::EventLog(Table& table, const Clock& clock, std::string store_id, EventOptions options)
    : table_(table),
      clock_(clock),
      store_id_(std::move(store_id)),
      options_(options),
      retention_ns_(options.retention_ns),
      reads_(1, static_cast<size_t>(options.max_queued_reads)) {}

absl::StatusOr<std::unique_ptr<EventLog>> EventLog::Open(Table& table, const Clock& clock, const std::string& store_id,
                                                         EventOptions options) {
  std::unique_ptr<EventLog> log(new EventLog(table, clock, store_id, options));
  PB_RETURN_IF_ERROR(log->Load());
  log->writer_ = std::thread([log = log.get()] { log->WriteLoop(); });
  return log;
}

EventLog::~EventLog() { Stop(); }

void EventLog::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (writer_.joinable()) writer_.join();
  reads_.Stop();
}

absl::Status EventLog::Load() {
  std::map<TenantId, int64_t> kept;
  PB_RETURN_IF_ERROR(table_.Scan(event_rows::kAllIds, "", [&](std::string_view key, std::string_view) {
    ++kept[event_rows::TenantOf(key)];
    given_id_ = std::max(given_id_, event_rows::IdOfIdKey(key));
    return true;
  }));
  PB_ASSIGN_OR_RETURN(const auto last, table_.Get(event_rows::kLastIdKey));
  if (last) given_id_ = std::max(given_id_, event_rows::TimeOfValue(*last));
  last_id_ = given_id_;
  MutexLock lock(&mu_);
  kept_ = std::move(kept);
  return absl::OkStatus();
}

absl::Status EventLog::CheckTimes(EventBatch* batch) const {
  const int64_t now = clock_.NowUnixNanos();
  const int64_t oldest = now - retention_ns_;
  const int64_t newest = now + options_.max_lead_ns;
  for (size_t i = 0; i < batch->events.size(); ++i) {
    Event& event = batch->events[i];
    event.received_unix_nanos = now;
    if (event.time_unix_nanos == 0) event.time_unix_nanos = now;
    if (event.time_unix_nanos >= oldest && event.time_unix_nanos <= newest) continue;
    return BadField("events[" + std::to_string(i) + "].time", std::to_string(event.time_unix_nanos),
                    "unix nanoseconds from " + std::to_string(oldest) + " (storage.event_retention) to " +
                        std::to_string(newest) + " (server's clock + ingest.max_sample_lead)");
  }
  return absl::OkStatus();
}

absl::Status EventLog::Push(TenantId tenant, EventBatch batch, EventsPushed done) {
  if (batch.events.empty() || batch.events.size() > kMaxEventsPerPush) {
    return BadField("events", std::to_string(batch.events.size()) + " events",
                    "1 to " + std::to_string(kMaxEventsPerPush));
  }
  if (batch.request_id.size() > kMaxRequestIdBytes) {
    return BadField("request_id", batch.request_id, "at most " + std::to_string(kMaxRequestIdBytes) + " bytes");
  }
  Waiting waiting{tenant, std::move(batch), std::move(done), 0};
  for (size_t i = 0; i < waiting.batch.events.size(); ++i) {
    PB_RETURN_IF_ERROR(ValidateEvent("events[" + std::to_string(i) + "]", waiting.batch.events[i]));
    waiting.bytes += static_cast<int64_t>(waiting.batch.events[i].bytes());
  }
  PB_RETURN_IF_ERROR(CheckTimes(&waiting.batch));
  MutexLock lock(&mu_);
  if (stopping_) return ShuttingDown();
  if (queued_bytes_ > 0 && queued_bytes_ + waiting.bytes > options_.max_queued_bytes) {
    ++stats_.refused_pushes;
    const std::string limit = std::to_string(options_.max_queued_bytes);
    return WithRetryAfterMs(
        MakeError(ErrorReason::kIngestBacklogFull, "more than " + limit + " bytes of events wait (events.max_queued)",
                  {{"queueBytes", limit}}),
        options_.busy_retry_ms);
  }
  queued_bytes_ += waiting.bytes;
  queue_.push_back(std::move(waiting));
  wake_.NotifyAll();
  return absl::OkStatus();
}

absl::Status EventLog::Read(std::function<void()> read) {
  {
    MutexLock lock(&mu_);
    if (stopping_) return ShuttingDown();
  }
  if (reads_.TrySubmit(std::move(read))) return absl::OkStatus();
  const std::string most = std::to_string(options_.max_queued_reads);
  return WithRetryAfterMs(MakeError(ErrorReason::kQueryBusy, most + " reads of events wait (events.max_queued_reads)",
                                    {{"queuedReads", most}}),
                          options_.busy_retry_ms);
}

absl::StatusOr<EventPage> EventLog::List(TenantId tenant, const EventListRequest& request) const {
  PB_ASSIGN_OR_RETURN(const EventFilter filter,
                      EventFilter::Parse(request.selector, request.min_severity, request.text_contains));
  if (request.page_size < 0) return BadField("page_size", std::to_string(request.page_size), "0 or more");
  const int32_t wanted = request.page_size == 0 ? kDefaultEventPage : std::min(request.page_size, kMaxEventPage);
  const std::string size = std::to_string(wanted);
  const std::string who = TenantText(tenant);
  const std::string severity = std::to_string(static_cast<int>(request.min_severity));
  const std::string start = std::to_string(request.range.start);
  const std::string end = std::to_string(request.range.end);
  const std::initializer_list<std::string_view> identity = {
      "events", who, request.selector, severity, request.text_contains, start, end, size};

  ListPosition position{last_id(), event_rows::TimeKey(tenant, request.range.start, 0)};
  if (!request.page_token.empty()) {
    PB_ASSIGN_OR_RETURN(const std::string token, ParsePageToken(request.page_token, identity));
    position = {GetLittleEndian<int64_t>(token), token.substr(sizeof(int64_t))};
  }
  EventPage page;
  page.resume_token = MakeResumeToken(tenant, position.cut);
  int64_t scanned = 0;
  size_t bytes = 0;
  bool damaged = false;
  bool more = false;
  const auto visit = [&](std::string_view key, std::string_view value) {
    if (event_rows::TimeOf(key) >= request.range.end) return false;
    const bool full = static_cast<int64_t>(page.events.size()) == wanted || scanned == options_.max_scanned ||
                      bytes >= static_cast<size_t>(options_.max_page_bytes);
    if (full) {
      more = true;
      position.key = key;
      return false;
    }
    ++scanned;
    Event event;
    damaged = !DecodeEvent(value, &event);
    if (damaged) return false;
    event.id = event_rows::IdOf(key);
    event.time_unix_nanos = event_rows::TimeOf(key);
    if (event.id > position.cut || !filter.Matches(event)) return true;
    bytes += event.bytes();
    page.events.push_back(std::move(event));
    return true;
  };
  PB_RETURN_IF_ERROR(table_.Scan(event_rows::TimePrefix(tenant), std::string(position.key), visit));
  if (damaged) return MakeError(ErrorReason::kBlockCorrupt, "table events: a row is not readable");
  if (more) page.next_page_token = MakePageToken(identity, EncodePosition(position));
  return page;
}

std::string EventLog::MakeResumeToken(TenantId tenant, int64_t id) const {
  std::string position;
  PutLittleEndian(&position, id);
  return MakePageToken({"events position", store_id_, TenantText(tenant)}, position);
}

absl::StatusOr<int64_t> EventLog::ParseResumeToken(TenantId tenant, const std::string& token) const {
  const auto position = ParsePageToken(token, {"events position", store_id_, TenantText(tenant)});
  if (!position.ok() || position->size() != sizeof(int64_t)) {
    return MakeError(ErrorReason::kBadResumeToken,
                     "resume_token: got '" + Printable(token) + "'; one that this server sent would be accepted",
                     {{"resumeToken", Printable(token)}});
  }
  const auto id = GetLittleEndian<int64_t>(*position);
  if (id <= last_id()) return id;
  return MakeError(ErrorReason::kResumeTokenExpired,
                   "event " + std::to_string(id) + " is not in this store; subscribe anew without token",
                   {{"eventId", std::to_string(id)}});
}

absl::StatusOr<std::vector<Event>> EventLog::ReadAfter(TenantId tenant, const EventFilter& filter, int64_t* position,
                                                       bool* more) const {
  const int64_t last = last_id();
  std::vector<std::pair<int64_t, int64_t>> rows;  // id, time
  constexpr size_t kRows = 1'000;
  PB_RETURN_IF_ERROR(table_.Scan(event_rows::IdPrefix(tenant), event_rows::IdKey(tenant, *position + 1),
                                 [&](std::string_view key, std::string_view value) {
                                   const int64_t id = event_rows::IdOfIdKey(key);
                                   if (id > last || rows.size() == kRows) return false;
                                   rows.emplace_back(id, event_rows::TimeOfValue(value));
                                   return true;
                                 }));
  std::vector<Event> events;
  size_t bytes = 0;
  for (const auto& [id, time] : rows) {
    if (bytes >= static_cast<size_t>(options_.max_page_bytes)) {
      *more = true;
      return events;
    }
    *position = id;
    PB_ASSIGN_OR_RETURN(const auto value, table_.Get(event_rows::TimeKey(tenant, time, id)));
    if (!value) continue;  // retention took it in between
    Event event;
    if (!DecodeEvent(*value, &event))
      return MakeError(ErrorReason::kBlockCorrupt, "table events: a row is not readable");
    event.id = id;
    event.time_unix_nanos = time;
    if (!filter.Matches(event)) continue;
    bytes += event.bytes();
    events.push_back(std::move(event));
  }
  *more = rows.size() == kRows;
  if (!*more) *position = std::max(*position, last);
  return events;
}

absl::StatusOr<uint64_t> EventLog::Follow(TenantId tenant, std::weak_ptr<EventFollower> follower) {
  MutexLock lock(&mu_);
  if (stopping_) return ShuttingDown();
  if (followers_.size() >= static_cast<size_t>(options_.max_subscriptions)) {
    const std::string most = std::to_string(options_.max_subscriptions);
    return WithRetryAfterMs(
        MakeError(ErrorReason::kTooManySubscriptions,
                  most + " subscriptions of events are open (events.max_subscriptions)", {{"subscriptions", most}}),
        options_.busy_retry_ms);
  }
  followers_[next_follower_] = {tenant, std::move(follower)};
  return next_follower_++;
}

void EventLog::Unfollow(uint64_t id) {
  MutexLock lock(&mu_);
  followers_.erase(id);
}

EventStats EventLog::Stats() const {
  MutexLock lock(&mu_);
  EventStats stats = stats_;
  for (const auto& [tenant, count] : kept_) stats.kept += count;
  stats.subscriptions = static_cast<int64_t>(followers_.size());
  return stats;
}

}  // namespace pulseboard

// The writing half of EventLog: groups of pushes, and what retention takes away.
#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/events/event_log.h"

namespace pulseboard {
namespace {

using event_rows::Receipt;

constexpr size_t kSweepBatch = 1'000;

}  // namespace

void EventLog::WriteLoop() {
  while (true) {
    Group group;
    {
      MutexLock lock(&mu_);
      while (queue_.empty() && !stopping_) wake_.Wait(&mu_);
      if (queue_.empty()) return;
      group.swap(queue_);
    }
    WriteGroup(&group);
    MutexLock lock(&mu_);
    for (const Waiting& waiting : group) queued_bytes_ -= waiting.bytes;
  }
}

absl::StatusOr<std::optional<Receipt>> EventLog::FindRequest(const Waiting& waiting,
                                                             const std::map<std::string, Receipt>& group) const {
  if (waiting.batch.request_id.empty()) return std::optional<Receipt>();
  const std::string key = event_rows::RequestKey(waiting.tenant, waiting.batch.request_id);
  if (const auto it = group.find(key); it != group.end()) return std::optional<Receipt>(it->second);
  PB_ASSIGN_OR_RETURN(const auto value, table_.Get(key));
  Receipt receipt;
  if (!value || !event_rows::ParseRequestValue(*value, &receipt)) return std::optional<Receipt>();
  return std::optional<Receipt>(receipt);
}

void EventLog::WriteGroup(Group* group) {
  const int64_t now = clock_.NowUnixNanos();
  std::vector<absl::StatusOr<EventReceipt>> receipts;
  std::map<std::string, Receipt> requests;
  std::map<TenantId, int64_t> added;
  std::vector<Table::Change> changes;
  int64_t duplicates = 0;
  for (Waiting& waiting : *group) {
    const auto known = FindRequest(waiting, requests);
    if (!known.ok()) {
      receipts.push_back(known.status());
      continue;
    }
    if (*known) {
      receipts.push_back(EventReceipt{(*known)->first_id, (*known)->count, true});
      ++duplicates;
      continue;
    }
    const auto count = static_cast<int64_t>(waiting.batch.events.size());
    const Receipt receipt{given_id_ + 1, count};
    for (Event& event : waiting.batch.events) {
      event.id = ++given_id_;
      changes.push_back({event_rows::TimeKey(waiting.tenant, event.time_unix_nanos, event.id), EncodeEvent(event)});
      changes.push_back({event_rows::IdKey(waiting.tenant, event.id), event_rows::TimeValue(event.time_unix_nanos)});
    }
    if (const std::string& id = waiting.batch.request_id; !id.empty()) {
      requests[event_rows::RequestKey(waiting.tenant, id)] = receipt;
      changes.push_back({event_rows::RequestKey(waiting.tenant, id), event_rows::RequestValue(receipt)});
      changes.push_back({event_rows::ExpiryKey(now, waiting.tenant, id), std::string()});
    }
    added[waiting.tenant] += count;
    receipts.push_back(EventReceipt{receipt.first_id, count, false});
  }
  if (duplicates > 0) {
    MutexLock lock(&mu_);
    stats_.duplicate_requests += duplicates;
  }
  absl::Status written;
  if (!changes.empty()) {
    changes.push_back({std::string(event_rows::kLastIdKey), event_rows::TimeValue(given_id_)});
    written = table_.Write(std::move(changes));
  }
  if (written.ok()) {
    last_id_ = given_id_;
    Tell(added);
  }
  for (size_t i = 0; i < group->size(); ++i) {
    // A duplicate of a request of this very group shares its fate.
    const bool of_this_write = receipts[i].ok() && receipts[i]->first_id > last_id_;
    (*group)[i].done(of_this_write ? absl::StatusOr<EventReceipt>(written) : receipts[i]);
  }
}

void EventLog::Tell(const std::map<TenantId, int64_t>& added) {
  std::vector<std::shared_ptr<EventFollower>> told;
  {
    MutexLock lock(&mu_);
    for (const auto& [tenant, count] : added) {
      kept_[tenant] += count;
      stats_.pushed += count;
    }
    for (const auto& [id, following] : followers_) {
      if (!added.contains(following.tenant)) continue;
      if (auto follower = following.follower.lock()) told.push_back(std::move(follower));
    }
  }
  for (const auto& follower : told) follower->OnEvents();
}

absl::Status EventLog::Sweep() {
  MutexLock sweep_lock(&sweep_mu_);
  std::map<TenantId, int64_t> kept;
  {
    MutexLock lock(&mu_);
    kept = kept_;
  }
  for (const auto& [tenant, count] : kept) PB_RETURN_IF_ERROR(SweepTenant(tenant, count));
  return SweepRequests();
}

absl::Status EventLog::SweepTenant(TenantId tenant, int64_t kept) {
  const int64_t oldest = clock_.NowUnixNanos() - retention_ns_;
  while (true) {
    std::vector<Table::Change> changes;
    int64_t dropped = 0;
    const auto visit = [&](std::string_view key, std::string_view) {
      const bool goes = event_rows::TimeOf(key) < oldest || kept - dropped > options_.max_per_tenant;
      if (!goes || changes.size() >= kSweepBatch) return false;
      ++dropped;
      changes.push_back({std::string(key), std::nullopt});
      changes.push_back({event_rows::IdKey(tenant, event_rows::IdOf(key)), std::nullopt});
      return true;
    };
    PB_RETURN_IF_ERROR(table_.Scan(event_rows::TimePrefix(tenant), "", visit));
    if (changes.empty()) return absl::OkStatus();
    PB_RETURN_IF_ERROR(table_.Write(std::move(changes)));
    kept -= dropped;
    PB_LOG(Info, "events", "dropped for retention tenant={} count={}", tenant, dropped);
    MutexLock lock(&mu_);
    kept_[tenant] -= dropped;
    stats_.dropped += dropped;
  }
}

absl::Status EventLog::SweepRequests() {
  const int64_t oldest = clock_.NowUnixNanos() - options_.request_life_ns;
  while (true) {
    std::vector<Table::Change> changes;
    PB_RETURN_IF_ERROR(table_.Scan(event_rows::kAllExpiries, "", [&](std::string_view key, std::string_view) {
      if (event_rows::CreatedOf(key) >= oldest || changes.size() >= kSweepBatch) return false;
      changes.push_back({std::string(key), std::nullopt});
      changes.push_back({event_rows::RequestKeyOf(key), std::nullopt});
      return true;
    }));
    if (changes.empty()) return absl::OkStatus();
    PB_RETURN_IF_ERROR(table_.Write(std::move(changes)));
  }
}

}  // namespace pulseboard

// The series of all tenants: by key, by id, and by label for selectors.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/model/labels.h"
#include "common/model/selector.h"

namespace pulseboard {

using SeriesInfoPtr = std::shared_ptr<const SeriesInfo>;

// Thread-safe.
class SeriesIndex {
 public:
  // Makes durable that ids below `limit` may have been handed out. Called rarely and not under the index's own lock: it
  // may wait for the disk.
  using Reserve = std::function<absl::Status(SeriesId limit)>;
  static constexpr SeriesId kReservedAtOnce = 256;

  // Ids start at `next_id`.
  SeriesIndex(SeriesId next_id, Reserve reserve);

  absl::StatusOr<SeriesId> FindOrCreate(TenantId tenant, const SeriesKey& key, const SeriesMetadata& metadata,
                                        bool* created);
  // For series read back at start. False when the id or the key is taken by something else.
  bool Add(SeriesInfoPtr info);

  std::optional<SeriesId> Find(TenantId tenant, const SeriesKey& key) const;
  SeriesInfoPtr Get(SeriesId id) const;
  // Ascending.
  std::vector<SeriesId> Select(TenantId tenant, const Selector& selector) const;
  int64_t Count() const;
  int64_t Count(TenantId tenant) const;
  int64_t Count(TenantId tenant, std::string_view metric) const;
  // Lowest id never handed out.
  SeriesId next_id() const;

 private:
  using Ids = std::vector<SeriesId>;  // ascending
  using Values = std::map<std::string, Ids, std::less<>>;
  struct Tenant {
    std::unordered_map<std::string, SeriesId> by_key;     // by SeriesKey::Encode
    std::map<std::string, Values, std::less<>> postings;  // label name -> value -> ids; the metric is a label too
    Ids all;
  };

  absl::Status ReserveMore();
  void InsertLocked(SeriesInfoPtr info, std::string encoded_key) PB_REQUIRES(mu_);
  Ids NarrowLocked(const Tenant& tenant, const Matcher& matcher, Ids ids) const PB_REQUIRES_SHARED(mu_);

  const Reserve reserve_;
  Mutex reserve_mu_;  // one reservation at a time; taken before mu_
  mutable SharedMutex mu_;
  std::map<TenantId, Tenant> tenants_ PB_GUARDED_BY(mu_);
  std::deque<SeriesInfoPtr> by_id_ PB_GUARDED_BY(mu_);  // null where no series is
  SeriesId next_id_ PB_GUARDED_BY(mu_);
  SeriesId reserved_limit_ PB_GUARDED_BY(mu_);
  int64_t count_ PB_GUARDED_BY(mu_) = 0;
};

}  // namespace pulseboard

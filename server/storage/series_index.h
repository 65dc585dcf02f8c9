// The series of all tenants: by key, by id, and by label for selectors (tenant_series.h has the structure).
//
// Who keeps an id beyond one call must see to it that the series is not purged meanwhile: a Visit for the time of one
// batch, Hold for as long as a stream lives. A retired series whose id is used comes back with Revive.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/model/labels.h"
#include "common/model/selector.h"
#include "server/storage/cardinality.h"
#include "server/storage/tenant_series.h"

namespace pulseboard {

using SeriesInfoPtr = std::shared_ptr<const SeriesInfo>;

// What storing needs to know of a series.
struct SeriesBrief {
  TenantId tenant = 0;
  MetricKind kind = MetricKind::kUnspecified;
};

// Thread-safe.
class SeriesIndex {
 public:
  // Makes durable that ids below `limit` may have been handed out. Called rarely and not under the index's own lock: it
  // may wait for the disk.
  using Reserve = std::function<absl::Status(SeriesId limit)>;
  // Doubled each time, so that a million new series do not wait for thousands of syncs.
  static constexpr SeriesId kReservedAtFirst = 256;
  static constexpr SeriesId kReservedAtMost = 65'536;

  // Ids start at `next_id`.
  SeriesIndex(SeriesId next_id, Reserve reserve);

  // A retired series comes back, as a created one.
  absl::StatusOr<SeriesId> FindOrCreate(TenantId tenant, const SeriesKey& key, const SeriesMetadata& metadata,
                                        bool* created);
  // For series read back at start. False when the id or the key is taken by something else.
  bool Add(const SeriesInfo& info);

  // Live series only.
  std::optional<SeriesId> Find(TenantId tenant, const SeriesKey& key) const;
  // Retired ones too. Made anew by each call.
  SeriesInfoPtr Get(SeriesId id) const;
  std::optional<SeriesBrief> Brief(SeriesId id) const;
  std::optional<TenantId> TenantOf(SeriesId id) const;
  // Ascending.
  std::vector<SeriesId> Select(TenantId tenant, const Selector& selector) const;
  int64_t Count() const;
  int64_t Count(TenantId tenant) const;
  int64_t Count(TenantId tenant, std::string_view metric) const;
  // Lowest id never handed out.
  SeriesId next_id() const;

  // See TenantSeries::LabelValues.
  std::vector<LabelValueSummary> LabelValues(TenantId tenant, std::string_view label, const Selector& selector,
                                             const std::string* after, size_t limit) const;
  // The lock is given up between slices: series that come meanwhile may or may not be counted.
  CardinalityReport Cardinality(TenantId tenant, const Selector& selector, const SeriesAgeLimits& ages,
                                CardinalityOrder order, size_t limit) const;

  // While the visit is kept, no series that was there when it began is purged.
  using Visit = std::shared_ptr<const void>;
  Visit BeginVisit() const;
  // Until Release (once per id held) the series is not purged. False when it is gone already.
  [[nodiscard]] bool Hold(SeriesId id);
  void Release(std::span<const SeriesId> ids);
  // Hides series from all but who has their id.
  void Retire(std::span<const SeriesId> ids);
  // False when there is no such series; true also when it was not retired.
  bool Revive(SeriesId id);
  // Forgets the retired series that nobody holds or visits. Call it from time to time: it purges what was retired
  // before visits that are over by now. Spares `keep`. Returns the purged ids.
  std::vector<SeriesId> PurgeRetired(const SeriesSet& keep = {});
  // Live series of all tenants, or of one.
  SeriesSet AllIds() const;
  SeriesSet TenantIds(TenantId tenant) const;
  std::vector<TenantId> Tenants() const;
  int64_t retired_count() const;

 private:
  void InsertLocked(SeriesId id, TenantId tenant, const SeriesKey& key, const SeriesMetadata& metadata, uint32_t hash)
      PB_REQUIRES(mu_);
  absl::Status ReserveMore();
  const TenantSeries* FindTenant(TenantId tenant) const PB_REQUIRES_SHARED(mu_);
  bool ReviveLocked(SeriesId id) PB_REQUIRES(mu_);

  const Reserve reserve_;
  Mutex reserve_mu_;  // one reservation at a time; taken before mu_
  SeriesId reserve_size_ PB_GUARDED_BY(reserve_mu_) = kReservedAtFirst;
  mutable SharedMutex mu_;
  SeriesRecords records_ PB_GUARDED_BY(mu_);
  std::map<TenantId, TenantSeries> tenants_ PB_GUARDED_BY(mu_);
  SeriesId next_id_ PB_GUARDED_BY(mu_);
  SeriesId reserved_limit_ PB_GUARDED_BY(mu_);
  int64_t count_ PB_GUARDED_BY(mu_) = 0;                    // live
  SeriesSet retired_ PB_GUARDED_BY(mu_);                    // since the newest visit token was made
  SeriesSet purgeable_ PB_GUARDED_BY(mu_);                  // retired before; purged once no old visit is left
  Visit visit_ PB_GUARDED_BY(mu_);                          // of now
  std::weak_ptr<const void> old_visit_ PB_GUARDED_BY(mu_);  // of the time before
};

}  // namespace pulseboard

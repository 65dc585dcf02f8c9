// All series of one tenant, in compact form: every label value is kept once, a series is a list of numbers of label
// values, and each label value has its postings. About 200 bytes per series with six labels, one of them unique.
//
// A series is live (selectors find it) or retired: its data is gone, but somebody may still hold its id, so it can come
// back under the same id (Revive) until it is purged.
#pragma once

#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_set.h>

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

#include "common/model/labels.h"
#include "common/model/selector.h"
#include "server/storage/cardinality.h"
#include "server/storage/id_table.h"
#include "server/storage/postings.h"

namespace pulseboard {

class TenantSeries;

// What is kept of a series beside the text of its labels.
struct SeriesRecord {
  std::unique_ptr<uint32_t[]> pairs;  // numbers of its tenant's label pairs, the metric first, then by label name
  TenantSeries* tenant = nullptr;
  uint32_t metadata = 0;  // number in its tenant's table
  uint32_t key_hash = 0;
  uint32_t holders = 0;  // who keep the id over time (open streams): not purged while there are any
  uint16_t pair_count = 0;
  bool retired = false;
};
using SeriesRecords = IdTable<SeriesRecord>;

// Ids ascend in time: the first id of the last hour and of the last day.
struct SeriesAgeLimits {
  SeriesId hour = 0;
  SeriesId day = 0;
};

// Not thread-safe; const member functions may run concurrently.
class TenantSeries {
 public:
  // `records` must outlive it; it adds and erases its own series there.
  TenantSeries(TenantId tenant, SeriesRecords* records);

  static uint32_t HashKey(const SeriesKey& key);

  TenantId tenant() const { return tenant_; }
  // Live or retired. `hash` is HashKey's.
  std::optional<SeriesId> Find(const SeriesKey& key, uint32_t hash) const;
  // REQUIRES: neither the id nor the key is there.
  void Insert(SeriesId id, const SeriesKey& key, const SeriesMetadata& metadata, uint32_t hash);
  void Retire(SeriesId id);
  void Revive(SeriesId id);
  // REQUIRES: retired.
  void Purge(SeriesId id);

  SeriesKey Key(const SeriesRecord& record) const;
  const SeriesMetadata& Metadata(const SeriesRecord& record) const { return metadata_[record.metadata].metadata; }

  SeriesSet Select(const Selector& selector) const;
  const SeriesSet& all() const { return all_; }
  int64_t CountMetric(std::string_view metric) const;

  // The values of a label that live series carry, ascending, those after `after` (all when it is null), at most
  // `limit`; among `within` unless it is null.
  std::vector<LabelValueSummary> LabelValues(std::string_view label, const SeriesSet* within, const std::string* after,
                                             size_t limit) const;

  // Adds up what the slice of the label values after `position` says; `position` moves on. False at the end. The most a
  // slice looks at is bounded, so that the lock above need not be held for long.
  struct CardinalityPosition {
    size_t name = 0;
    std::optional<std::string> after;  // a value of that name
  };
  bool AddCardinality(const SeriesSet* within, const SeriesAgeLimits& ages, CardinalityPosition* position,
                      CardinalityCounter* counter) const;
  static SeriesCounts Counts(const SeriesSet& ids, const SeriesSet* within, const SeriesAgeLimits& ages);

 private:
  struct Pair {
    std::unique_ptr<char[]> text;
    uint32_t size = 0;
    uint32_t name = 0;
    uint32_t users = 0;  // series, retired ones too
    Postings series;     // live ones
    std::string_view value() const { return {text.get(), size}; }
  };
  // Orders the pairs of one name by value.
  struct ByValue {
    using is_transparent = void;
    const std::deque<Pair>* pairs;
    bool operator()(uint32_t a, uint32_t b) const { return (*pairs)[a].value() < (*pairs)[b].value(); }
    bool operator()(uint32_t a, std::string_view b) const { return (*pairs)[a].value() < b; }
    bool operator()(std::string_view a, uint32_t b) const { return a < (*pairs)[b].value(); }
  };
  using ValueOrder = absl::btree_set<uint32_t, ByValue>;
  struct Name {
    uint32_t number = 0;
    std::string name;
    ValueOrder values;
    SeriesSet series;              // live ones that have the label
    int64_t multiline_values = 0;  // those that `.*` does not match
  };
  struct SharedMetadata {
    SeriesMetadata metadata;
    uint32_t users = 0;
  };
  struct KeySlot {
    uint32_t hash = 0;
    SeriesId id = 0;
  };
  struct KeyRef {
    const SeriesKey& key;
    uint32_t hash;
  };
  struct SlotHash {
    using is_transparent = void;
    size_t operator()(const KeySlot& slot) const { return Spread(slot.hash); }
    size_t operator()(const KeyRef& key) const { return Spread(key.hash); }
    static size_t Spread(uint32_t hash) { return hash * 0x9e3779b97f4a7c15u; }
  };
  struct SlotEqual {
    using is_transparent = void;
    const TenantSeries* tenant;
    bool operator()(const KeySlot& a, const KeySlot& b) const { return a.id == b.id; }
    bool operator()(const KeySlot& a, const KeyRef& b) const {
      return a.hash == b.hash && tenant->IsKeyOf(a.id, b.key);
    }
  };

  bool IsKeyOf(SeriesId id, const SeriesKey& key) const;
  const Name* FindName(std::string_view name) const;
  uint32_t UsePair(std::string_view name, std::string_view value);
  void ReleasePair(uint32_t pair);
  uint32_t UseMetadata(const SeriesMetadata& metadata);
  void ReleaseMetadata(uint32_t number);
  void SetLive(SeriesId id, const SeriesRecord& record, bool live);

  const Postings* FindPostings(const Name* name, std::string_view value) const;  // null when there are none
  std::string_view ValueOf(const SeriesRecord& record, const Name& name) const;
  std::vector<LabelValueSummary> LabelValuesOf(const SeriesSet& within, const Name& name, const std::string* after,
                                               size_t limit) const;
  // Leaves in `ids` those that a matcher other than `label="value"` holds for.
  void Narrow(const Matcher& matcher, SeriesSet* ids) const;
  bool HasMoreValues(const Name& name, std::string_view prefix, int64_t limit) const;
  SeriesSet MatchingRegex(const Name& name, const Matcher& matcher) const;
  void FilterOneByOne(const Name& name, const Matcher& matcher, SeriesSet* ids) const;
  static SeriesCounts Counts(const Postings& ids, const SeriesSet* within, const SeriesAgeLimits& ages);

  const TenantId tenant_;
  SeriesRecords* const records_;
  std::deque<Name> names_;
  std::map<std::string, uint32_t, std::less<>> name_numbers_;
  std::deque<Pair> pairs_;
  std::vector<uint32_t> free_pairs_;
  std::deque<SharedMetadata> metadata_;
  std::vector<uint32_t> free_metadata_;
  std::unordered_map<std::string, uint32_t> metadata_numbers_;
  absl::flat_hash_set<KeySlot, SlotHash, SlotEqual> by_key_;
  SeriesSet all_;  // live ones
};

}  // namespace pulseboard

// Selectors and counts: bitmap algebra over the postings of one tenant.
#include <algorithm>
#include <utility>

#include "server/storage/tenant_series.h"

namespace pulseboard {
namespace {

constexpr size_t kValuesPerSlice = 8'192;

bool IsAnything(const std::string& regex) { return regex == ".*" || regex == ".+"; }

}  // namespace

std::string_view TenantSeries::ValueOf(const SeriesRecord& record, const Name& name) const {
  for (size_t i = 0; i < record.pair_count; ++i) {
    const Pair& pair = pairs_[record.pairs[i]];
    if (pair.name == name.number) return pair.value();
  }
  return {};
}

SeriesSet TenantSeries::Select(const Selector& selector) const {
  // First the shortest list that an exact matcher gives, so that all after it is small.
  std::vector<const Postings*> exact;
  std::vector<const Matcher*> others;
  for (const Matcher& matcher : selector.matchers()) {
    if (matcher.op() != Matcher::Op::kEqual || matcher.value().empty()) {
      others.push_back(&matcher);
      continue;
    }
    const Postings* postings = FindPostings(FindName(matcher.label()), matcher.value());
    if (postings == nullptr) return {};
    exact.push_back(postings);
  }
  std::sort(exact.begin(), exact.end(), [](const Postings* a, const Postings* b) { return a->size() < b->size(); });
  SeriesSet ids = exact.empty() ? all_ : exact.front()->ToSet();
  for (size_t i = 1; i < exact.size() && !ids.empty(); ++i) exact[i]->IntersectInto(&ids);
  // Expressions last: they may be tried on each series that is left.
  std::stable_partition(others.begin(), others.end(),
                        [](const Matcher* matcher) { return matcher->op() <= Matcher::Op::kNotEqual; });
  for (const Matcher* matcher : others) {
    if (ids.empty()) break;
    Narrow(*matcher, &ids);
  }
  return ids;
}

const Postings* TenantSeries::FindPostings(const Name* name, std::string_view value) const {
  if (name == nullptr) return nullptr;
  const auto it = name->values.find(value);
  return it == name->values.end() ? nullptr : &pairs_[*it].series;
}

void TenantSeries::Narrow(const Matcher& matcher, SeriesSet* ids) const {
  const Name* name = FindName(matcher.label());
  const bool takes_empty = matcher.Matches("");
  if (name == nullptr) {
    if (!takes_empty) *ids = {};
    return;
  }
  switch (matcher.op()) {
    case Matcher::Op::kEqual:  // of the empty string
      *ids -= name->series;
      return;
    case Matcher::Op::kNotEqual:
      if (matcher.value().empty()) {
        *ids &= name->series;
      } else if (const Postings* postings = FindPostings(name, matcher.value())) {
        *ids -= postings->ToSet();
      }
      return;
    case Matcher::Op::kRegex:
    case Matcher::Op::kNotRegex:
      break;
  }
  if (!matcher.literals().alternatives && !IsAnything(matcher.value()) &&
      HasMoreValues(*name, matcher.literals().prefix, ids->size())) {
    FilterOneByOne(*name, matcher, ids);
    return;
  }
  SeriesSet matching = MatchingRegex(*name, matcher);  // the label is there and the expression matches it
  const bool negated = matcher.op() == Matcher::Op::kNotRegex;
  if (takes_empty != negated) {  // the expression itself matches the empty string
    SeriesSet others = name->series;
    others -= matching;
    negated ? * ids &= others : * ids -= others;
  } else {
    negated ? * ids -= matching : * ids &= matching;
  }
}

// Whether more than `limit` values begin with `prefix`.
bool TenantSeries::HasMoreValues(const Name& name, std::string_view prefix, int64_t limit) const {
  if (prefix.empty()) return static_cast<int64_t>(name.values.size()) > limit;
  auto it = name.values.lower_bound(prefix);
  for (; limit >= 0; --limit, ++it) {
    if (it == name.values.end() || !pairs_[*it].value().starts_with(prefix)) return false;
  }
  return true;
}

SeriesSet TenantSeries::MatchingRegex(const Name& name, const Matcher& matcher) const {
  if (IsAnything(matcher.value()) && name.multiline_values == 0) return name.series;
  SeriesSet bitmaps;
  std::vector<SeriesId> singles;
  const auto take = [&](const Postings& postings) {
    if (const SeriesSet* bitmap = postings.bitmap()) {
      bitmaps |= *bitmap;
    } else if (!postings.empty()) {
      singles.push_back(postings.Smallest());
    }
  };
  const RegexLiterals& literals = matcher.literals();
  if (literals.alternatives) {
    for (const std::string& value : *literals.alternatives) {
      if (const Postings* postings = FindPostings(&name, value)) take(*postings);
    }
  } else {
    const bool wanted = matcher.op() == Matcher::Op::kRegex;
    const std::string_view prefix = literals.prefix;
    for (auto it = name.values.lower_bound(prefix); it != name.values.end(); ++it) {
      const Pair& pair = pairs_[*it];
      if (!pair.value().starts_with(prefix)) break;
      if (matcher.Matches(pair.value()) == wanted) take(pair.series);
    }
  }
  std::sort(singles.begin(), singles.end());
  return bitmaps |= SeriesSet(singles);
}

void TenantSeries::FilterOneByOne(const Name& name, const Matcher& matcher, SeriesSet* ids) const {
  std::vector<SeriesId> kept;
  ids->ForEach([&](SeriesId id) {
    if (matcher.Matches(ValueOf(*records_->Find(id), name))) kept.push_back(id);
    return true;
  });
  *ids = SeriesSet(kept);
}

SeriesCounts TenantSeries::Counts(const SeriesSet& ids, const SeriesSet* within, const SeriesAgeLimits& ages) {
  if (within == nullptr) return {ids.size(), ids.CountFrom(ages.hour), ids.CountFrom(ages.day)};
  SeriesSet common = ids;
  common &= *within;
  return {common.size(), common.CountFrom(ages.hour), common.CountFrom(ages.day)};
}

SeriesCounts TenantSeries::Counts(const Postings& ids, const SeriesSet* within, const SeriesAgeLimits& ages) {
  if (const SeriesSet* bitmap = ids.bitmap()) return Counts(*bitmap, within, ages);
  const SeriesId one = ids.Smallest();
  if (one == 0 || (within != nullptr && !within->Contains(one))) return {};
  return {1, static_cast<int64_t>(one >= ages.hour), static_cast<int64_t>(one >= ages.day)};
}

bool TenantSeries::AddCardinality(const SeriesSet* within, const SeriesAgeLimits& ages, CardinalityPosition* position,
                                  CardinalityCounter* counter) const {
  size_t visited = 0;
  for (; position->name < names_.size(); ++position->name, position->after.reset()) {
    const Name& name = names_[position->name];
    const bool is_metric = name.name == kMetricNameLabel;
    CardinalityTop& top = is_metric ? counter->metrics : counter->label_values;
    auto it = position->after ? name.values.upper_bound(std::string_view(*position->after)) : name.values.begin();
    for (; it != name.values.end(); ++it) {
      const Pair& pair = pairs_[*it];
      const SeriesCounts counts = Counts(pair.series, within, ages);
      if (top.Wants(counts)) top.Add({is_metric ? "" : name.name, std::string(pair.value()), counts, 0});
      if (++visited == kValuesPerSlice) {
        position->after = pair.value();
        return true;
      }
    }
    if (is_metric) continue;
    const SeriesCounts counts = Counts(name.series, within, ages);
    // The distinct values of a selection would have to be looked up one by one; both numbers bound them.
    const auto values = std::min(static_cast<int64_t>(name.values.size()), counts.series);
    if (counter->labels.Wants(counts)) counter->labels.Add({name.name, "", counts, values});
  }
  return false;
}

}  // namespace pulseboard

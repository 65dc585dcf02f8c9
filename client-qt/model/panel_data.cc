#include "client-qt/model/panel_data.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "client-qt/model/series_names.h"

namespace pulseboard::qt {
namespace {

constexpr double kNoValue = std::numeric_limits<double>::quiet_NaN();

TimeRange spanOf(const std::vector<qint64>& times) { return {times.front(), times.back() + 1}; }

struct Edge {
  qint64 time;
  int step;  // +1: a series falls silent, -1: it is back
};

// The stretches in which all of `count` series are silent.
std::vector<TimeRange> commonHoles(std::vector<Edge> edges, int count) {
  // Ends before starts: holes that only touch do not make a common one.
  std::sort(edges.begin(), edges.end(),
            [](const Edge& a, const Edge& b) { return a.time != b.time ? a.time < b.time : a.step < b.step; });
  std::vector<TimeRange> out;
  int silent = 0;
  for (const Edge& edge : edges) {
    if (silent == count && edge.step < 0 && edge.time > out.back().start) out.back().end = edge.time;
    silent += edge.step;
    if (silent == count && edge.step > 0) out.push_back({edge.time, edge.time});
  }
  std::erase_if(out, [](const TimeRange& range) { return range.empty(); });
  return out;
}

void mergeOverlaps(QVector<GapItem>* gaps) {
  std::sort(gaps->begin(), gaps->end(),
            [](const GapItem& a, const GapItem& b) { return a.start_unix_nanos < b.start_unix_nanos; });
  QVector<GapItem> merged;
  for (const GapItem& gap : *gaps) {
    if (!merged.isEmpty() && gap.start_unix_nanos <= merged.back().end_unix_nanos) {
      merged.back().end_unix_nanos = std::max(merged.back().end_unix_nanos, gap.end_unix_nanos);
      merged.back().dropped_samples += gap.dropped_samples;
    } else {
      merged.push_back(gap);
    }
  }
  *gaps = std::move(merged);
}

}  // namespace

PanelData::PanelData(QString panel_id, Limits limits)
    : panel_id_(std::move(panel_id)), query_prefix_(panel_id_ + QLatin1Char('/')), limits_(limits) {}

bool PanelData::apply(const FeedBatch& batch, qint64 backfill_column_nanos) {
  bool changed = false;
  if (batch.reset) {
    clear();
    changed = true;
  }
  for (const FeedBatch::Definition& definition : batch.definitions) changed |= define(definition);
  if (batch.updated) redefined_.emplace();
  for (const FeedBatch::Definition& definition : batch.redefinitions) changed |= define(definition);
  for (const SeriesSamples& columns : batch.backfill) {
    const auto store = stores_.find(columns.series_id);
    if (store == stores_.end() || columns.times.empty()) continue;
    store->second.replace(spanOf(columns.times), columns.times, columns.values, backfill_column_nanos);
    dropFilledGaps(spanOf(columns.times));
    changed = true;
  }
  for (const SeriesSamples& columns : batch.samples) {
    const auto store = stores_.find(columns.series_id);
    if (store == stores_.end()) continue;
    store->second.add(columns.times, columns.values);
    if (columns.amended) noteAmends(columns);
    if (!columns.times.empty()) stale_.remove(columns.series_id);
    changed = true;
  }
  for (const quint64 id : batch.stale) {
    if (!stores_.contains(id) || stale_.contains(id)) continue;
    stale_.insert(id);
    changed = true;
  }
  if (!batch.gaps.empty()) {
    for (const GapItem& gap : batch.gaps) dropped_.push_back(gap);
    mergeOverlaps(&dropped_);
    changed = true;
  }
  if (batch.backfill_done) {
    changed |= finishUpdate();
    changed |= std::exchange(loading_, false);
  }
  return changed;
}

// Series that no query of the panel picks any more go.
bool PanelData::finishUpdate() {
  if (!redefined_) return false;
  const QSet<quint64> kept = *std::exchange(redefined_, std::nullopt);
  const auto lost = [&](const SeriesItem& item) {
    if (kept.contains(item.id)) return false;
    forget(item.id);
    return true;
  };
  if (series_.removeIf(lost) == 0) return false;
  names_stale_ = true;
  return true;
}

void PanelData::forget(quint64 series_id) {
  stores_.erase(series_id);
  amended_.erase(series_id);
  stale_.remove(series_id);
  slots_.erase(series_id);
}

// A backfill brings what was dropped before.
void PanelData::dropFilledGaps(TimeRange filled) {
  dropped_.removeIf(
      [&](const GapItem& gap) { return gap.start_unix_nanos >= filled.start && gap.end_unix_nanos <= filled.end; });
}

void PanelData::noteAmends(const SeriesSamples& columns) {
  std::set<qint64>& times = amended_[columns.series_id];
  times.insert(columns.times.begin(), columns.times.end());
  while (times.size() > limits_.max_amends_per_series) times.erase(times.begin());
}

QVector<AmendMark> PanelData::amends(TimeRange range, qint64 apart) const {
  QVector<AmendMark> out;
  for (const SeriesItem& item : series_) {
    const auto times = amended_.find(item.id);
    if (times == amended_.end()) continue;
    const SeriesStore& store = stores_.at(item.id);
    qint64 next = range.start;
    for (auto at = times->second.lower_bound(range.start); at != times->second.end() && *at < range.end; ++at) {
      const size_t i = store.lowerBound(*at);
      if (*at < next || i == store.size() || store.time(i) != *at || std::isnan(store.value(i))) continue;
      out.push_back({item.id, slotOf(item.id), *at, store.value(i)});
      next = *at + apart;
    }
  }
  return out;
}

void PanelData::applyHistory(const HistoryResult& history, TimeRange range, qint64 column_nanos) {
  for (const FeedBatch::Definition& definition : history.definitions) {
    FeedBatch::Definition mine = definition;
    if (mine.query_ids.isEmpty()) mine.query_ids = {query_prefix_ + QStringLiteral("history")};
    define(mine);
  }
  std::unordered_map<quint64, SeriesSamples> joined;
  for (const FeedBatch::Definition& definition : history.definitions) joined[definition.series.id];  // perhaps empty
  for (const SeriesSamples& part : history.samples) {
    SeriesSamples& whole = joined[part.series_id];
    whole.times.insert(whole.times.end(), part.times.begin(), part.times.end());
    whole.values.insert(whole.values.end(), part.values.begin(), part.values.end());
  }
  for (const auto& [id, columns] : joined) {
    if (const auto store = stores_.find(id); store != stores_.end()) {
      store->second.replace(range, columns.times, columns.values, column_nanos);
    }
  }
  loading_ = false;
}

bool PanelData::define(const FeedBatch::Definition& definition) {
  const auto is_mine = [this](const QString& query_id) { return query_id.startsWith(query_prefix_); };
  if (std::none_of(definition.query_ids.begin(), definition.query_ids.end(), is_mine)) return false;
  const quint64 id = definition.series.id;
  if (redefined_) redefined_->insert(id);
  if (stores_.contains(id)) return false;
  if (series_.size() >= limits_.max_series) {
    hidden_.insert(id);
    return false;
  }
  stores_.emplace(id, SeriesStore(limits_.max_samples_per_series));
  const auto [slot, is_new] = slots_.try_emplace(id, next_slot_);
  if (is_new) ++next_slot_;
  const auto at = std::upper_bound(series_.begin(), series_.end(), slot->second,
                                   [this](int s, const SeriesItem& item) { return s < slots_.at(item.id); });
  series_.insert(at, definition.series);
  names_stale_ = true;
  return true;
}

void PanelData::trim(qint64 oldest_unix_nanos) {
  for (auto& [id, store] : stores_) {
    store.trim(oldest_unix_nanos);
  }
  for (auto& [id, times] : amended_) times.erase(times.begin(), times.lower_bound(oldest_unix_nanos));
  const auto gone = [this](const SeriesItem& item) {
    const auto store = stores_.find(item.id);
    if (loading_ || redefined_ || !store->second.empty()) return false;
    forget(item.id);
    return true;
  };
  if (series_.removeIf(gone) > 0) {
    hidden_.clear();  // those that still send are defined again at the next snapshot
    names_stale_ = true;
    if (series_.isEmpty()) next_slot_ = 0;
  }
  dropped_.removeIf([&](const GapItem& gap) { return gap.end_unix_nanos < oldest_unix_nanos; });
}

void PanelData::clear() {
  // Slots are kept: a series that comes back keeps its colour.
  if (static_cast<int>(slots_.size()) > 4 * limits_.max_series) {
    slots_.clear();
    next_slot_ = 0;
  }
  series_.clear();
  stores_.clear();
  amended_.clear();
  stale_.clear();
  hidden_.clear();
  dropped_.clear();
  redefined_.reset();
  loading_ = true;
  names_stale_ = true;
}

const SeriesStore* PanelData::find(quint64 series_id) const {
  const auto store = stores_.find(series_id);
  return store == stores_.end() ? nullptr : &store->second;
}

int PanelData::slotOf(quint64 series_id) const {
  const auto slot = slots_.find(series_id);
  return slot == slots_.end() ? -1 : slot->second;
}

void PanelData::refreshNames() const {
  names_stale_ = false;
  QVector<const SeriesItem*> group;
  for (const SeriesItem& item : series_) group.push_back(&item);
  names_ = distinctNames(group);
  for (const SeriesItem& item : series_) {
    QString& name = names_[item.id];
    if (name.isEmpty()) name = item.metric.section(QLatin1Char('.'), -1);
  }
}

QString PanelData::displayName(quint64 series_id) const {
  if (names_stale_) refreshNames();
  const auto name = names_.find(series_id);
  return name == names_.end() ? QString() : name->second;
}

QString PanelData::unit() const {
  if (series_.isEmpty()) return {};
  for (const SeriesItem& item : series_) {
    if (item.unit != series_.front().unit) return {};
  }
  return series_.front().unit;
}

bool PanelData::isEmpty() const {
  return std::all_of(stores_.begin(), stores_.end(), [](const auto& entry) { return entry.second.empty(); });
}

QVector<SeriesLine> PanelData::lines(TimeRange range, int pixel_width) const {
  QVector<SeriesLine> out;
  out.reserve(series_.size());
  for (const SeriesItem& item : series_) {
    SeriesLine line{item.id, slotOf(item.id), stores_.at(item.id).runs(range, pixel_width)};
    if (!line.runs.isEmpty()) out.push_back(std::move(line));
  }
  return out;
}

QVector<GapItem> PanelData::gaps(TimeRange range, qint64 now_unix_nanos) const {
  std::vector<Edge> edges;
  int count = 0;
  qint64 earliest = std::numeric_limits<qint64>::max();
  for (const auto& [id, store] : stores_) {
    if (store.empty()) continue;
    ++count;
    const qint64 first = store.time(0);
    const qint64 last = store.time(store.size() - 1);
    earliest = std::min(earliest, first);
    edges.push_back({std::numeric_limits<qint64>::min(), +1});  // not there yet
    edges.push_back({first, -1});
    for (const TimeRange& hole : store.holes(range)) {
      edges.push_back({hole.start, +1});
      edges.push_back({hole.end, -1});
    }
    const qint64 patience = store.holeAfter(last);
    const qint64 end = std::min<qint64>(now_unix_nanos, range.end);
    if (patience > 0 && range.Contains(now_unix_nanos - 1) && end - last > patience) {
      edges.push_back({last, +1});
      edges.push_back({end, -1});
    }
  }
  QVector<GapItem> out;
  if (count > 0) {
    for (const TimeRange& hole : commonHoles(std::move(edges), count)) {
      if (hole.start >= earliest && hole.end > range.start) out.push_back({hole.start, hole.end, 0});
    }
  }
  for (const GapItem& gap : dropped_) {
    if (gap.end_unix_nanos > range.start && gap.start_unix_nanos < range.end) out.push_back(gap);
  }
  mergeOverlaps(&out);
  return out;
}

QVector<LegendRow> PanelData::legend(TimeRange range) const {
  QVector<LegendRow> out;
  for (const SeriesItem& item : series_) {
    const SeriesStore& store = stores_.at(item.id);
    LegendRow row{item.id, slotOf(item.id), displayName(item.id), 0, kNoValue, kNoValue, kNoValue, isStale(item.id)};
    const size_t end = store.lowerBound(range.end);
    for (size_t i = store.lowerBound(range.start); i < end; ++i) {
      const double value = store.value(i);
      if (std::isnan(value)) continue;
      row.last = value;
      row.last_time = store.time(i);
      row.min = std::isnan(row.min) ? value : std::min(row.min, value);
      row.max = std::isnan(row.max) ? value : std::max(row.max, value);
    }
    if (!std::isnan(row.last)) out.push_back(std::move(row));
  }
  return out;
}

QVector<HoverValue> PanelData::valuesAt(qint64 time) const {
  QVector<HoverValue> out;
  for (const SeriesItem& item : series_) {
    if (const std::optional<Sample> sample = stores_.at(item.id).nearest(time)) {
      out.push_back({item.id, slotOf(item.id), displayName(item.id), sample->time_unix_nanos, sample->value});
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const HoverValue& a, const HoverValue& b) { return a.value > b.value; });
  return out;
}

QVector<HoverValue> PanelData::liveEdge(TimeRange range) const {
  QVector<HoverValue> out;
  const std::optional<qint64> newest = newestTime();
  if (!newest) return out;
  const qint64 reference = std::min<qint64>(*newest, range.end);
  for (const SeriesItem& item : series_) {
    const SeriesStore& store = stores_.at(item.id);
    const size_t end = store.lowerBound(range.end);
    if (end == 0 || store.time(end - 1) < range.start || std::isnan(store.value(end - 1))) continue;
    const qint64 time = store.time(end - 1);
    const qint64 patience = store.holeAfter(time);
    if (patience > 0 && reference - time > patience) continue;
    out.push_back({item.id, slotOf(item.id), displayName(item.id), time, store.value(end - 1)});
  }
  return out;
}

std::optional<ValueRange> PanelData::valueRange(TimeRange range) const {
  std::optional<ValueRange> out;
  for (const auto& [id, store] : stores_) {
    const size_t end = store.lowerBound(range.end);
    for (size_t i = store.lowerBound(range.start); i < end; ++i) {
      const double value = store.value(i);
      if (!std::isfinite(value)) continue;
      if (!out) out = ValueRange{value, value};
      out->min = std::min(out->min, value);
      out->max = std::max(out->max, value);
    }
  }
  return out;
}

std::optional<qint64> PanelData::oldestTime() const {
  std::optional<qint64> out;
  for (const auto& [id, store] : stores_) {
    if (!store.empty()) out = std::min(out.value_or(store.time(0)), store.time(0));
  }
  return out;
}

std::optional<qint64> PanelData::newestTime() const {
  std::optional<qint64> out;
  for (const auto& [id, store] : stores_) {
    if (!store.empty()) out = std::max(out.value_or(store.time(store.size() - 1)), store.time(store.size() - 1));
  }
  return out;
}

qint64 PanelData::intervalOf(quint64 series_id) const {
  const SeriesStore* store = find(series_id);
  return store == nullptr ? 0 : store->interval();
}

}  // namespace pulseboard::qt

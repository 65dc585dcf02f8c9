// PanelData: all that one panel has of its series, bounded, and what of it is to be drawn.
//
// Fed from FeedBatch (live) and HistoryResult (other time ranges); asked by the chart once per frame. A plain class of
// the GUI thread: no signals, no locks; every call is linear at most in the samples of the asked range. Times are unix
// nanoseconds; QPointF x is milliseconds since the Unix epoch (exact to a microsecond), y the raw value.
#pragma once

#include <QPointF>
#include <QSet>
#include <optional>
#include <set>
#include <unordered_map>

#include "client-qt/model/series_store.h"
#include "client-qt/model/types.h"
#include "common/model/samples.h"

namespace pulseboard::qt {

// One line of a panel, ready to draw: runs of points with gaps between them. A run may be a single point.
struct SeriesLine {
  quint64 series_id = 0;
  int slot = 0;  // colour number: stays the series' own for the life of the panel
  QVector<QVector<QPointF>> runs;
};

struct LegendRow {
  quint64 series_id = 0;
  int slot = 0;
  QString name;  // see PanelData::displayName
  qint64 last_time = 0;
  double last = 0;  // newest value inside the range; min and max over the range. NaN when there is none.
  double min = 0;
  double max = 0;
  bool stale = false;  // the server says that it has stopped
};

struct HoverValue {
  quint64 series_id = 0;
  int slot = 0;
  QString name;
  qint64 time = 0;  // of the sample, not of the mouse
  double value = 0;
};

// A sample that came late or was corrected while it was on screen.
struct AmendMark {
  quint64 series_id = 0;
  int slot = 0;
  qint64 time = 0;
  double value = 0;
};

struct ValueRange {
  double min = 0;
  double max = 0;
};

class PanelData {
 public:
  struct Limits {
    int max_series = 200;                     // more are counted in hiddenSeries() and not kept
    size_t max_samples_per_series = 100'000;  // the oldest go first
    size_t max_amends_per_series = 500;       // marks; the oldest go first
  };

  // `panel_id`: takes the definitions of queries `<panel_id>/<n>` (see DashboardSpec::feedSpec).
  explicit PanelData(QString panel_id) : PanelData(std::move(panel_id), Limits()) {}
  PanelData(QString panel_id, Limits limits);

  // Takes this panel's part of a drained batch. True when something of this panel changed.
  // `backfill_column_nanos`: width of the pixel columns the backfill was reduced to; 0 for raw.
  bool apply(const FeedBatch& batch, qint64 backfill_column_nanos = 0);
  // Puts history of [range) in place of what is there.
  void applyHistory(const HistoryResult& history, TimeRange range, qint64 column_nanos = 0);
  // Forgets samples older than `oldest` and series left without samples.
  void trim(qint64 oldest_unix_nanos);
  void clear();

  // Series in slot order.
  const QVector<SeriesItem>& series() const { return series_; }
  int slotOf(quint64 series_id) const;
  // Short and different for each series: the values of those labels in which the series of this panel differ, with the
  // metric's last word in front when metrics differ; the metric alone for a single series.
  QString displayName(quint64 series_id) const;
  // Series beyond Limits::max_series.
  int hiddenSeries() const { return hidden_.size(); }
  // Whether the server says that the series has stopped.
  bool isStale(quint64 series_id) const { return stale_.contains(series_id); }
  // Unit shared by all series, else empty.
  QString unit() const;
  // A backfill is still arriving: keep the last pixels, show the loading line.
  bool isLoading() const { return loading_; }
  bool isEmpty() const;

  // At most 4 points per pixel column and series (first, last, smallest, largest: nothing visible is lost), with one
  // point beyond each edge so that lines reach it.
  QVector<SeriesLine> lines(TimeRange range, int pixel_width) const;
  // Holes common to all series of the panel, and samples dropped by the server; ascending, merged.
  // An open hole (nothing arrives any more) ends at `now` when `now` is inside the range.
  QVector<GapItem> gaps(TimeRange range, qint64 now_unix_nanos) const;
  // Amended samples as they are now, in slot order and ascending, of a series at least `apart` nanoseconds from one
  // another. NaN is left out.
  QVector<AmendMark> amends(TimeRange range, qint64 apart) const;
  // In slot order; series without a sample in the range are left out.
  QVector<LegendRow> legend(TimeRange range) const;
  // The samples nearest to `time`, at most 3 intervals away, largest value first. NaN is left out.
  QVector<HoverValue> valuesAt(qint64 time) const;
  // Newest sample of each series inside the range, for the live edge; series that fell silent are left out.
  QVector<HoverValue> liveEdge(TimeRange range) const;
  std::optional<ValueRange> valueRange(TimeRange range) const;
  // Time of the oldest and of the newest sample of any series.
  std::optional<qint64> oldestTime() const;
  std::optional<qint64> newestTime() const;
  // The series' learnt time between samples; 0 when not known yet.
  qint64 intervalOf(quint64 series_id) const;

 private:
  bool define(const FeedBatch::Definition& definition);
  void forget(quint64 series_id);
  bool finishUpdate();
  void dropFilledGaps(TimeRange filled);
  void noteAmends(const SeriesSamples& columns);
  void refreshNames() const;
  const SeriesStore* find(quint64 series_id) const;

  const QString panel_id_;
  const QString query_prefix_;
  const Limits limits_;
  QVector<SeriesItem> series_;
  std::unordered_map<quint64, SeriesStore> stores_;
  std::unordered_map<quint64, int> slots_;
  std::unordered_map<quint64, std::set<qint64>> amended_;  // times
  QSet<quint64> hidden_;
  // While the queries of the feed change: the series that are of the panel by the new ones.
  std::optional<QSet<quint64>> redefined_;
  QSet<quint64> stale_;
  QVector<GapItem> dropped_;
  int next_slot_ = 0;
  bool loading_ = true;
  mutable bool names_stale_ = true;
  mutable std::unordered_map<quint64, QString> names_;
};

}  // namespace pulseboard::qt

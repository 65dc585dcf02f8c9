#include "tests/unit/qt_ui/synthetic_source.h"

#include <QTimer>
#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "common/model/selector.h"

namespace pulseboard::qt {
namespace {

// Uniform in [-1, 1), the same for the same arguments.
double noiseAt(quint64 series, qint64 step) {
  quint64 x = series * 0x9E3779B97F4A7C15ULL + static_cast<quint64>(step) * 0xBF58476D1CE4E5B9ULL;
  x ^= x >> 31;
  x *= 0x94D049BB133111EBULL;
  x ^= x >> 29;
  return static_cast<double>(x % 20'000) / 10'000.0 - 1;
}

SeriesKey keyOf(const SeriesItem& item) {
  std::vector<Label> labels;
  for (const LabelItem& label : item.labels) labels.push_back({label.name.toStdString(), label.value.toStdString()});
  return {item.metric.toStdString(), Labels(std::move(labels))};
}

}  // namespace

SyntheticSource::SyntheticSource(const Clock& clock) : clock_(clock) {
  status_.state = ConnectionState::Connected;
  status_.server = QStringLiteral("metrics.example.com:7443");
  status_.user = QStringLiteral("analyst");
  status_.role = QStringLiteral("viewer");
  status_.tls = true;
  latency_.push_to_receive_p50_ms = 3.2;
  latency_.push_to_receive_p99_ms = 9.8;
}

quint64 SyntheticSource::addSeries(const QString& metric, const QVector<LabelItem>& labels, const QString& unit,
                                   const Shape& shape) {
  SeriesItem item;
  item.id = next_id_++;
  item.metric = metric;
  item.labels = labels;
  std::sort(item.labels.begin(), item.labels.end(),
            [](const LabelItem& a, const LabelItem& b) { return a.name < b.name; });
  item.unit = unit;
  catalog_.append(item);
  shapes_[item.id] = shape;
  return item.id;
}

void SyntheticSource::addMachine(const QString& host) {
  const LabelItem on{QStringLiteral("host"), host};
  const auto label = [](const char* name, const QString& value) { return LabelItem{QString::fromLatin1(name), value}; };
  const QString percent = QStringLiteral("%");
  const QString bytes = QStringLiteral("By");
  const QString rate = QStringLiteral("By/s");
  const std::pair<const char*, Shape> modes[] = {{"user", {22, 12, 3, 0, 70}},   {"system", {8, 4, 2, 0, 30}},
                                                 {"iowait", {3, 3, 1.5, 0, 20}}, {"nice", {0.4, 0.3, 0.2, 0, 5}},
                                                 {"irq", {0.5, 0.2, 0.2, 0, 4}}, {"idle", {65, 15, 5, 0, 100}}};
  for (int cpu = 0; cpu < 4; ++cpu) {
    const LabelItem core = label("cpu", QString::number(cpu));
    const Shape busy{20.0 + 12 * cpu, 14, 5, 0, 100};
    addSeries(QStringLiteral("system.cpu.usage"), {on, core}, percent, busy);
    for (const auto& [mode, shape] : modes) {
      addSeries(QStringLiteral("system.cpu.utilization"), {on, core, label("mode", QLatin1String(mode))}, percent,
                shape);
    }
  }
  for (const auto& [mode, shape] : modes) {
    addSeries(QStringLiteral("system.cpu.utilization"),
              {on, label("cpu", QStringLiteral("all")), label("mode", QLatin1String(mode))}, percent, shape);
  }
  addSeries(QStringLiteral("system.cpu.usage"), {on, label("cpu", QStringLiteral("all"))}, percent,
            {38, 12, 3, 0, 100});
  const double gib = 1024.0 * 1024 * 1024;
  const std::pair<const char*, double> memory[] = {{"used", 9.1}, {"cached", 6.2}, {"buffers", 0.8}, {"free", 7.9}};
  for (const auto& [state, size] : memory) {
    addSeries(QStringLiteral("system.memory.usage"), {on, label("state", QLatin1String(state))}, bytes,
              {size * gib, 0.35 * gib, 0.02 * gib, 0, 32 * gib});
  }
  for (const char* window : {"1m", "5m", "15m"}) {
    addSeries(QStringLiteral("system.load"), {on, label("window", QLatin1String(window))}, QStringLiteral("1"),
              {1.6, window[1] == 'm' && window[0] == '1' ? 0.9 : 0.4, 0.05, 0, 8});
  }
  for (const char* device : {"nvme0n1", "sda"}) {
    for (const char* direction : {"read", "write"}) {
      const double base = direction[0] == 'r' ? 3e6 : 11e6;
      addSeries(QStringLiteral("system.disk.throughput"),
                {on, label("device", QLatin1String(device)), label("direction", QLatin1String(direction))}, rate,
                {base, base * 0.8, base * 0.4, 0, 5e8});
    }
  }
  for (const char* direction : {"receive", "transmit"}) {
    const double base = direction[0] == 'r' ? 28e6 : 9e6;
    addSeries(QStringLiteral("system.network.throughput"),
              {on, label("device", QStringLiteral("eth0")), label("direction", QLatin1String(direction))}, rate,
              {base, base * 0.5, base * 0.2, 0, 1e9});
  }
  for (const char* resource : {"cpu", "io", "memory"}) {
    addSeries(QStringLiteral("system.pressure"),
              {on, label("resource", QLatin1String(resource)), label("kind", QStringLiteral("some"))}, percent,
              {resource[0] == 'c' ? 6.0 : 2.0, 3, 0.6, 0, 100});
  }
  const char* const processes[] = {"postgres", "pulseboardd", "nginx",   "node",    "chrome",
                                   "kworker",  "ssh",         "systemd", "dockerd", "python3"};
  for (int i = 0; i < 10; ++i) {
    const QVector<LabelItem> labels{on, label("process", QLatin1String(processes[i]))};
    addSeries(QStringLiteral("process.cpu.utilization"), labels, percent, {46.0 / (i + 1), 9.0 / (i + 1), 1, 0, 100});
    addSeries(QStringLiteral("process.memory.usage"), labels, bytes,
              {1.9 * gib / (i + 1), 0.1 * gib / (i + 1), 1e6, 0, 8 * gib});
  }
}

double SyntheticSource::valueAt(quint64 series_id, qint64 time) const {
  const Shape& shape = shapes_.at(series_id);
  const qint64 millis = time / kNanosPerMilli;
  const double seconds = static_cast<double>(millis) / 1000.0;
  const double phase = static_cast<double>(series_id) * 1.7;
  const double wave = 0.6 * std::sin(seconds / 97 + phase) + 0.3 * std::sin(seconds / 31 + phase * 2.3) +
                      0.1 * std::sin(seconds / 11 + phase * 0.7);
  const qint64 step = time / step_;
  // A slow walk and a fast jitter look more like machines than white noise does.
  const double walk = 0.5 * noiseAt(series_id, step) + 0.5 * noiseAt(series_id, step / 7);
  return std::clamp(shape.base + shape.swing * wave + shape.noise * walk, shape.min, shape.max);
}

std::vector<quint64> SyntheticSource::select(const QString& selector) const {
  std::vector<quint64> out;
  const absl::StatusOr<Selector> parsed = Selector::Parse(selector.toStdString());
  if (!parsed.ok()) return out;
  for (const SeriesItem& item : catalog_) {
    if (parsed->Matches(keyOf(item))) out.push_back(item.id);
  }
  return out;
}

SeriesSamples SyntheticSource::samplesOf(quint64 series_id, TimeRange range, int max_points) const {
  SeriesSamples out{series_id, {}, {}};
  // Thinning by taking every n-th is good enough for a source of smooth values.
  const qint64 raw = (range.end - range.start) / step_;
  const qint64 stride = max_points > 0 ? std::max<qint64>(1, raw / (max_points * 2)) : 1;
  for (qint64 t = (range.start / step_ + 1) * step_; t <= range.end; t += step_ * stride) {
    if (hole_.Contains(t)) continue;
    out.times.push_back(t);
    out.values.push_back(valueAt(series_id, t));
  }
  return out;
}

void SyntheticSource::setConnection(const ConnectionStatus& status) {
  status_ = status;
  Q_EMIT connectionChanged(status_);
}

void SyntheticSource::failFeeds(const UserError& error) {
  std::vector<FeedId> ids;
  for (const auto& [id, feed] : feeds_) ids.push_back(id);
  feeds_.clear();
  for (const FeedId id : ids) Q_EMIT feedFailed(id, error);
}

FeedId SyntheticSource::openFeed(const FeedSpec& spec) {
  const FeedId id = next_id_++;
  Feed& feed = feeds_[id];
  feed.spec = spec;
  feed.pending.reset = true;
  feed.sent_until = clock_.NowUnixNanos();
  answer(id, &feed, {});
  return id;
}

void SyntheticSource::updateFeed(FeedId id, const FeedSpec& spec) {
  const auto refused = [this](const FeedQuery& query) { return query.selector == refused_; };
  if (std::any_of(spec.queries.begin(), spec.queries.end(), refused)) {
    QTimer::singleShot(0, this, [this, id] { Q_EMIT feedUpdateRefused(id, refusal_); });
    return;
  }
  Feed& feed = feeds_[id];
  const FeedSpec before = std::exchange(feed.spec, spec);
  std::move(feed.pending.redefinitions.begin(), feed.pending.redefinitions.end(),
            std::back_inserter(feed.pending.definitions));
  feed.pending.redefinitions.clear();
  feed.pending.updated = true;
  answer(id, &feed, before);
}

void SyntheticSource::answer(FeedId id, Feed* feed, const FeedSpec& before) {
  opened_.push_back(feed->spec);
  const bool all = before.backfill_seconds != feed->spec.backfill_seconds || before.max_points != feed->spec.max_points;
  feed->series.clear();
  std::set<quint64> fresh;
  for (const FeedQuery& query : feed->spec.queries) {
    for (const quint64 series : select(query.selector)) {
      feed->series[series] << query.id;
      if (all || !before.queries.contains(query)) fresh.insert(series);
    }
  }
  FeedBatch& pending = feed->pending;
  for (const auto& [series, queries] : feed->series) {
    const auto item =
        std::find_if(catalog_.begin(), catalog_.end(), [&](const SeriesItem& s) { return s.id == series; });
    (pending.updated ? pending.redefinitions : pending.definitions).push_back({*item, queries});
    if (!fresh.contains(series)) continue;
    backfilled_.push_back(series);
    const qint64 start = std::max(feed->sent_until - feed->spec.backfill_seconds * kNanosPerSecond, born_);
    pending.backfill.push_back(samplesOf(series, {start, feed->sent_until}, feed->spec.max_points));
  }
  pending.backfill_done = true;
  if (!hold_) QTimer::singleShot(0, this, [this, id] { Q_EMIT feedReady(id); });
}

void SyntheticSource::refuse(const QString& selector, const UserError& error) {
  refused_ = selector;
  refusal_ = error;
}

void SyntheticSource::pushEvent(const EventItem& event) {
  events_.push_back(event);
  for (auto& [id, feed] : feeds_) {
    feed.pending.events.push_back(event);
    if (!hold_) Q_EMIT feedReady(id);
  }
}

RequestId SyntheticSource::requestEvents(qint64 start_unix_nanos, qint64 end_unix_nanos) {
  const RequestId id = next_id_++;
  requests_.insert(id);
  QTimer::singleShot(0, this, [this, id, start_unix_nanos, end_unix_nanos] {
    if (hold_ || requests_.erase(id) == 0) return;
    EventHistory history;
    for (const EventItem& event : events_) {
      if (event.time < start_unix_nanos || (end_unix_nanos != 0 && event.time >= end_unix_nanos)) continue;
      history.events.push_back(event);
    }
    Q_EMIT eventsReady(id, history);
  });
  return id;
}

void SyntheticSource::push() {
  const qint64 now = clock_.NowUnixNanos();
  std::vector<FeedId> ready;
  quint64 points = 0;
  for (auto& [id, feed] : feeds_) {
    for (const auto& [series, queries] : feed.series) {
      SeriesSamples samples = samplesOf(series, {feed.sent_until, now}, 0);
      points += samples.times.size();
      if (!samples.times.empty()) feed.pending.samples.push_back(std::move(samples));
    }
    feed.sent_until = now;
    ready.push_back(id);
  }
  latency_.points_per_second = static_cast<double>(points);
  if (hold_) return;
  for (const FeedId id : ready) Q_EMIT feedReady(id);
}

void SyntheticSource::closeFeed(FeedId feed) { feeds_.erase(feed); }

FeedBatch SyntheticSource::drain(FeedId feed) {
  const auto found = feeds_.find(feed);
  return found == feeds_.end() || hold_ ? FeedBatch() : std::exchange(found->second.pending, FeedBatch());
}

RequestId SyntheticSource::requestHistory(const QString& selector, qint64 start_unix_nanos, qint64 end_unix_nanos,
                                          int max_points) {
  const RequestId id = next_id_++;
  requests_.insert(id);
  QTimer::singleShot(0, this, [this, id, selector, start_unix_nanos, end_unix_nanos, max_points] {
    if (hold_ || requests_.erase(id) == 0) return;
    HistoryResult result;
    for (const quint64 series : select(selector)) {
      const auto item =
          std::find_if(catalog_.begin(), catalog_.end(), [&](const SeriesItem& s) { return s.id == series; });
      result.definitions.push_back({*item, {}});
      result.samples.push_back(samplesOf(series, {start_unix_nanos, end_unix_nanos}, max_points));
    }
    Q_EMIT historyReady(id, result);
  });
  return id;
}

void SyntheticSource::cancelRequest(RequestId request) { requests_.erase(request); }

void SyntheticSource::login(const Credentials&) { Q_EMIT loggedIn(); }
void SyntheticSource::resumeSession(const QString&) { Q_EMIT loggedIn(); }
void SyntheticSource::answerCertificate(bool) {}
void SyntheticSource::probeServer(const QString&) {}
void SyntheticSource::logout() { feeds_.clear(); }

}  // namespace pulseboard::qt

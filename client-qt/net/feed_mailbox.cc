#include "client-qt/net/feed_mailbox.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

namespace pulseboard::qt {

SeriesItem toItem(const SeriesInfo& series) {
  SeriesItem item;
  item.id = series.id;
  item.metric = QString::fromStdString(series.key.metric);
  for (const Label& label : series.key.labels) {
    item.labels.push_back({QString::fromStdString(label.name), QString::fromStdString(label.value)});
  }
  item.kind = series.metadata.kind == MetricKind::kCounter ? SeriesKind::Counter : SeriesKind::Gauge;
  item.unit = QString::fromStdString(series.metadata.unit);
  item.description = QString::fromStdString(series.metadata.description);
  return item;
}

EventItem toItem(const client::Occurrence& occurrence) {
  EventItem item;
  item.id = occurrence.event_id;
  item.time = occurrence.time_unix_nanos;
  item.severity = static_cast<EventSeverity>(occurrence.severity);
  item.source = QString::fromStdString(occurrence.source);
  for (const Label& label : occurrence.labels) {
    item.labels.push_back({QString::fromStdString(label.name), QString::fromStdString(label.value)});
  }
  item.text = QString::fromStdString(occurrence.text);
  return item;
}

void FeedMailbox::addLocked(client::SeriesSamples&& in, bool amended, std::vector<SeriesSamples>* out,
                            std::unordered_map<quint64, size_t>* newest) {
  if (in.samples.empty()) return;
  std::erase(batch_.stale, in.series);  // it is back before the screen knew it had stopped
  samples_ += in.samples.size();
  const auto known = newest->find(in.series);
  // Late data begins a new entry: within one, times ascend.
  if (known != newest->end() && (*out)[known->second].amended == amended &&
      (*out)[known->second].times.back() < in.samples.times.front()) {
    SeriesSamples& entry = (*out)[known->second];
    entry.times.insert(entry.times.end(), in.samples.times.begin(), in.samples.times.end());
    entry.values.insert(entry.values.end(), in.samples.values.begin(), in.samples.values.end());
    return;
  }
  (*newest)[in.series] = out->size();
  SeriesSamples entry;
  entry.series_id = in.series;
  entry.times.assign(in.samples.times.begin(), in.samples.times.end());
  entry.values = std::move(in.samples.values);
  entry.amended = amended;
  out->push_back(std::move(entry));
}

void FeedMailbox::resetLocked() {
  batch_ = {};
  batch_.reset = true;
  samples_ = 0;
  newest_backfill_.clear();
  newest_samples_.clear();
  definitions_.clear();
}

void FeedMailbox::defineLocked(const client::DefinitionsEvent& event) {
  std::vector<FeedBatch::Definition>& all = batch_.updated ? batch_.redefinitions : batch_.definitions;
  for (const auto& definition : event.definitions) {
    FeedBatch::Definition out{toItem(definition.series), {}};
    for (const std::string& id : definition.query_ids) out.query_ids << QString::fromStdString(id);
    // Sent again after each reconnect: one per series is enough.
    const auto [at, is_new] = definitions_.try_emplace(definition.series.id, all.size());
    if (is_new) {
      all.push_back(std::move(out));
    } else {
      all[at->second] = std::move(out);
    }
  }
}

FeedMailbox::PutResult FeedMailbox::put(client::SubscriberEvent event) {
  MutexLock lock(&mu_);
  const bool was_empty = batch_.empty();
  // What is restated goes back to the beginning of the window at least.
  if (std::holds_alternative<client::ResetEvent>(event) || std::holds_alternative<client::RestatedEvent>(event)) {
    resetLocked();
  } else if (const auto* updated = std::get_if<client::UpdatedEvent>(&event)) {
    if (updated->status.ok()) {
      // Samples of series first defined before it are not to be lost, so those definitions stay.
      std::move(batch_.redefinitions.begin(), batch_.redefinitions.end(), std::back_inserter(batch_.definitions));
      batch_.redefinitions.clear();
      definitions_.clear();
      batch_.updated = true;
      batch_.backfill_done = false;  // that of the new queries counts
    }
  } else if (const auto* definitions = std::get_if<client::DefinitionsEvent>(&event)) {
    defineLocked(*definitions);
  } else if (auto* backfill = std::get_if<client::BackfillEvent>(&event)) {
    for (client::SeriesSamples& series : backfill->series)
      addLocked(std::move(series), false, &batch_.backfill, &newest_backfill_);
  } else if (std::holds_alternative<client::BackfillDoneEvent>(event)) {
    batch_.backfill_done = true;
  } else if (auto* samples = std::get_if<client::SamplesEvent>(&event)) {
    for (client::SeriesSamples& series : samples->series)
      addLocked(std::move(series), false, &batch_.samples, &newest_samples_);
  } else if (auto* amends = std::get_if<client::AmendsEvent>(&event)) {
    for (client::SeriesSamples& series : amends->series)
      addLocked(std::move(series), true, &batch_.samples, &newest_samples_);
  } else if (const auto* gap = std::get_if<client::GapEvent>(&event)) {
    batch_.gaps.push_back({gap->start_unix_nanos, gap->end_unix_nanos, gap->dropped_samples});
  } else if (const auto* stale = std::get_if<client::StaleEvent>(&event)) {
    for (const SeriesId id : stale->series) {
      if (std::find(batch_.stale.begin(), batch_.stale.end(), id) == batch_.stale.end()) batch_.stale.push_back(id);
    }
  }
  if (const auto* occurrences = std::get_if<client::OccurrencesEvent>(&event)) {
    for (const client::Occurrence& occurrence : occurrences->occurrences) batch_.events.push_back(toItem(occurrence));
    samples_ += occurrences->occurrences.size() * kEventSamples;
  }
  full_ = full_ || samples_ >= limits_.max_samples;
  return {was_empty && !batch_.empty(), full_};
}

FeedMailbox::TakeResult FeedMailbox::take() {
  TakeResult out;
  MutexLock lock(&mu_);
  std::swap(out.batch, batch_);
  out.was_full = std::exchange(full_, false);
  samples_ = 0;
  newest_backfill_.clear();
  newest_samples_.clear();
  definitions_.clear();
  return out;
}

}  // namespace pulseboard::qt

#include "client-qt/model/event_log.h"

#include <algorithm>

namespace pulseboard::qt {
namespace {

bool isBefore(const EventItem& a, const EventItem& b) { return a.time != b.time ? a.time < b.time : a.id < b.id; }

}  // namespace

bool EventLog::add(const std::vector<EventItem>& events) {
  bool changed = false;
  for (const EventItem& event : events) {
    // Mostly the newest: then this is the end.
    const auto at = std::lower_bound(events_.begin(), events_.end(), event, isBefore);
    if (at != events_.end() && at->id == event.id) continue;
    events_.insert(at, event);
    changed = true;
  }
  if (events_.size() > max_events_) {
    events_.erase(events_.begin(), events_.end() - static_cast<std::ptrdiff_t>(max_events_));
  }
  return changed;
}

void EventLog::trim(qint64 oldest_unix_nanos) {
  EventItem oldest;
  oldest.time = oldest_unix_nanos;
  events_.erase(events_.begin(), std::lower_bound(events_.begin(), events_.end(), oldest, isBefore));
}

QVector<EventMark> EventLog::marks(TimeRange range, qint64 apart) const {
  QVector<EventMark> out;
  EventMark mark;
  const auto finish = [&] {
    if (mark.count > 0 && mark.time >= range.start) out.push_back(mark);
  };
  // From the very first event on, so that the marks are the same for every range.
  for (size_t i = 0; i < events_.size() && events_[i].time < range.end; ++i) {
    const EventItem& event = events_[i];
    if (mark.count > 0 && event.time - mark.time < apart) {
      ++mark.count;
      mark.severity = std::max(mark.severity, event.severity);
      continue;
    }
    finish();
    mark = {event.time, 1, event.severity};
  }
  finish();
  return out;
}

std::vector<const EventItem*> EventLog::eventsOf(const EventMark& mark) const {
  EventItem from;
  from.time = mark.time;
  std::vector<const EventItem*> out;
  for (auto at = std::lower_bound(events_.begin(), events_.end(), from, isBefore);
       at != events_.end() && out.size() < static_cast<size_t>(mark.count); ++at) {
    out.push_back(&*at);
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const EventItem* a, const EventItem* b) { return a->severity > b->severity; });
  return out;
}

QString severityWord(EventSeverity severity) {
  switch (severity) {
    case EventSeverity::Debug:
      return QStringLiteral("debug");
    case EventSeverity::Info:
      return QStringLiteral("info");
    case EventSeverity::Warning:
      return QStringLiteral("warning");
    case EventSeverity::Error:
      return QStringLiteral("error");
    case EventSeverity::Critical:
      return QStringLiteral("critical");
  }
  return {};
}

}  // namespace pulseboard::qt

// EventLog: the events that the charts of a window mark: bounded, in order of time, each once; and the marks they make
// at a given scale. A plain class of the GUI thread, shared by all charts of a window.
#pragma once

#include <QVector>
#include <cstddef>
#include <vector>

#include "client-qt/model/types.h"
#include "common/model/samples.h"

namespace pulseboard::qt {

// One mark: an event, or several too close to each other to be told apart.
struct EventMark {
  qint64 time = 0;  // of the first one
  int count = 0;
  EventSeverity severity = EventSeverity::Info;  // of the worst one
};

class EventLog {
 public:
  static constexpr size_t kMaxEvents = 10'000;

  explicit EventLog(size_t max_events = kMaxEvents) : max_events_(max_events) {}

  // Takes events in any order; one that is there already (by id) is left out. Beyond the limit the oldest go. True when
  // something changed.
  bool add(const std::vector<EventItem>& events);
  // Forgets events before `oldest`.
  void trim(qint64 oldest_unix_nanos);
  void clear() { events_.clear(); }

  // Ascending by time, then by id.
  const std::vector<EventItem>& events() const { return events_; }
  // Marks of [range), ascending: events closer than `apart` nanoseconds to the first one of a mark are part of it. So
  // there are at most (length of the range / apart) + 1 marks, however many events there are. Which events are put
  // together does not depend on where the range begins: marks do not change while they scroll.
  QVector<EventMark> marks(TimeRange range, qint64 apart) const;
  // The events of a mark that are still here, the worst first, then by time. Good until the log changes.
  std::vector<const EventItem*> eventsOf(const EventMark& mark) const;

 private:
  size_t max_events_;
  std::vector<EventItem> events_;
};

// "warning"
QString severityWord(EventSeverity severity);

}  // namespace pulseboard::qt

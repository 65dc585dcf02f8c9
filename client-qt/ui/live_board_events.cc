// LiveBoard's events: of the past by a list, new ones by the feed.
#include "client-qt/ui/live_board.h"
#include "client-qt/ui/panel_view.h"

namespace pulseboard::qt {

void LiveBoard::requestEvents() {
  if (events_request_ != 0) source_.cancelRequest(events_request_);
  fresh_events_.clear();
  const bool fixed = window_.mode() == TimeWindow::Mode::Custom;
  const qint64 now = clock_.NowUnixNanos();
  const TimeRange range = fixed ? window_.at(now) : TimeRange{now - backfill_seconds_ * kNanosPerSecond, 0};
  events_request_ = source_.requestEvents(range.start, range.end);
}

// What came by the feed since the list was asked for may not be in it.
void LiveBoard::onEventsReady(RequestId request, const EventHistory& history) {
  if (request != events_request_) return;
  events_request_ = 0;
  events_.clear();
  events_.add(history.events);
  events_.add(fresh_events_.events());
  fresh_events_.clear();
  events_note_ = history.least == EventSeverity::Info
                     ? QString()
                     : QStringLiteral("Too many to show: only %1 and worse").arg(severityWord(history.least));
  noteEvents();
  refreshPanels();
  Q_EMIT eventsNoteChanged();
}

void LiveBoard::noteEvents() {
  if (!events_shown_) return;
  for (PanelView* panel : panels_) {
    if (panel != nullptr) panel->noteEvents();
  }
}

void LiveBoard::setEventsShown(bool shown) {
  if (shown == events_shown_) return;
  events_shown_ = shown;
  for (PanelView* panel : panels_) {
    if (panel != nullptr) panel->setEvents(shown ? &events_ : nullptr);
  }
}

}  // namespace pulseboard::qt

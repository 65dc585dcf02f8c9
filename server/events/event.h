// Event: something that happened at a time, as text. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/model/labels.h"
#include "common/model/samples.h"
#include "common/model/selector.h"

namespace pulseboard {

// Persisted: never renumber. Numbers equal pulseboard.v1.EventSeverity.
enum class EventSeverity : uint8_t {
  kUnspecified = 0,
  kDebug = 1,
  kInfo = 2,
  kWarning = 3,
  kError = 4,
  kCritical = 5,
};

inline constexpr size_t kMaxEventTextBytes = 8'192;
inline constexpr size_t kMaxEventLabels = 64;
inline constexpr size_t kMaxEventsPerPush = 1'000;
inline constexpr size_t kMaxRequestIdBytes = 128;
inline constexpr size_t kMaxTextFilterBytes = 1'024;

struct Event {
  int64_t id = 0;  // in order of arrival; 0: not kept yet
  int64_t time_unix_nanos = 0;
  int64_t received_unix_nanos = 0;
  EventSeverity severity = EventSeverity::kInfo;
  std::string source;  // spelled like a metric
  Labels labels;
  std::string text;

  size_t bytes() const;  // about, in memory or in a message
  bool operator==(const Event&) const = default;
};

// Source, labels, severity and text; `field` names the event in errors. BAD_FIELD.
absl::Status ValidateEvent(const std::string& field, const Event& event);

// Which events. Immutable once parsed.
struct EventFilter {
  Selector selector;  // the source stands for the metric
  EventSeverity min_severity = EventSeverity::kUnspecified;
  std::string text_contains;  // lower case

  // BAD_SELECTOR, BAD_FIELD. An empty selector: all.
  static absl::StatusOr<EventFilter> Parse(const std::string& selector, EventSeverity min_severity,
                                           const std::string& text_contains);
  bool Matches(const Event& event) const;
};

// FORMAT.md. The id and the time are in the row's key.
std::string EncodeEvent(const Event& event);
// False when the bytes are no event.
bool DecodeEvent(std::string_view bytes, Event* event);

}  // namespace pulseboard

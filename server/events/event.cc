#include "server/events/event.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/codec/bytes.h"
#include "common/model/names.h"

namespace pulseboard {
namespace {

constexpr char kVersion = 1;

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string ToLower(std::string text) {
  for (char& c : text) c = ToLower(c);
  return text;
}

bool IsSeverity(uint64_t number) { return number <= static_cast<uint64_t>(EventSeverity::kCritical); }

}  // namespace

size_t Event::bytes() const {
  size_t bytes = 64 + source.size() + text.size();
  for (const Label& label : labels) bytes += 16 + label.name.size() + label.value.size();
  return bytes;
}

absl::Status ValidateEvent(const std::string& field, const Event& event) {
  PB_RETURN_IF_ERROR(ValidateMetricName(field + ".source", event.source));
  if (!IsSeverity(static_cast<uint64_t>(event.severity))) {
    return BadField(field + ".severity", std::to_string(static_cast<int>(event.severity)), "DEBUG to CRITICAL");
  }
  if (event.labels.size() > kMaxEventLabels) {
    return BadField(field + ".labels", std::to_string(event.labels.size()) + " labels",
                    "at most " + std::to_string(kMaxEventLabels));
  }
  for (const Label& label : event.labels) {
    PB_RETURN_IF_ERROR(ValidateLabelName(field + ".labels", label.name));
    PB_RETURN_IF_ERROR(ValidateLabelValue(field + ".labels", label.value));
  }
  const bool has_nul = event.text.find('\0') != std::string::npos;
  if (event.text.empty() || event.text.size() > kMaxEventTextBytes || has_nul || !IsValidUtf8(event.text)) {
    return BadField(field + ".text", event.text,
                    "1 to " + std::to_string(kMaxEventTextBytes) + " bytes of UTF-8 without NUL");
  }
  return absl::OkStatus();
}

absl::StatusOr<EventFilter> EventFilter::Parse(const std::string& selector, EventSeverity min_severity,
                                               const std::string& text_contains) {
  EventFilter filter;
  if (!selector.empty()) {
    PB_ASSIGN_OR_RETURN(filter.selector, Selector::Parse(selector));
  }
  if (!IsSeverity(static_cast<uint64_t>(min_severity))) {
    return BadField("filter.min_severity", std::to_string(static_cast<int>(min_severity)), "DEBUG to CRITICAL");
  }
  if (text_contains.size() > kMaxTextFilterBytes) {
    return BadField("filter.text_contains", text_contains, "at most " + std::to_string(kMaxTextFilterBytes) + " bytes");
  }
  filter.min_severity = min_severity;
  filter.text_contains = ToLower(text_contains);
  return filter;
}

bool EventFilter::Matches(const Event& event) const {
  if (event.severity < min_severity) return false;
  if (!selector.matchers().empty() && !selector.Matches({event.source, event.labels})) return false;
  if (text_contains.empty()) return true;
  const auto equal = [](char text, char wanted) { return ToLower(text) == wanted; };
  return std::search(event.text.begin(), event.text.end(), text_contains.begin(), text_contains.end(), equal) !=
         event.text.end();
}

std::string EncodeEvent(const Event& event) {
  std::string out(1, kVersion);
  PutZigZag(&out, event.received_unix_nanos);
  out.push_back(static_cast<char>(event.severity));
  PutLengthPrefixed(&out, event.source);
  PutVarint(&out, event.labels.size());
  for (const Label& label : event.labels) {
    PutLengthPrefixed(&out, label.name);
    PutLengthPrefixed(&out, label.value);
  }
  PutLengthPrefixed(&out, event.text);
  return out;
}

bool DecodeEvent(std::string_view bytes, Event* event) {
  ByteReader in(bytes);
  const auto text = [&in] { return std::string(in.Bytes(in.Varint())); };
  if (in.Fixed<char>() != kVersion) return false;
  event->received_unix_nanos = in.ZigZag();
  const auto severity = in.Fixed<uint8_t>();
  event->severity = static_cast<EventSeverity>(severity);
  event->source = text();
  const uint64_t count = in.Varint();
  if (!in.ok() || !IsSeverity(severity) || count > kMaxEventLabels) return false;
  std::vector<Label> labels(count);
  for (Label& label : labels) {
    label.name = text();
    label.value = text();
  }
  event->labels = Labels(std::move(labels));
  event->text = text();
  return in.ok() && in.remaining() == 0;
}

}  // namespace pulseboard

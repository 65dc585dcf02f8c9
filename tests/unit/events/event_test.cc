#include "server/events/event.h"

#include <gtest/gtest.h>

#include <functional>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

Event Sample() {
  Event event;
  event.received_unix_nanos = 1'800'000'000'000'000'123;
  event.severity = EventSeverity::kError;
  event.source = "deploy";
  event.labels = Labels{{"service", "api"}, {"host", "h1"}};
  event.text = "Rolled out 1.2.3 \xC3\xA4";
  return event;
}

TEST(Event, ComesBackFromItsBytes) {
  Event read;
  ASSERT_TRUE(DecodeEvent(EncodeEvent(Sample()), &read));
  EXPECT_EQ(read, Sample());
}

TEST(Event, IsNotReadFromDamagedBytes) {
  const std::string bytes = EncodeEvent(Sample());
  Event read;
  for (size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(DecodeEvent(bytes.substr(0, cut), &read)) << cut;
  EXPECT_FALSE(DecodeEvent(bytes + "x", &read));
  EXPECT_FALSE(DecodeEvent("\x02" + bytes.substr(1), &read)) << "of a newer version";
}

TEST(Event, HasTheBytesOfItsFormat) {
  Event event;
  event.received_unix_nanos = 1;
  event.severity = EventSeverity::kWarning;
  event.source = "s";
  event.labels = Labels{{"a", "b"}};
  event.text = "t";
  EXPECT_EQ(EncodeEvent(event), std::string("\x01\x02\x03\x01s\x01\x01"
                                            "a\x01"
                                            "b\x01t",
                                            12));
}

TEST(Event, NamesTheFieldThatDoesNotFit) {
  const auto field = [](const std::function<void(Event*)>& change) {
    Event event = Sample();
    change(&event);
    const auto detail = GetErrorDetail(ValidateEvent("events[3]", event));
    return detail ? detail->field_violations.front().field : "";
  };
  EXPECT_EQ(field([](Event*) {}), "");
  EXPECT_EQ(field([](Event* e) { e->source = ""; }), "events[3].source");
  EXPECT_EQ(field([](Event* e) { e->text = ""; }), "events[3].text");
  EXPECT_EQ(field([](Event* e) { e->text = std::string(kMaxEventTextBytes + 1, 'x'); }), "events[3].text");
  EXPECT_EQ(field([](Event* e) { e->text = "\xff"; }), "events[3].text");
  EXPECT_EQ(field([](Event* e) { e->severity = static_cast<EventSeverity>(6); }), "events[3].severity");
  EXPECT_EQ(field([](Event* e) { e->labels = Labels{{"__bad", "x"}}; }), "events[3].labels");
}

TEST(EventFilter, TakesSourceLabelsSeverityAndText) {
  const auto matches = [](const std::string& selector, EventSeverity least, const std::string& text) {
    return EventFilter::Parse(selector, least, text)->Matches(Sample());
  };
  EXPECT_TRUE(matches("", EventSeverity::kUnspecified, ""));
  EXPECT_TRUE(matches("deploy{service=~\"a.*\"}", EventSeverity::kError, "ROLLED out"));
  EXPECT_TRUE(matches("{host!=\"h2\",service=\"api\"}", EventSeverity::kDebug, ""));
  EXPECT_FALSE(matches("syslog", EventSeverity::kUnspecified, ""));
  EXPECT_FALSE(matches("", EventSeverity::kCritical, ""));
  EXPECT_FALSE(matches("", EventSeverity::kUnspecified, "rolled back"));
  EXPECT_TRUE(HasReason(EventFilter::Parse("{", {}, "").status(), ErrorReason::kBadSelector));
}

}  // namespace
}  // namespace pulseboard

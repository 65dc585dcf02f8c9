#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/model/labels.h"
#include "common/model/names.h"
#include "common/model/samples.h"
#include "common/model/selector.h"

namespace pulseboard {
namespace {

using ::testing::HasSubstr;

TEST(Labels, SortDropEmptyAndKeepTheLastOfEqualNames) {
  const Labels labels({{"b", "1"}, {"a", "2"}, {"b", "3"}, {"c", ""}});
  ASSERT_EQ(labels.size(), 2u);
  EXPECT_EQ(labels.Get("a"), "2");
  EXPECT_EQ(labels.Get("b"), "3");
  EXPECT_EQ(labels.Get("c"), "");
  EXPECT_EQ(labels.Get(""), "");
  EXPECT_EQ(labels, Labels({{"a", "2"}, {"b", "3"}}));
  EXPECT_TRUE(Labels({{"a", "1"}, {"a", ""}}).empty());
}

TEST(SeriesKey, EncodesUnambiguously) {
  const std::vector<SeriesKey> keys = {{"m", {}},
                                       {"m", {{"a", "b"}}},
                                       {"m", {{"ab", ""}}},
                                       {"m", {{"a", "bc"}}},
                                       {"m", {{"ab", "c"}}},
                                       {"ma", {{"b", "c"}}},
                                       {"m", {{"a", "b"}, {"c", "d"}}},
                                       {"", {}},
                                       {"m", {{"a", std::string("\0\n\"", 3)}}}};
  std::set<std::string> seen;
  std::set<std::string> distinct;
  for (const SeriesKey& key : keys) {
    const std::string bytes = key.Encode();
    seen.insert(bytes);
    distinct.insert(key.Format());
    SeriesKey back;
    ASSERT_TRUE(SeriesKey::Decode(bytes, &back));
    EXPECT_EQ(back, key);
    for (size_t size = 0; size < bytes.size(); ++size) {
      SeriesKey cut;
      if (SeriesKey::Decode(std::string_view(bytes).substr(0, size), &cut)) {
        EXPECT_NE(cut, key);
      }
    }
  }
  EXPECT_EQ(seen.size(), distinct.size());
}

TEST(SeriesKey, FormatReadsBackAsASelector) {
  const SeriesKey key{"disk.io", {{"path", "C:\\a\"b\nc"}, {"device", "sda"}}};
  const auto selector = Selector::Parse(key.Format());
  ASSERT_TRUE(selector.ok()) << selector.status();
  EXPECT_TRUE(selector->Matches(key));
  EXPECT_FALSE(selector->Matches({"disk.io", {{"path", "C:"}, {"device", "sda"}}}));
  EXPECT_EQ(key.Get(kMetricNameLabel), "disk.io");
}

TEST(Names, TableOfMetricNames) {
  const std::string longest(kMaxMetricNameBytes, 'a');
  for (const std::string& good :
       {std::string("a"), std::string("system.cpu/util-1:x_Y"), std::string("_x"), std::string(":x"), longest}) {
    EXPECT_TRUE(ValidateMetricName("metric", good).ok()) << good;
  }
  for (const std::string& bad :
       {std::string(), longest + "a", std::string("1a"), std::string(".a"), std::string("a b"), std::string("a\n"),
        std::string("__name__"), std::string("ä"), std::string("a\0b", 3), std::string("a{b}")}) {
    const absl::Status status = ValidateMetricName("samples[3].metric", bad);
    EXPECT_TRUE(HasReason(status, ErrorReason::kBadField)) << Printable(bad);
    EXPECT_EQ(GetErrorDetail(status)->field_violations[0].field, "samples[3].metric");
  }
}

TEST(Names, EveryOddByteIsRefusedInALabelName) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string name = std::string("a") + static_cast<char>(byte);
    const bool good = std::isalnum(byte) != 0 || byte == '_' || byte == '.' || byte == '-' || byte == '/';
    EXPECT_EQ(ValidateLabelName("label", name).ok(), good) << byte;
  }
  EXPECT_FALSE(ValidateLabelName("label", "__reserved").ok());
  EXPECT_FALSE(ValidateLabelName("label", "").ok());
}

TEST(Names, LabelValuesAreShortUtf8WithoutNul) {
  EXPECT_TRUE(ValidateLabelValue("v", "").ok());
  EXPECT_TRUE(ValidateLabelValue("v", "größe 测量 \xf0\x9f\x93\x88\n").ok());
  EXPECT_TRUE(ValidateLabelValue("v", std::string(kMaxLabelValueBytes, 'x')).ok());
  EXPECT_FALSE(ValidateLabelValue("v", std::string(kMaxLabelValueBytes + 1, 'x')).ok());
  EXPECT_FALSE(ValidateLabelValue("v", std::string("a\0", 2)).ok());
}

TEST(Utf8, RefusesWhatIsNotWellFormed) {
  for (const char* bad : {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                          "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "a\xff", "\xe2\x82"}) {
    EXPECT_FALSE(IsValidUtf8(bad)) << Printable(bad);
  }
  for (const char* good :
       {"", "a", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsValidUtf8(good)) << Printable(good);
  }
}

TEST(Selector, ParsesEverySpelling) {
  const SeriesKey key{"cpu.util", {{"host", "web-1"}, {"mode", "user"}}};
  for (const char* text :
       {"cpu.util", " cpu.util ", "cpu.util{}", "{__name__=\"cpu.util\"}", "cpu.util{host=\"web-1\"}",
        "cpu.util{host='web-1', mode!=\"idle\",}", "{host=~\"web-.*\",mode!~\"i.*\"}", "cpu.util{nolabel=\"\"}",
        "{ host = \"web-1\" , mode =~ \"user|idle\" }"}) {
    const auto selector = Selector::Parse(text);
    ASSERT_TRUE(selector.ok()) << text << " " << selector.status();
    EXPECT_TRUE(selector->Matches(key)) << text;
    const auto again = Selector::Parse(selector->Format());
    ASSERT_TRUE(again.ok()) << selector->Format();
    EXPECT_EQ(again->Format(), selector->Format());
  }
  for (const char* text : {"cpu", "cpu.util{host=\"web\"}", "cpu.util{host=~\"web\"}",
                           "{mode!~\"us.*\",host=\"web-1\"}", "cpu.util{nolabel!=\"\"}", "cpu.util{nolabel=~\".+\"}"}) {
    const auto selector = Selector::Parse(text);
    ASSERT_TRUE(selector.ok()) << text << " " << selector.status();
    EXPECT_FALSE(selector->Matches(key)) << text;
  }
}

TEST(Selector, AnErrorNamesItsColumn) {
  const struct {
    const char* text;
    const char* column;
  } cases[] = {{"cpu{", "5"},
               {"cpu{host}", "9"},
               {"cpu{host=}", "10"},
               {"cpu{host=\"a}", "13"},
               {"cpu{host=\"a\"", "13"},
               {"cpu x", "5"},
               {"9cpu", "1"},
               {"cpu{host=~\"(\"}", "11"},
               {"{host=\"a\\q\"}", "10"},
               {"cpu{host==\"a\"}", "10"},
               {"cpu{,}", "5"}};
  for (const auto& c : cases) {
    const absl::Status status = Selector::Parse(c.text).status();
    ASSERT_TRUE(HasReason(status, ErrorReason::kBadSelector)) << c.text;
    EXPECT_EQ(GetErrorDetail(status)->metadata.at("column"), c.column) << c.text << " " << status;
  }
}

TEST(Selector, RefusesWhatWouldPickEverythingByAccident) {
  for (const char* text : {"", "{}", "{host=\"\"}", "{host!=\"a\"}", "{host=~\".*\"}", "{host!~\"a\"}"}) {
    EXPECT_TRUE(HasReason(Selector::Parse(text).status(), ErrorReason::kBadSelector)) << text;
  }
  EXPECT_TRUE(Selector().Matches({"anything", {}}));
}

TEST(Selector, HasBounds) {
  EXPECT_FALSE(Selector::Parse(std::string(kMaxSelectorBytes + 1, 'a')).ok());
  std::string many = "{a=\"1\"";
  for (size_t i = 0; i < kMaxMatchers; ++i) many += ",b=\"2\"";
  EXPECT_TRUE(HasReason(Selector::Parse(many + "}").status(), ErrorReason::kBadSelector));
  EXPECT_FALSE(Selector::Parse("{a=~\"((a{1000}){1000}){1000}\"}").ok());
}

TEST(Selector, KnowsTheMetricNameWhenItIsFixed) {
  EXPECT_EQ(Selector::Parse("cpu{a=\"b\"}")->MetricName(), "cpu");
  EXPECT_EQ(Selector::Parse("{__name__=~\"cpu\"}")->MetricName(), "");
}

TEST(TimeRange, IsHalfOpen) {
  const TimeRange range{10, 20};
  EXPECT_TRUE(range.Contains(10));
  EXPECT_FALSE(range.Contains(20));
  EXPECT_FALSE(range.Contains(9));
  EXPECT_TRUE((TimeRange{5, 5}).empty());
  EXPECT_FALSE(kAllTime.empty());
}

}  // namespace
}  // namespace pulseboard

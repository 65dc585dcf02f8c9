#include "server/transfer/csv_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "tests/unit/transfer/parsing.h"

namespace pulseboard {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Parsed;
using testing::ParseText;

constexpr SplitterOptions kSplitting{.quotes = true, .strip_return = true, .max_bytes = 1'000};

Parsed ParseCsv(std::string_view text, CsvReadOptions options = {}, size_t piece = 0) {
  auto parser = CsvParser::Make(std::move(options), {});
  if (!parser.ok()) {
    Parsed failed;
    failed.status = parser.status();
    return failed;
  }
  return ParseText(**parser, text, kSplitting, piece);
}

TEST(CsvLong, ReadsSamplesWithTheirLabels) {
  const Parsed parsed = ParseCsv(
      "time,metric,value,host,mode\n"
      "1700000000.5,cpu,1.5,web-1,user\n"
      "2023-11-14T22:13:21Z,cpu,-0,web-1,\n"
      "1700000002,cpu,,web-1,user\n"
      "\n"
      "1700000003,mem,NaN,,\n");
  EXPECT_THAT(parsed.refused, IsEmpty());
  EXPECT_THAT(parsed.samples, ElementsAre("cpu{host=\"web-1\",mode=\"user\"} 1.5 1700000000500000000",
                                          "cpu{host=\"web-1\"} -0 1700000001000000000", "mem NaN 1700000003000000000"));
}

TEST(CsvLong, ReadsDialects) {
  const std::vector<std::string> expected = {"cpu{host=\"a\"} 1 1000000000", "cpu{host=\"b\\nc\"} 2 2000000000"};
  for (const std::string_view text :
       {"time,metric,value,host\n1,cpu,1,a\n2,cpu,2,\"b\nc\"\n",
        "time;metric;value;host\r\n1;cpu;1;a\r\n2;cpu;2;\"b\nc\"",
        "\xef\xbb\xbftime\tmetric\tvalue\thost\n1\tcpu\t1\ta\n2\tcpu\t2\t\"b\nc\"\n",
        "\"time\",\"metric\",\"value\",\"host\"\n\"1\",\"cpu\",\"1\",\"a\"\n\"2\",\"cpu\",\"2\",\"b\nc\"\n",
        "value,host,metric,time\n1,a,cpu, 1 \n 2 ,\"b\nc\",cpu,2\n"}) {
    for (const size_t piece : {0, 1, 2, 7}) EXPECT_EQ(ParseCsv(text, {}, piece).samples, expected) << text;
  }
}

TEST(CsvLong, ReadsQuotedQuotesAndSeparators) {
  EXPECT_THAT(ParseCsv("time,metric,value,l\n1,m,2,\"a\"\"b,c\"\n1,m,2,a\"b\n").samples,
              ElementsAre("m{l=\"a\\\"b,c\"} 2 1000000000", "m{l=\"a\\\"b\"} 2 1000000000"));
}

TEST(CsvLong, TakesTheMeaningOfColumnsFromTheOptions) {
  CsvReadOptions options;
  options.time_column = "when";
  options.value_column = "reading";
  options.metric = "temperature";
  options.columns["Room Name"] = {CsvColumnMeaning::What::kLabel, "room"};
  options.columns["comment"] = {CsvColumnMeaning::What::kIgnored, ""};
  const Parsed parsed = ParseCsv("when,Room Name,reading,comment\n1,kitchen,21.5,\"warm, very\"\n", options);
  EXPECT_THAT(parsed.samples, ElementsAre("temperature{room=\"kitchen\"} 21.5 1000000000"));
}

TEST(CsvLong, TakesTheHeaderFromTheOptions) {
  CsvReadOptions options;
  options.header = "time,metric,value";
  EXPECT_THAT(ParseCsv("1,m,2\n2,m,3\n", options).samples, ElementsAre("m 2 1000000000", "m 3 2000000000"));
}

TEST(CsvLong, RefusesWrongRecordsByReasonAndColumn) {
  const struct {
    std::string record;
    LineReason reason;
    int64_t column;
  } rows[] = {
      {"x,m,1,a", LineReason::kBadTime, 1},
      {"-5,m,1,a", LineReason::kBadTime, 1},
      {"1,m,1.5.5,a", LineReason::kBadValue, 5},
      {"1,m,\"x\",a", LineReason::kBadValue, 5},
      {"1,m,1", LineReason::kBadFieldCount, 0},
      {"1,m,1,a,b", LineReason::kBadFieldCount, 0},
      {"1,1m,1,a", LineReason::kBadMetric, 3},
      {"1,,1,a", LineReason::kBadMetric, 3},
      {"1,m,1,\xff", LineReason::kBadLabels, 3},
      {"1,m,1,\"a\"b", LineReason::kBadQuoting, 10},
      {"1,m,1," + std::string(1'100, 'a'), LineReason::kLineTooLong, 0},
      {"2023-02-29T00:00:00Z,m,1,a", LineReason::kBadTime, 1},
  };
  for (const auto& row : rows) {
    const Parsed parsed = ParseCsv("time,metric,value,l\n1,m,1,good\n" + row.record + "\n1,m,1,good\n");
    EXPECT_EQ(parsed.samples.size(), 2U) << row.record;
    ASSERT_EQ(parsed.refused.size(), 1U) << row.record;
    EXPECT_EQ(parsed.refused[0].reason, row.reason) << row.record << ": " << parsed.refused[0].message;
    EXPECT_EQ(parsed.refused[0].column, row.column) << row.record;
    EXPECT_EQ(parsed.refused[0].line, 3) << row.record;
    EXPECT_EQ(parsed.refused[0].text, row.record.substr(0, 200));
  }
}

TEST(CsvLong, NumbersLinesBehindRecordsOfSeveral) {
  const Parsed parsed = ParseCsv("time,metric,value,l\n1,m,1,\"a\nb\nc\"\nx,m,1,a\n");
  ASSERT_EQ(parsed.refused.size(), 1U);
  EXPECT_EQ(parsed.refused[0].line, 5);
}

TEST(CsvWide, ReadsOneColumnPerSeries) {
  const Parsed parsed = ParseCsv(
      "time,cpu,\"mem{host=\"\"a\"\",kind=\"\"x\"\"}\"\n"
      "1,0.5,2\n"
      "2,,3\n"
      "3,,\n"
      "4, +Inf ,\"7\"\n");
  EXPECT_THAT(parsed.refused, IsEmpty());
  EXPECT_THAT(parsed.samples, ElementsAre("cpu 0.5 1000000000", "mem{host=\"a\",kind=\"x\"} 2 1000000000",
                                          "mem{host=\"a\",kind=\"x\"} 3 2000000000", "cpu +Inf 4000000000",
                                          "mem{host=\"a\",kind=\"x\"} 7 4000000000"));
}

TEST(CsvWide, TakesTheFirstColumnAsTimeAndSeriesFromTheOptions) {
  CsvReadOptions options;
  options.columns["CPU (%)"] = {CsvColumnMeaning::What::kSeries, "cpu{host=\"a\"}"};
  options.columns["note"] = {CsvColumnMeaning::What::kIgnored, ""};
  EXPECT_THAT(ParseCsv("Date;CPU (%);note\n1;2;x\n", options).samples, ElementsAre("cpu{host=\"a\"} 2 1000000000"));
}

TEST(CsvWide, RefusesSamplesNotRecords) {
  const Parsed parsed = ParseCsv("time,a,b\n1,x,2\n2,3,y\nz,1,1\n3,1\n4,1,1,1\n5,5,5\n");
  EXPECT_THAT(parsed.samples, ElementsAre("b 2 1000000000", "a 3 2000000000", "a 5 5000000000", "b 5 5000000000"));
  ASSERT_EQ(parsed.refused.size(), 5U);
  EXPECT_EQ(parsed.refused[0].column, 3);
  EXPECT_EQ(parsed.refused[0].series, "a");
  EXPECT_EQ(parsed.refused[1].column, 5);
  EXPECT_EQ(parsed.refused[1].line, 3);
  EXPECT_EQ(parsed.refused[2].reason, LineReason::kBadTime);
  EXPECT_EQ(parsed.refused[3].reason, LineReason::kBadFieldCount);
  EXPECT_EQ(parsed.refused[4].reason, LineReason::kBadFieldCount);
}

TEST(CsvWide, LeavesOutColumnsThatNameNoSeries) {
  const Parsed parsed = ParseCsv("time,a,Load (1 min)\n1,1,2\n2,2,3\n3,3,\n");
  EXPECT_EQ(parsed.samples.size(), 3U);
  ASSERT_EQ(parsed.refused.size(), 1U) << "told once, in the header";
  EXPECT_EQ(parsed.refused[0].line, 1);
  EXPECT_EQ(parsed.refused[0].column, 8);
  EXPECT_EQ(parsed.counts, (std::map<LineReason, int64_t>{{LineReason::kBadMetric, 3}}));
}

TEST(CsvHeader, IsRefusedWhenItNamesNoTimeOrValue) {
  CsvReadOptions long_form;
  long_form.layout = CsvLayout::kLong;
  EXPECT_TRUE(HasReason(ParseCsv("metric,value\n", long_form).status, ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(ParseCsv("time,metric\n", long_form).status, ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(ParseCsv("").status, ErrorReason::kBadField));
  CsvReadOptions unknown;
  unknown.columns["nope"] = {};
  EXPECT_TRUE(HasReason(ParseCsv("time,a\n", unknown).status, ErrorReason::kBadField));
  unknown = {};
  unknown.time_column = "nope";
  EXPECT_TRUE(HasReason(ParseCsv("time,a\n", unknown).status, ErrorReason::kBadField));
}

TEST(CsvOptions, AreRefusedWhenTheyDoNotFit) {
  CsvReadOptions options;
  options.separator = '|';
  EXPECT_TRUE(HasReason(CsvParser::Make(options, {}).status(), ErrorReason::kBadField));
  options = {};
  options.time_zone = "Mars/Olympus";
  EXPECT_TRUE(HasReason(CsvParser::Make(options, {}).status(), ErrorReason::kBadField));
  options = {};
  options.time_zone = "../../etc/passwd";
  EXPECT_TRUE(HasReason(CsvParser::Make(options, {}).status(), ErrorReason::kBadField));
  options = {};
  options.time = CsvTime::kPattern;
  EXPECT_TRUE(HasReason(CsvParser::Make(options, {}).status(), ErrorReason::kBadField));
}

std::optional<int64_t> ReadTime(std::string_view text, CsvTime format = CsvTime::kUnspecified, std::string pattern = "",
                                std::string zone = "") {
  const auto reader = CsvTimeReader::Make(format, pattern, zone);
  EXPECT_TRUE(reader.ok()) << reader.status();
  return reader.ok() ? reader->Read(text) : std::nullopt;
}

TEST(CsvTime, ReadsEveryFormatExactly) {
  constexpr int64_t kSecond = 1'000'000'000;
  constexpr int64_t kTime = 1'764'000'000 * kSecond;  // 2025-11-24T16:00:00Z
  EXPECT_EQ(ReadTime("2025-11-24T16:00:00Z"), kTime);
  EXPECT_EQ(ReadTime("2025-11-24t17:00:00+01:00"), kTime);
  EXPECT_EQ(ReadTime("2025-11-24 10:30:00-0530"), kTime);
  EXPECT_EQ(ReadTime("2025-11-24T16:00"), kTime);
  EXPECT_EQ(ReadTime("2025-11-24"), kTime - 16 * 3'600 * kSecond);
  EXPECT_EQ(ReadTime("2025-11-24T16:00:00.123456789Z"), kTime + 123'456'789);
  EXPECT_EQ(ReadTime("2025-11-24T16:00:00.1234567895Z"), kTime + 123'456'790);
  EXPECT_EQ(ReadTime("2025-11-24T15:59:59.9999999999Z"), kTime);
  EXPECT_EQ(ReadTime("2016-12-31T23:59:60Z"), ReadTime("2017-01-01T00:00:00Z"));
  EXPECT_EQ(ReadTime("2024-02-29T00:00:00Z"), 1'709'164'800 * kSecond);
  EXPECT_EQ(ReadTime("2025-11-24 17:00:00", CsvTime::kRfc3339, "", "Europe/Berlin"), kTime);
  EXPECT_EQ(ReadTime("2025-07-24 17:00:00", CsvTime::kUnspecified, "", "Europe/Berlin"),
            ReadTime("2025-07-24T15:00:00Z"));
  EXPECT_EQ(ReadTime("1764000000000.5", CsvTime::kUnixMillis), kTime + 500'000);
  EXPECT_EQ(ReadTime("1764000000000000.5", CsvTime::kUnixMicros), kTime + 500);
  EXPECT_EQ(ReadTime("1764000000000000001", CsvTime::kUnixNanos), kTime + 1);
  EXPECT_EQ(ReadTime("24.11.2025 17:00:00.25", CsvTime::kPattern, "%d.%m.%Y %H:%M:%E*S", "Europe/Berlin"),
            kTime + kSecond / 4);
  EXPECT_EQ(ReadTime("11/24/25 16:00 +0000", CsvTime::kPattern, "%m/%d/%y %H:%M %z"), kTime);
}

TEST(CsvTime, RefusesWhatIsNoTime) {
  for (const std::string_view text :
       {"2025-13-01T00:00:00Z", "2025-00-01", "2025-01-32", "2025-01-01T24:00:00Z", "2025-01-01T00:60:00Z",
        "2025-01-01T00:00:61Z", "2025-01-01T00:00:00.Z", "2025-01-01T00:00:00X", "2025-01-01T00:00:00+25:00",
        "2025-01-01T", "1969-12-31T23:59:59Z", "2262-04-12T00:00:00Z", "9999-01-01", "2025-1-1", "", "now"}) {
    EXPECT_EQ(ReadTime(text), std::nullopt) << text;
  }
  EXPECT_EQ(ReadTime("infinite-future", CsvTime::kPattern, "%Y"), std::nullopt);
  EXPECT_EQ(ReadTime("1900", CsvTime::kPattern, "%Y"), std::nullopt);
}

TEST(CsvTime, TakesTheFirstOfATimeThatComesTwice) {
  EXPECT_EQ(ReadTime("2025-10-26 02:30:00", CsvTime::kRfc3339, "", "Europe/Berlin"), ReadTime("2025-10-26T00:30:00Z"));
  EXPECT_EQ(ReadTime("2025-03-30 02:30:00", CsvTime::kRfc3339, "", "Europe/Berlin"), ReadTime("2025-03-30T01:30:00Z"));
}

}  // namespace
}  // namespace pulseboard

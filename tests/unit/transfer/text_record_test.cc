#include "server/transfer/text_record.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace pulseboard {
namespace {

using Fault = TextRecord::Fault;

struct Row {
  std::string text;
  int64_t line;
  int64_t offset;
  int64_t end_offset;
  Fault fault;
  bool operator==(const Row&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Row& row) {
  return out << row.line << " [" << row.offset << "," << row.end_offset << ") '" << row.text << "' "
             << static_cast<int>(row.fault);
}

std::vector<Row> Split(std::string_view text, SplitterOptions options, size_t piece = 1'000'000) {
  RecordSplitter splitter(options);
  std::vector<Row> rows;
  TextRecord record;
  const auto drain = [&] {
    while (splitter.Next(&record)) {
      rows.push_back({std::string(record.text), record.line, record.offset, record.end_offset, record.fault});
    }
  };
  for (size_t at = 0; at < text.size(); at += piece) {
    splitter.Append(text.substr(at, piece));
    drain();
  }
  splitter.Finish();
  drain();
  return rows;
}

// The same whatever the pieces.
std::vector<Row> SplitAnyhow(std::string_view text, SplitterOptions options) {
  const std::vector<Row> whole = Split(text, options);
  for (const size_t piece : {1, 2, 3, 7, 64}) EXPECT_EQ(Split(text, options, piece), whole) << "pieces of " << piece;
  return whole;
}

constexpr SplitterOptions kCsv{.quotes = true, .strip_return = true, .max_bytes = 100};

TEST(RecordSplitter, CutsLinesAndTellsWhereTheyStand) {
  EXPECT_EQ(SplitAnyhow("a\nbc\n\nd", {}), (std::vector<Row>{{"a", 1, 0, 2, Fault::kNone},
                                                             {"bc", 2, 2, 5, Fault::kNone},
                                                             {"", 3, 5, 6, Fault::kNone},
                                                             {"d", 4, 6, 7, Fault::kNone}}));
  EXPECT_EQ(SplitAnyhow("", {}), std::vector<Row>{});
}

TEST(RecordSplitter, TakesOffByteOrderMarkAndReturns) {
  EXPECT_EQ(SplitAnyhow("\xef\xbb\xbf\"a\",b\r\nc\r\n", kCsv),
            (std::vector<Row>{{"\"a\",b", 1, 3, 10, Fault::kNone}, {"c", 2, 10, 13, Fault::kNone}}));
  EXPECT_EQ(SplitAnyhow("a\r\n", {}), (std::vector<Row>{{"a\r", 1, 0, 3, Fault::kNone}}));
}

TEST(RecordSplitter, KeepsLineBreaksInsideQuotedFields) {
  EXPECT_EQ(SplitAnyhow("a,\"b\nc\"\"\n\",d\ne,f\"g\nh", kCsv),
            (std::vector<Row>{{"a,\"b\nc\"\"\n\",d", 1, 0, 13, Fault::kNone},
                              {"e,f\"g", 4, 13, 19, Fault::kNone},
                              {"h", 5, 19, 20, Fault::kNone}}));
}

TEST(RecordSplitter, CutsTooLongLinesAndGoesOnBehindThem) {
  const std::string text = "a\n" + std::string(1'000, 'x') + "\nb\n";
  EXPECT_EQ(SplitAnyhow(text, {.max_bytes = 100}),
            (std::vector<Row>{{"a", 1, 0, 2, Fault::kNone},
                              {std::string(200, 'x'), 2, 2, 1'003, Fault::kTooLong},
                              {"b", 3, 1'003, 1'005, Fault::kNone}}));
}

TEST(RecordSplitter, LosesOnlyTheLineOfAQuoteThatIsNeverClosed) {
  std::string text = "a,\"b\n";
  for (int i = 0; i < 30; ++i) text += "line" + std::to_string(10 + i) + "\n";
  const std::vector<Row> rows = SplitAnyhow(text, kCsv);
  ASSERT_EQ(rows.size(), 31U);
  EXPECT_EQ(rows[0], (Row{"a,\"b", 1, 0, 5, Fault::kUnclosedQuote}));
  EXPECT_EQ(rows[1], (Row{"line10", 2, 5, 12, Fault::kNone}));
  EXPECT_EQ(rows[30].line, 31);

  EXPECT_EQ(SplitAnyhow("a\n\"b\nc", kCsv),
            (std::vector<Row>{
                {"a", 1, 0, 2, Fault::kNone}, {"\"b", 2, 2, 5, Fault::kUnclosedQuote}, {"c", 3, 5, 6, Fault::kNone}}));
  EXPECT_EQ(SplitAnyhow("\"b", kCsv), (std::vector<Row>{{"\"b", 1, 0, 2, Fault::kUnclosedQuote}}));
}

TEST(RecordSplitter, IsLinearInHostileText) {
  // Each would take minutes if any byte were looked at again and again.
  const SplitterOptions options{.quotes = true, .strip_return = true, .max_bytes = 1 << 20};
  std::string quotes;
  for (int i = 0; i < 500'000; ++i) quotes += "x\"";
  EXPECT_EQ(Split(quotes, options, 100).size(), 1U);
  std::string odd;
  for (int i = 0; i < 200'000; ++i) odd += "\"\"\"x\n";
  EXPECT_GT(Split(odd, options, 1'000).size(), 1U);
  EXPECT_EQ(Split(std::string(3 << 20, 'y'), options, 1).size(), 1U);
  EXPECT_EQ(Split("\"" + std::string(3 << 20, 'y'), options, 1).size(), 1U);
}

}  // namespace
}  // namespace pulseboard

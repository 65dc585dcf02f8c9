#include "common/base/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace pulseboard {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string CodeName(absl::StatusCode code) { return absl::StatusCodeToString(code); }

// The rows of the table under `## Errors` in ARCHITECTURE.md, cells trimmed.
std::vector<std::vector<std::string>> DocumentedRows() {
  std::ifstream file(std::string(PULSEBOARD_SOURCE_DIR) + "/ARCHITECTURE.md");
  std::vector<std::vector<std::string>> rows;
  bool in_section = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) in_section = line == "## Errors";
    if (!in_section || !line.starts_with("|")) continue;
    std::vector<std::string> cells;
    std::istringstream in(line.substr(1));
    for (std::string cell; std::getline(in, cell, '|');) {
      const size_t first = cell.find_first_not_of(" `");
      if (first == std::string::npos) continue;
      cells.push_back(cell.substr(first, cell.find_last_not_of(" `") - first + 1));
    }
    rows.push_back(cells);
  }
  if (rows.size() >= 2) rows.erase(rows.begin(), rows.begin() + 2);  // heading and rule
  return rows;
}

TEST(Errors, TheDocumentedTableIsTheTable) {
  std::vector<std::vector<std::string>> expected;
  for (const ErrorReasonInfo& info : AllErrorReasons()) {
    expected.push_back({CodeName(info.code), std::string(info.name), std::string(info.client_action)});
  }
  EXPECT_EQ(DocumentedRows(), expected);
}

TEST(Errors, TheTableIsInEnumOrderWithUniqueNames) {
  std::set<std::string_view> names;
  size_t i = 0;
  for (const ErrorReasonInfo& info : AllErrorReasons()) {
    EXPECT_EQ(static_cast<size_t>(info.reason), i++);
    EXPECT_EQ(&GetErrorReasonInfo(info.reason), &info);
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_NE(info.code, absl::StatusCode::kOk);
    EXPECT_FALSE(info.client_action.empty());
  }
}

TEST(Errors, EveryReasonCarriesItsCodeAndDetail) {
  for (const ErrorReasonInfo& info : AllErrorReasons()) {
    const absl::Status status = MakeError(info.reason, "what", {{"key", "value"}});
    EXPECT_EQ(status.code(), info.code);
    EXPECT_EQ(StatusMessage(status), "what");
    EXPECT_TRUE(HasReason(status, info.reason));
    EXPECT_EQ(GetErrorDetail(status)->metadata.at("key"), "value");
  }
  EXPECT_FALSE(HasReason(absl::OkStatus(), ErrorReason::kInternal));
  EXPECT_FALSE(HasReason(absl::InternalError("plain"), ErrorReason::kInternal));
  EXPECT_FALSE(GetErrorDetail(absl::InternalError("plain")).has_value());
}

TEST(Errors, DetailSurvivesAnyBytes) {
  const std::string odd("\0\n|\xff,", 5);
  const absl::Status status = WithRetryAfterMs(MakeError(ErrorReason::kQueryBusy, odd, {{odd, odd}, {"", ""}}), 1500);
  const auto detail = GetErrorDetail(status);
  EXPECT_EQ(detail->metadata, (ErrorMetadata{{odd, odd}, {"", ""}}));
  EXPECT_EQ(detail->retry_after_ms, 1500);
}

TEST(Errors, BadFieldsListsEveryViolation) {
  const absl::Status status = BadFields({{"a", "got 1; 2 would be accepted"}, {"b", "got x; y would be accepted"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const auto detail = GetErrorDetail(status);
  ASSERT_EQ(detail->field_violations.size(), 2u);
  EXPECT_EQ(detail->field_violations[1].field, "b");
  EXPECT_EQ(detail->metadata.at("a"), "got 1; 2 would be accepted");
  EXPECT_THAT(StatusMessage(status), HasSubstr("b: got x"));
}

TEST(Errors, BadFieldNamesValueAndWhatWouldDo) {
  const absl::Status status = BadField("metric", std::string(300, 'x') + "\n", "a name");
  EXPECT_TRUE(HasReason(status, ErrorReason::kBadField));
  EXPECT_THAT(StatusMessage(status), HasSubstr("(301 bytes)"));
  EXPECT_THAT(StatusMessage(status), HasSubstr("a name would be accepted"));
}

TEST(Errors, ContextKeepsCodeAndDetail) {
  EXPECT_TRUE(WithContext(absl::OkStatus(), "open").ok());
  const absl::Status status = WithContext(MakeError(ErrorReason::kDiskFull, "full", {{"a", "b"}}), "open");
  EXPECT_EQ(StatusMessage(status), "open: full");
  EXPECT_EQ(GetErrorDetail(status)->metadata.at("a"), "b");
  EXPECT_EQ(WithContext(absl::AbortedError("x"), "y").code(), absl::StatusCode::kAborted);
}

TEST(Errors, RetryAdviceNeedsADetail) {
  EXPECT_FALSE(GetErrorDetail(WithRetryAfterMs(absl::AbortedError("x"), 5)).has_value());
}

TEST(Errors, PrintableEscapesAndCuts) {
  EXPECT_EQ(Printable("a b~"), "a b~");
  EXPECT_EQ(Printable(std::string("\0\n\x7f\xc3", 4)), "\\x00\\x0a\\x7f\\xc3");
  EXPECT_EQ(Printable("abcdef", 3), "abc… (6 bytes)");
}

absl::StatusOr<int> Half(int n) {
  if (n % 2 != 0) return absl::InvalidArgumentError("odd");
  return n / 2;
}

absl::StatusOr<int> Quarter(int n) {
  PB_ASSIGN_OR_RETURN(const int half, Half(n));
  PB_RETURN_IF_ERROR(half > 100 ? absl::OutOfRangeError("big") : absl::OkStatus());
  return Half(half);
}

TEST(Errors, MacrosPassOnTheFirstError) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(7).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Quarter(400).status().code(), absl::StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace pulseboard

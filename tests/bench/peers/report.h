// What a benchmark prints: which machine, tables, and the section of RESULTS.md that is written over.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace pulseboard::bench {

// Date, machine and load average at this moment, one line.
std::string MachineLine();

// A Markdown table, built row by row.
class MarkdownTable {
 public:
  explicit MarkdownTable(std::vector<std::string> heading);
  void Add(const std::vector<std::string>& cells);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// What an issue asks for, and whether this run has it.
struct Verdict {
  std::string what;
  std::string measured;
  std::string target;
  bool met = false;
};
// A Markdown table of them, and how many are met.
std::string TargetsTable(const std::vector<Verdict>& verdicts);

// As printf.
[[gnu::format(printf, 1, 2)]] std::string Text(const char* format, ...);

// Replaces the section `## <title>` of a Markdown file (up to the next `## `), or appends it.
absl::Status WriteSection(const std::string& path, std::string_view title, std::string_view body);

}  // namespace pulseboard::bench

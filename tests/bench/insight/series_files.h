// Files of series as the public corpora have them: rows of text, plain or gzipped.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pulseboard {

// Calls `row` for each line of `path` (without its end), the header too, however long the line is.
absl::Status ForEachLine(const std::string& path, const std::function<absl::Status(std::string_view line)>& row);

// The cells of a line; quotes around a cell are dropped, cells hold no commas.
std::vector<std::string_view> CellsOf(std::string_view line);

// `text` as a number, or an error that names it.
absl::StatusOr<double> NumberOf(std::string_view text);

}  // namespace pulseboard

#include "tests/bench/insight/series_files.h"

#include <zlib.h>

#include <array>
#include <charconv>
#include <memory>

#include "absl/strings/str_cat.h"

namespace pulseboard {

absl::Status ForEachLine(const std::string& path, const std::function<absl::Status(std::string_view line)>& row) {
  const std::unique_ptr<gzFile_s, decltype(&gzclose)> file(gzopen(path.c_str(), "rb"), &gzclose);
  if (file == nullptr) return absl::NotFoundError(absl::StrCat(path, " cannot be opened"));
  std::string line;
  std::array<char, 65'536> piece;
  const auto end_line = [&]() -> absl::Status {
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
    if (line.empty()) return absl::OkStatus();
    absl::Status status = row(line);
    line.clear();
    return status;
  };
  while (gzgets(file.get(), piece.data(), piece.size()) != nullptr) {
    line += piece.data();
    if (!line.ends_with('\n')) continue;
    if (absl::Status status = end_line(); !status.ok()) return status;
  }
  int error = Z_OK;
  const char* message = gzerror(file.get(), &error);
  if (error != Z_OK && error != Z_STREAM_END) return absl::DataLossError(absl::StrCat(path, ": ", message));
  return end_line();
}

std::vector<std::string_view> CellsOf(std::string_view line) {
  std::vector<std::string_view> cells;
  while (true) {
    const size_t comma = line.find(',');
    std::string_view cell = line.substr(0, comma);
    if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') cell = cell.substr(1, cell.size() - 2);
    cells.push_back(cell);
    if (comma == std::string_view::npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

absl::StatusOr<double> NumberOf(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", absl::string_view(text.data(), text.size()), "' is not a number"));
  }
  return number;
}

}  // namespace pulseboard

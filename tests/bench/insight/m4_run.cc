#include "tests/bench/insight/m4_run.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/analysis/forecaster.h"
#include "tests/bench/insight/series_files.h"
#include "tests/bench/own_cpu_seconds.h"

namespace pulseboard {
namespace {

struct Row {
  std::string id;
  std::vector<double> values;
};

absl::StatusOr<std::vector<Row>> ReadRows(const std::string& path) {
  std::vector<Row> rows;
  absl::Status status = ForEachLine(path, [&](std::string_view line) -> absl::Status {
    std::vector<std::string_view> cells = CellsOf(line);
    while (!cells.empty() && (cells.back().empty() || cells.back() == "NA")) cells.pop_back();
    if (cells.empty()) return absl::OkStatus();
    Row row{.id = std::string(cells.front()), .values = {}};
    for (const std::string_view cell : std::span(cells).subspan(1)) {
      const absl::StatusOr<double> value = NumberOf(cell);
      if (!value.ok() && rows.empty() && row.values.empty()) return absl::OkStatus();  // a header
      if (!value.ok())
        return absl::InvalidArgumentError(absl::StrCat(path, ", series ", row.id, ": ", value.status().message()));
      row.values.push_back(*value);
    }
    rows.push_back(std::move(row));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return rows;
}

void WriteRow(std::ofstream& file, const std::string& id, const std::vector<double>& values) {
  file << id;
  for (const double value : values) file << ',' << absl::StrFormat("%.10g", value);
  file << '\n';
}

}  // namespace

absl::Status RunM4(const M4Files& files, int horizon) {
  const absl::StatusOr<std::vector<Row>> rows = ReadRows(files.train);
  if (!rows.ok()) return rows.status();
  std::ofstream out(files.out);
  std::ofstream lower(files.lower);
  std::ofstream upper(files.upper);
  std::vector<double> millis;
  std::map<std::string, int> by_periods;
  for (const Row& row : *rows) {
    const double start = OwnCpuSeconds();
    const absl::StatusOr<Forecast> forecast = MakeForecast(row.values, horizon);
    millis.push_back((OwnCpuSeconds() - start) * 1e3);
    if (!forecast.ok())
      return absl::InvalidArgumentError(absl::StrCat("series ", row.id, ": ", forecast.status().message()));
    WriteRow(out, row.id, forecast->point);
    WriteRow(lower, row.id, forecast->lower_95);
    WriteRow(upper, row.id, forecast->upper_95);
    std::string periods = forecast->periods.empty() ? "none" : "";
    for (const int period : forecast->periods) absl::StrAppend(&periods, periods.empty() ? "" : " and ", period);
    ++by_periods[periods];
  }
  if (!out.flush() || !lower.flush() || !upper.flush()) return absl::InternalError("an output file cannot be written");
  if (millis.empty()) return absl::NotFoundError(absl::StrCat(files.train, " has no series"));
  std::sort(millis.begin(), millis.end());
  absl::PrintF("%d series, %d steps each: CPU p50 %.2f ms, p99 %.2f ms, most %.2f ms\n", millis.size(), horizon,
               millis[millis.size() / 2], millis[millis.size() * 99 / 100], millis.back());
  for (const auto& [periods, count] : by_periods) absl::PrintF("  periods %s: %d\n", periods, count);
  return absl::OkStatus();
}

}  // namespace pulseboard

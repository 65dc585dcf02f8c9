#include "tests/bench/insight/nab_run.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/analysis/anomaly_detector.h"
#include "tests/bench/insight/series_files.h"
#include "tests/bench/own_cpu_seconds.h"

namespace pulseboard {
namespace {

struct Stream {
  std::vector<std::string> times;
  std::vector<std::string> texts;  // of the values, as read
  std::vector<double> values;
};

struct Totals {
  int64_t samples = 0;
  double cpu_seconds = 0;
  int64_t alarms = 0;
  size_t bytes = 0;  // of one detector
};

absl::StatusOr<Stream> ReadStream(const std::string& path) {
  Stream stream;
  bool header = true;
  absl::Status status = ForEachLine(path, [&](std::string_view line) -> absl::Status {
    const bool skipped = header;
    header = false;
    if (skipped) return absl::OkStatus();
    const std::vector<std::string_view> cells = CellsOf(line);
    if (cells.size() < 2) return absl::InvalidArgumentError(absl::StrCat(path, ": a row without a value"));
    const absl::StatusOr<double> value = NumberOf(cells[1]);
    if (!value.ok()) return absl::InvalidArgumentError(absl::StrCat(path, ": ", value.status().message()));
    stream.times.emplace_back(cells[0]);
    stream.texts.emplace_back(cells[1]);
    stream.values.push_back(*value);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return stream;
}

absl::Status RunOne(const std::filesystem::path& from, const std::filesystem::path& to, Totals& totals) {
  const absl::StatusOr<Stream> stream = ReadStream(from.string());
  if (!stream.ok()) return stream.status();
  std::vector<double> scores;
  scores.reserve(stream->values.size());
  int64_t alarms = 0;
  const double start = OwnCpuSeconds();
  AnomalyDetector detector;
  for (const double value : stream->values) {
    const AnomalyDetector::Verdict verdict = detector.Observe(value);
    scores.push_back(verdict.score);
    alarms += verdict.alarm;
  }
  totals.cpu_seconds += OwnCpuSeconds() - start;
  totals.samples += static_cast<int64_t>(scores.size());
  totals.alarms += alarms;
  totals.bytes = detector.bytes();
  std::filesystem::create_directories(to.parent_path());
  std::ofstream file(to);
  file << "timestamp,value,anomaly_score\n";
  for (size_t i = 0; i < scores.size(); ++i) {
    file << stream->times[i] << ',' << stream->texts[i] << ',' << absl::StrFormat("%.9f", scores[i]) << '\n';
  }
  if (!file.flush()) return absl::InternalError(absl::StrCat(to.string(), " cannot be written"));
  absl::PrintF("%-64s %7d rows %4d alarms\n", (from.parent_path().filename() / to.filename()).string(), scores.size(),
               alarms);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunNab(const std::filesystem::path& data, const std::filesystem::path& out) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& category : std::filesystem::directory_iterator(data, error)) {
    if (!category.is_directory()) continue;
    for (const auto& file : std::filesystem::directory_iterator(category.path(), error)) {
      const std::string name = file.path().filename().string();
      if (name.ends_with(".csv") || name.ends_with(".csv.gz")) files.push_back(file.path());
    }
  }
  if (error) return absl::NotFoundError(absl::StrCat(data.string(), ": ", error.message()));
  if (files.empty()) return absl::NotFoundError(absl::StrCat("no */*.csv or */*.csv.gz in ", data.string()));
  std::sort(files.begin(), files.end());
  Totals totals;
  for (const std::filesystem::path& file : files) {
    std::string name = file.filename().string();
    if (name.ends_with(".gz")) name.resize(name.size() - 3);
    if (absl::Status status = RunOne(file, out / file.parent_path().filename() / name, totals); !status.ok()) {
      return status;
    }
  }
  absl::PrintF("threshold %.6f\n%d files, %d samples, %d alarms, %.2f us CPU per sample, %d bytes per series\n",
               AnomalyDetector::kThreshold, files.size(), totals.samples, totals.alarms,
               totals.cpu_seconds * 1e6 / static_cast<double>(std::max<int64_t>(1, totals.samples)), totals.bytes);
  return absl::OkStatus();
}

}  // namespace pulseboard

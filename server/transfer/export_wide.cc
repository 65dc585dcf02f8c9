// Wide CSV: all series merged on time, a slice of time after the other.
#include <algorithm>
#include <limits>

#include "common/base/errors.h"
#include "server/transfer/export_forms.h"
#include "server/transfer/series_text.h"
#include "server/transfer/text_numbers.h"

namespace pulseboard {
namespace {

constexpr int64_t kFirstSliceNanos = 3'600 * kNanosPerSecond;
constexpr int64_t kLongestSliceNanos = kNanosPerDay;
constexpr int64_t kShortestSliceNanos = kNanosPerMilli;

}  // namespace

CsvWideExport::CsvWideExport(Source source)
    : ExportCursor(std::move(source)), slice_start_(source_.readable.start), slice_length_(kFirstSliceNanos) {
  summary_.series_count = static_cast<int64_t>(source_.series.size());
  columns_.resize(source_.series.size());
  at_.resize(source_.series.size());
}

void CsvWideExport::AppendHead(std::string* out) {
  out->append("time");
  std::string name;
  for (const auto& info : source_.series) {
    name.clear();
    AppendSeriesText(info->key, /*quote_names=*/false, &name);
    out->push_back(source_.spec.separator);
    AppendCsvField(name, source_.spec.separator, out);
  }
  out->push_back('\n');
}

absl::StatusOr<int64_t> CsvWideExport::ReadAll(int64_t end, bool whatever_size) {
  int64_t samples = 0;
  for (size_t i = 0; i < columns_.size(); ++i) {
    PB_RETURN_IF_ERROR(CheckAlive());
    PB_ASSIGN_OR_RETURN(columns_[i], view_->Read(source_.series[i]->id, {slice_start_, end}));
    at_[i] = 0;
    samples += static_cast<int64_t>(columns_[i].size());
    if (samples > kWideSliceSamples && !whatever_size) return samples;
  }
  return samples;
}

absl::Status CsvWideExport::ReadSlice() {
  const int64_t now = source_.clock.NowUnixNanos();
  while (slice_start_ < source_.readable.end) {
    const int64_t left = source_.readable.end - slice_start_;
    // Well ahead of the clock next to nothing is expected.
    const int64_t length = slice_start_ > now + kExportSlackNanos ? left : std::min(left, slice_length_);
    const bool shortest = length <= kShortestSliceNanos;
    PB_ASSIGN_OR_RETURN(const int64_t samples, ReadAll(slice_start_ + length, shortest));
    if (samples > kWideSliceSamples && !shortest) {
      slice_length_ = std::max(kShortestSliceNanos, std::min(length, kLongestSliceNanos) / 2);
      continue;
    }
    slice_start_ += length;
    if (samples < kWideSliceSamples / 4) slice_length_ = std::min(kLongestSliceNanos, slice_length_ * 2);
    rows_left_ = samples;
    if (samples > 0) return absl::OkStatus();
  }
  return absl::OkStatus();
}

void CsvWideExport::AppendRow(std::string* out) {
  int64_t time = std::numeric_limits<int64_t>::max();
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (at_[i] < columns_[i].size()) time = std::min(time, columns_[i].times[at_[i]]);
  }
  AppendCsvTime(time, out);
  for (size_t i = 0; i < columns_.size(); ++i) {
    out->push_back(source_.spec.separator);
    if (at_[i] >= columns_[i].size() || columns_[i].times[at_[i]] != time) continue;
    AppendValue(columns_[i].values[at_[i]++], out);
    --rows_left_;
    ++summary_.sample_count;
  }
  out->push_back('\n');
}

absl::StatusOr<bool> CsvWideExport::Next(std::string* out) {
  const size_t start = out->size();
  if (!std::exchange(head_written_, true)) {
    AppendHead(out);
    if (!source_.series.empty()) {
      PB_ASSIGN_OR_RETURN(view_, OpenView(0, source_.series.size()));
    }
  }
  bool more = view_ != nullptr;
  while (more && out->size() - start < kExportPieceBytes) {
    if (SliceDone()) PB_RETURN_IF_ERROR(ReadSlice());
    more = !SliceDone();
    if (more) AppendRow(out);
  }
  summary_.byte_count += static_cast<int64_t>(out->size() - start);
  return more;
}

}  // namespace pulseboard

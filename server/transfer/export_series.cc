// Text that goes through one series after the other: long CSV and OpenMetrics.
#include <algorithm>

#include "common/base/errors.h"
#include "server/transfer/export_forms.h"
#include "server/transfer/series_text.h"
#include "server/transfer/text_numbers.h"

namespace pulseboard {
namespace {

// Series of one view. A larger export opens one after the other, so that its memory does not grow with it.
constexpr size_t kViewSeries = 10'000;

constexpr int64_t kFirstPieceNanos = kNanosPerHour;
constexpr size_t kPieceSamples = 100'000;

constexpr std::string_view kTotal = "_total";

}  // namespace

absl::Status SeriesBySeriesExport::StartSeries() {
  if (next_series_ == view_end_) {
    view_ = nullptr;
    const size_t count = std::min(kViewSeries, source_.series.size() - next_series_);
    PB_ASSIGN_OR_RETURN(view_, OpenView(next_series_, count));
    view_end_ = next_series_ + count;
  }
  series_open_ = true;
  read_up_to_ = source_.readable.start;
  piece_ns_ = kFirstPieceNanos;
  series_begun_ = false;
  ready_.clear();
  ready_at_ = 0;
  return absl::OkStatus();
}

absl::Status SeriesBySeriesExport::ReadPiece() {
  PB_RETURN_IF_ERROR(CheckAlive());
  TimeRange piece{read_up_to_, source_.readable.end};
  const bool sparse = piece.start > source_.clock.NowUnixNanos() + kExportSlackNanos;
  if (!sparse && piece.end - piece.start > piece_ns_) piece.end = piece.start + piece_ns_;
  PB_ASSIGN_OR_RETURN(ready_, view_->Read(source_.series[next_series_]->id, piece));
  read_up_to_ = piece.end;
  ready_at_ = 0;
  if (ready_.size() > kPieceSamples) {
    piece_ns_ = std::max(piece_ns_ / 4, kNanosPerSecond);
  } else if (ready_.size() < kPieceSamples / 4) {
    piece_ns_ = std::min(4 * piece_ns_, kNanosPerDay);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> SeriesBySeriesExport::Next(std::string* out) {
  const size_t start = out->size();
  const auto full = [&] { return out->size() - start >= kExportPieceBytes; };
  const auto piece_done = [&] { summary_.byte_count += static_cast<int64_t>(out->size() - start); };
  if (!std::exchange(head_written_, true)) AppendHead(out);
  while (next_series_ < source_.series.size()) {
    if (!series_open_) PB_RETURN_IF_ERROR(StartSeries());
    if (ready_at_ < ready_.size() && !std::exchange(series_begun_, true)) {
      BeginSeries(*source_.series[next_series_], out);
      ++summary_.series_count;
    }
    for (; ready_at_ < ready_.size() && !full(); ++ready_at_) {
      AppendSample(ready_.times[ready_at_], ready_.values[ready_at_], out);
      ++summary_.sample_count;
    }
    if (full()) {
      piece_done();
      return true;
    }
    if (read_up_to_ < source_.readable.end) {
      PB_RETURN_IF_ERROR(ReadPiece());
    } else {
      series_open_ = false;
      ++next_series_;
    }
  }
  AppendTail(out);
  piece_done();
  return false;
}

CsvLongExport::CsvLongExport(Source source) : SeriesBySeriesExport(std::move(source)) {
  for (const auto& info : source_.series) {
    for (const Label& label : info->key.labels) {
      if (!labels_.contains(label.name)) labels_.insert(label.name);
    }
  }
}

void CsvLongExport::AppendHead(std::string* out) {
  const char separator = source_.spec.separator;
  out->append("time").append(1, separator).append("metric").append(1, separator).append("value");
  for (const std::string& label : labels_) {
    out->push_back(separator);
    AppendCsvField(label, separator, out);
  }
  out->push_back('\n');
}

void CsvLongExport::BeginSeries(const SeriesInfo& info, std::string* /*out*/) {
  const char separator = source_.spec.separator;
  before_value_.assign(1, separator);
  AppendCsvField(info.key.metric, separator, &before_value_);
  before_value_.push_back(separator);
  after_value_.clear();
  for (const std::string& label : labels_) {
    after_value_.push_back(separator);
    AppendCsvField(info.key.labels.Get(label), separator, &after_value_);
  }
  after_value_.push_back('\n');
}

void CsvLongExport::AppendSample(int64_t time_unix_nanos, double value, std::string* out) {
  AppendCsvTime(time_unix_nanos, out);
  out->append(before_value_);
  AppendValue(value, out);
  out->append(after_value_);
}

OpenMetricsExport::OpenMetricsExport(Source source) : SeriesBySeriesExport(std::move(source)) {
  std::sort(source_.series.begin(), source_.series.end(), [](const auto& a, const auto& b) { return a->key < b->key; });
}

bool OpenMetricsExport::HasMetric(std::string_view name) const {
  const auto it = std::lower_bound(source_.series.begin(), source_.series.end(), name,
                                   [](const auto& info, std::string_view wanted) { return info->key.metric < wanted; });
  return it != source_.series.end() && (*it)->key.metric == name;
}

// Only what OpenMetrics allows is claimed: a counter's name ends in `_total`, a unit ends the name.
void OpenMetricsExport::AppendFamily(const SeriesInfo& info, std::string* out) const {
  std::string_view name = info.key.metric;
  std::string_view type = "unknown";
  if (info.metadata.kind == MetricKind::kGauge) type = "gauge";
  if (info.metadata.kind == MetricKind::kCounter && name.ends_with(kTotal) && name.size() > kTotal.size()) {
    const std::string_view family = name.substr(0, name.size() - kTotal.size());
    if (!HasMetric(family)) {
      name = family;
      type = "counter";
    }
  }
  const auto line = [&](std::string_view keyword) {
    out->append("# ").append(keyword).append(" ");
    AppendOpenMetricsName(name, out);
    out->push_back(' ');
  };
  line("TYPE");
  out->append(type).append("\n");
  const std::string& unit = info.metadata.unit;
  if (!unit.empty() && name.ends_with("_" + unit)) {
    line("UNIT");
    out->append(unit).append("\n");
  }
  if (!info.metadata.description.empty()) {
    line("HELP");
    AppendEscaped(info.metadata.description, out);
    out->push_back('\n');
  }
}

void OpenMetricsExport::BeginSeries(const SeriesInfo& info, std::string* out) {
  if (info.key.metric != metric_) {
    metric_ = info.key.metric;
    AppendFamily(info, out);
  }
  series_text_.clear();
  AppendSeriesText(info.key, /*quote_names=*/true, &series_text_);
  series_text_.push_back(' ');
}

void OpenMetricsExport::AppendSample(int64_t time_unix_nanos, double value, std::string* out) {
  out->append(series_text_);
  AppendValue(value, out);
  out->push_back(' ');
  AppendDecimalTime(time_unix_nanos, 9, out);
  out->push_back('\n');
}

}  // namespace pulseboard

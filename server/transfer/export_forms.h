// The forms of exported text. Made by ExportCursor::Open.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/transfer/export_cursor.h"

namespace pulseboard {

// Text that goes through one series after the other.
class SeriesBySeriesExport : public ExportCursor {
 public:
  absl::StatusOr<bool> Next(std::string* out) final;

 protected:
  explicit SeriesBySeriesExport(Source source) : ExportCursor(std::move(source)) {}
  virtual void AppendHead(std::string* out) = 0;
  // Before the first sample of a series; series without samples are left out.
  virtual void BeginSeries(const SeriesInfo& info, std::string* out) = 0;
  virtual void AppendSample(int64_t time_unix_nanos, double value, std::string* out) = 0;
  virtual void AppendTail(std::string* out) = 0;

 private:
  absl::Status StartSeries();
  // The next piece of the open series: as much time as holds some ten thousand samples, so that memory and the time to
  // a cancellation are bounded however fast they came; a day at most.
  absl::Status ReadPiece();

  bool head_written_ = false;
  size_t next_series_ = 0;
  size_t view_end_ = 0;  // series the view holds end here
  std::unique_ptr<ReadView> view_;
  bool series_open_ = false;
  int64_t read_up_to_ = 0;  // of the open series
  int64_t piece_ns_ = 0;    // how much of it to read next
  bool series_begun_ = false;
  SampleColumns ready_;  // of the open series
  size_t ready_at_ = 0;
};

// `time,metric,value,label…`
class CsvLongExport final : public SeriesBySeriesExport {
 public:
  explicit CsvLongExport(Source source);

 private:
  void AppendHead(std::string* out) override;
  void BeginSeries(const SeriesInfo& info, std::string* out) override;
  void AppendSample(int64_t time_unix_nanos, double value, std::string* out) override;
  void AppendTail(std::string* /*out*/) override {}

  std::set<std::string, std::less<>> labels_;  // the columns, ascending
  std::string before_value_;
  std::string after_value_;
};

// OpenMetrics 1.0, metric by metric.
class OpenMetricsExport final : public SeriesBySeriesExport {
 public:
  // Sorts the series by metric.
  explicit OpenMetricsExport(Source source);

 private:
  void AppendHead(std::string* /*out*/) override {}
  void BeginSeries(const SeriesInfo& info, std::string* out) override;
  void AppendSample(int64_t time_unix_nanos, double value, std::string* out) override;
  void AppendTail(std::string* out) override { out->append("# EOF\n"); }
  void AppendFamily(const SeriesInfo& info, std::string* out) const;
  bool HasMetric(std::string_view name) const;

  std::string metric_;  // of the open family
  std::string series_text_;
};

// A JSON object per line; see AppendJsonSample.
class JsonLinesExport final : public SeriesBySeriesExport {
 public:
  explicit JsonLinesExport(Source source) : SeriesBySeriesExport(std::move(source)) {}

 private:
  void AppendHead(std::string* /*out*/) override {}
  void BeginSeries(const SeriesInfo& info, std::string* out) override;
  void AppendSample(int64_t time_unix_nanos, double value, std::string* out) override;
  void AppendTail(std::string* /*out*/) override {}

  std::string series_text_;
};

// Samples the wide form holds at once, about: pieces of all series over the same time.
inline constexpr int64_t kWideSliceSamples = 1'000'000;

// `time,series1,series2…`, merged on time.
class CsvWideExport final : public ExportCursor {
 public:
  explicit CsvWideExport(Source source);
  absl::StatusOr<bool> Next(std::string* out) override;

 private:
  void AppendHead(std::string* out);
  void AppendRow(std::string* out);
  bool SliceDone() const { return rows_left_ == 0; }
  // Reads the next piece of time that holds samples, if any is left.
  absl::Status ReadSlice();
  // Samples within [slice_start_, end), or kWideSliceSamples + 1 when there are more than that.
  absl::StatusOr<int64_t> ReadAll(int64_t end, bool whatever_size);

  std::unique_ptr<ReadView> view_;
  bool head_written_ = false;
  int64_t slice_start_;
  int64_t slice_length_;
  std::vector<SampleColumns> columns_;
  std::vector<size_t> at_;
  int64_t rows_left_ = 0;  // samples of the slice not written yet
};

}  // namespace pulseboard

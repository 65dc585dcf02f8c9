// ExportCursor: series as text, piece by piece from a view of the store.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/model/labels.h"
#include "server/query/query_engine.h"
#include "server/storage/store.h"
#include "server/transfer/transfer_options.h"

namespace pulseboard {

// Bytes of one piece, about.
inline constexpr size_t kExportPieceBytes = 256 << 10;

// Samples can lie this far outside of what the clock and the retention say: clocks step, whole windows go late. Further
// ahead of the clock next to nothing is expected.
inline constexpr int64_t kExportSlackNanos = 2 * kNanosPerDay;

// Thread-compatible. Holds a ReadView: do not keep longer than the call; store and clock must outlive it. Memory is
// bounded by a day of one series, in the wide form by kWideSliceSamples, and by the list of the series.
class ExportCursor {
 public:
  // Picks the series and opens the view. BAD_SELECTOR, BAD_FIELD, QUERY_TOO_BROAD with the numbers. `context`: its
  // deadline should be `max_export_duration_ns` away at most.
  static absl::StatusOr<std::unique_ptr<ExportCursor>> Open(Store& store, QueryEngine& engine,
                                                            const QueryContext& context, const ExportSpec& spec,
                                                            const TransferOptions& options);
  virtual ~ExportCursor() = default;
  ExportCursor(const ExportCursor&) = delete;
  ExportCursor& operator=(const ExportCursor&) = delete;

  // Appends the next piece to `out`; false when that was the last one. CANCELLED, QUERY_TOO_BROAD past the deadline,
  // BLOCK_CORRUPT.
  virtual absl::StatusOr<bool> Next(std::string* out) = 0;
  const ExportSummary& summary() const { return summary_; }

 protected:
  // What every form of text needs.
  struct Source {
    Store& store;
    const Clock& clock;
    QueryContext context;
    ExportSpec spec;
    TransferOptions options;
    TimeRange readable;
    std::vector<std::shared_ptr<const SeriesInfo>> series;  // in the order of the text
  };

  explicit ExportCursor(Source source) : source_(std::move(source)) {}
  static absl::StatusOr<std::unique_ptr<ExportCursor>> OpenResults(Store& store, QueryEngine& engine,
                                                                   const QueryContext& context, const ExportSpec& spec,
                                                                   const TransferOptions& options);
  absl::Status CheckAlive() const;
  // A view of series [first, first + count).
  absl::StatusOr<std::unique_ptr<ReadView>> OpenView(size_t first, size_t count);
  void AppendCsvTime(int64_t time_unix_nanos, std::string* out) const;

  Source source_;
  ExportSummary summary_;
};

// What exports of one server share. Thread-safe; store and engine must outlive it.
class Exporter {
 public:
  Exporter(Store& store, QueryEngine& engine, TransferOptions options)
      : store_(store), engine_(engine), options_(options) {}

  // Admits calls and runs their work.
  QueryEngine& engine() const { return engine_; }
  // The instant at which an export that starts now must end.
  int64_t Deadline(std::optional<int64_t> remaining_ns) const;
  // OK while the export may go on: CANCELLED, or QUERY_TOO_BROAD past its deadline.
  absl::Status CheckAlive(const QueryContext& context) const;
  // See ExportCursor::Open.
  absl::StatusOr<std::unique_ptr<ExportCursor>> Open(const QueryContext& context, const ExportSpec& spec) const {
    return ExportCursor::Open(store_, engine_, context, spec, options_);
  }

 private:
  Store& store_;
  QueryEngine& engine_;
  const TransferOptions options_;
};

// As CSV has it; kUnspecified is RFC 3339.
void AppendCsvTimeAs(CsvTime form, int64_t time_unix_nanos, std::string* out);
// A JSON string. UTF-8 goes as it is.
void AppendJsonText(std::string_view text, std::string* out);
// `"metric":"m","labels":{"a":"x"}`
void AppendJsonSeries(const SeriesKey& key, std::string* out);
// `"time":…,` series `,"value":…}` and the end of the line; what is not finite is a string.
void AppendJsonSample(int64_t time_unix_nanos, std::string_view series, double value, std::string* out);
// Quoted where RFC 4180 wants it.
void AppendCsvField(std::string_view text, char separator, std::string* out);

}  // namespace pulseboard

// Limits of imports and exports, and what they are asked for. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/model/samples.h"
#include "server/query/columns/column_cursor.h"
#include "server/query/query_engine.h"
#include "server/storage/store.h"
#include "server/transfer/csv_parser.h"

namespace pulseboard {

struct TransferOptions {
  int32_t threads = 2;                        // transfer.threads: threads that parse imports
  int32_t max_imports = 16;                   // transfer.max_imports: at once, beyond: TRANSFER_BUSY
  int64_t busy_retry_ms = 500;                // transfer.busy_retry: RetryInfo with TRANSFER_BUSY
  int64_t max_line_bytes = 1 << 20;           // transfer.max_line: longest line or record of an import
  int64_t max_series_text_bytes = 256 << 20;  // transfer.max_series_text: spellings one import keeps in memory
  int64_t max_export_series = 1'000'000;      // transfer.max_export_series: per export, else QUERY_TOO_BROAD
  int64_t max_wide_series = 1'000;            // transfer.max_wide_series: the same for the wide form
  int64_t max_xlsx_rows = 1'048'575;          // transfer.max_xlsx_rows: per workbook, else QUERY_TOO_BROAD
  int64_t max_export_duration_ns = 3'600 * kNanosPerSecond;  // transfer.max_export_duration: longest life of an export
};

// Numbers equal pulseboard.v1.TextFormat.
enum class TextFormat { kUnspecified = 0, kCsv = 1, kOpenMetrics = 2, kPrometheus = 3, kJsonLines = 4, kXlsx = 5 };

inline constexpr size_t kMaxImportProducerIdBytes = 120;
inline constexpr int64_t kDefaultRefusedLines = 1'000;
inline constexpr int64_t kMaxRefusedLines = 1'000'000;

struct ImportSpec {
  std::string producer_id;
  TextFormat format = TextFormat::kUnspecified;
  CsvReadOptions csv;
  std::optional<int64_t> default_time_unix_nanos;  // nothing: time of receipt
  int64_t max_refused_lines = kDefaultRefusedLines;
  std::optional<AckMode> ack_mode = std::nullopt;  // nothing: the server's default
};

inline constexpr size_t kMaxExportQueries = 32;

// A query whose answer is exported.
struct ExportQuery {
  std::string title;  // may be empty
  std::variant<RangeRequest, ColumnsRequest, ExpressionRequest> request;
};

struct ExportSpec {
  std::string selector;
  TimeRange range;
  TextFormat format = TextFormat::kUnspecified;
  CsvLayout layout = CsvLayout::kUnspecified;
  char separator = ',';
  CsvTime time = CsvTime::kUnspecified;
  std::vector<ExportQuery> queries;  // instead of selector and range
  std::string time_zone;             // of XLSX; empty: UTC
};

struct ExportSummary {
  int64_t series_count = 0;
  int64_t sample_count = 0;
  int64_t byte_count = 0;
  int64_t commit_sequence = 0;
};

}  // namespace pulseboard

// CsvParser: CSV tables of long and of wide form. What the dialects are: protos/pulseboard/v1/transfer.proto,
// CsvOptions.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/transfer/csv_time.h"
#include "server/transfer/import_batch.h"
#include "server/transfer/series_cache.h"

namespace pulseboard {

// Numbers equal pulseboard.v1.CsvLayout.
enum class CsvLayout { kUnspecified = 0, kLong = 1, kWide = 2 };

inline constexpr size_t kMaxCsvColumns = 10'000;

// The meaning of a column whose header does not say it.
struct CsvColumnMeaning {
  enum class What { kSeries, kLabel, kIgnored };
  What what = What::kIgnored;
  std::string text;  // kSeries: `metric{label="value"}`; kLabel: the label's name
};

// pulseboard.v1.CsvOptions, for reading.
struct CsvReadOptions {
  CsvLayout layout = CsvLayout::kUnspecified;
  char separator = 0;  // 0: as the header has it
  CsvTime time = CsvTime::kUnspecified;
  std::string time_pattern;
  std::string time_zone;
  std::string time_column;
  std::string metric_column;
  std::string value_column;
  std::string metric;
  std::map<std::string, CsvColumnMeaning, std::less<>> columns;  // by header
  std::string header;
};

class CsvParser final : public TextParser {
 public:
  // BAD_FIELD for options that do not fit together.
  static absl::StatusOr<std::unique_ptr<CsvParser>> Make(CsvReadOptions options, ParserLimits limits);

  void Parse(const TextRecord& record, ImportBatch* batch) override;
  void Skip(const TextRecord& record) override;
  void End(int64_t line, ImportBatch* batch) override;
  bool ready() const override { return has_header_; }
  const absl::Status& status() const override { return status_; }
  void SetDefaultTime(int64_t /*time_unix_nanos*/) override {}  // records carry theirs
  char separator() const override { return separator_; }
  int64_t series_count() const override;

 private:
  struct Field {
    std::string_view text;
    size_t column = 0;  // in the record, from 1
  };
  enum class Role { kTime, kMetric, kValue, kLabel, kSeries, kIgnored, kRefused };
  struct Column {
    Role role = Role::kIgnored;
    std::string name;                              // the header; kLabel: of the label
    uint32_t ref = 0;                              // kSeries
    LineReason reason = LineReason::kUnspecified;  // kRefused
  };

  CsvParser(CsvReadOptions options, ParserLimits limits, CsvTimeReader time);

  // Header (csv_header.cc).
  void ReadHeader(const TextRecord& record, ImportBatch* batch);
  absl::Status AssignColumns(const TextRecord& record, const std::vector<Field>& names, ImportBatch* batch);
  absl::Status AssignRoles(const std::vector<Field>& names);
  absl::Status AssignLong(const std::vector<Field>& names);
  void AssignWide(const TextRecord& record, const std::vector<Field>& names, ImportBatch* batch);
  void DefineWideColumn(const TextRecord& record, const Field& field, Column* column, ImportBatch* batch);

  // False when quotes are wrong; the record is then refused.
  bool SplitFields(const TextRecord& record, ImportBatch* batch);
  bool SplitQuoted(const TextRecord& record, ImportBatch* batch);
  void ParseLong(const TextRecord& record, ImportBatch* batch);
  void ParseWide(const TextRecord& record, ImportBatch* batch);
  void ParseWideFields(const TextRecord& record, ImportBatch* batch);
  // False when the field was not a plain number; nothing was added then.
  bool ParseWideQuickly(const TextRecord& record, ImportBatch* batch);
  void AddWideValue(const TextRecord& record, size_t column, const Field& field, int64_t time, ImportBatch* batch);
  const SeriesCache::Entry* FindLongSeries(const TextRecord& record, ImportBatch* batch);
  const SeriesCache::Entry* DefineLongSeries(const TextRecord& record, ImportBatch* batch);
  void RefuseTime(const TextRecord& record, const Field& field, ImportBatch* batch) const;
  void RefuseFieldCount(const TextRecord& record, size_t count, ImportBatch* batch) const;

  const CsvReadOptions options_;
  const ParserLimits limits_;
  const CsvTimeReader time_;
  absl::Status status_;
  char separator_ = 0;
  bool has_header_ = false;
  bool wide_ = false;
  std::vector<Column> columns_;
  size_t time_at_ = 0;
  size_t value_at_ = 0;
  size_t metric_at_ = 0;  // with has_metric_
  bool has_metric_ = false;
  std::vector<size_t> key_at_;  // columns that make the series
  SeriesCache cache_;
  std::shared_ptr<const std::vector<std::string>> series_names_;  // wide
  bool header_told_ = false;                                      // its series and refusals were handed out
  ImportBatch header_batch_;  // of a header that was skipped or given: goes out with the first record

  // Of the record in work.
  std::vector<Field> fields_;
  std::deque<std::string> unquoted_;
  size_t unquoted_used_ = 0;
  std::string key_;
};

}  // namespace pulseboard

// OpenMetricsParser: OpenMetrics 1.0 text, and Prometheus text 0.0.4.
//
// More is accepted than the standards ask for: families may interleave, times may go back, names may hold `.`, `-` and
// `/`, counters may be negative. What does not follow the grammar, or its TYPE, is refused line by line.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "server/transfer/import_batch.h"
#include "server/transfer/metric_family.h"
#include "server/transfer/series_cache.h"
#include "server/transfer/series_text.h"

namespace pulseboard {

class OpenMetricsParser final : public TextParser {
 public:
  enum class Dialect { kOpenMetrics, kPrometheus };

  OpenMetricsParser(Dialect dialect, ParserLimits limits);

  void Parse(const TextRecord& record, ImportBatch* batch) override;
  void Skip(const TextRecord& record) override;
  void End(int64_t line, ImportBatch* batch) override;
  bool ready() const override { return true; }
  const absl::Status& status() const override { return status_; }
  void SetDefaultTime(int64_t time_unix_nanos) override { default_time_ = time_unix_nanos; }
  char separator() const override { return 0; }
  int64_t series_count() const override { return cache_.size(); }

 private:
  struct Reading;  // a sample line in work

  void ParseMetadata(const TextRecord& record, ImportBatch* batch);
  void TakeMetadata(const TextRecord& record, std::string_view keyword, size_t at, ImportBatch* batch);
  bool SetMetadata(std::string_view keyword, std::string_view text, TextError* error);
  void ParseSample(const TextRecord& record, ImportBatch* batch);
  const SeriesCache::Entry* FindSeries(std::string_view text, size_t column, const TextRecord& record,
                                       ImportBatch* batch);
  const SeriesCache::Entry* Define(std::string_view text, std::string_view spelled, size_t column,
                                   const TextRecord& record, ImportBatch* batch);
  bool ReadTime(Reading* line, int64_t* time, TextError* error) const;
  bool ReadExemplar(Reading* line, uint32_t rules, TextError* error) const;
  bool ReadRest(Reading* line, uint32_t rules, int64_t* time, bool* exemplar, TextError* error) const;

  const bool prometheus_;
  const SeriesTextRules rules_;
  const ParserLimits limits_;
  const absl::Status status_;  // every text is of some use
  int64_t default_time_ = 0;
  MetricFamily family_;
  bool family_has_samples_ = false;
  bool eof_ = false;
  SeriesCache cache_;
};

}  // namespace pulseboard

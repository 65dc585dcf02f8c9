// ResultExport: answers of queries (ranges, columns of time, expressions) as a file, in constant memory.
//
// The queries run one after the other, each on a view of its own, chunk by chunk as they would be streamed; a
// ResultWriter turns chunks into bytes. CSV holds one query, JSON lines and XLSX up to kMaxExportQueries.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/query/chunk_source.h"
#include "server/query/columns/aggregates.h"
#include "server/query/query_engine.h"
#include "server/transfer/export_cursor.h"
#include "server/transfer/transfer_options.h"

namespace pulseboard {

// A line of an answer: a series, or one aggregate of it.
struct ResultLine {
  std::shared_ptr<const SeriesInfo> series;
  std::string aggregate;  // `max`, `quantile(0.99)`; empty for samples and expressions
  bool earlier = false;
};

// Thread-compatible. Calls come in this order: BeginQuery, (Define, Values)*, EndQuery, again; Finish, NextBytes.
class ResultWriter {
 public:
  virtual ~ResultWriter() = default;
  virtual absl::Status BeginQuery(const ExportQuery& query) = 0;
  // QUERY_TOO_BROAD when the form holds no more.
  virtual absl::Status Values(const ResultLine& line, const SampleColumns& samples, std::string* out) = 0;
  virtual absl::Status EndQuery(const RangeSummary& summary) = 0;
  virtual absl::Status Finish(std::string* /*out*/) { return absl::OkStatus(); }
  // After Finish: appends the next bytes of what was not written as it came. False when there are none after them.
  virtual absl::StatusOr<bool> NextBytes(std::string* /*out*/) { return false; }
};

// `time,series,aggregate,value`.
std::unique_ptr<ResultWriter> MakeCsvResultWriter(const ExportSpec& spec);
// `{"query":…,"time":…,"metric":…,"labels":{…},"aggregate":…,"value":…}`, one line per value.
std::unique_ptr<ResultWriter> MakeJsonResultWriter();
// A family of type `unknown` per query, named by its title, with the query as its HELP; what is told of a line beside
// its own labels is in the labels `metric`, `aggregate` and `period`.
std::unique_ptr<ResultWriter> MakeOpenMetricsResultWriter();
// The name of that family: `answer` without a title; what a name may not have is `_`.
std::string OpenMetricsFamilyOf(const ExportQuery& query);

// What is asked, for people: the selector or the expression.
const std::string& QueryText(const ExportQuery& query);
TimeRange QueryRangeOf(const ExportQuery& query);

class ResultExport final : public ExportCursor {
 public:
  ResultExport(Source source, QueryEngine& engine, std::unique_ptr<ResultWriter> writer)
      : ExportCursor(std::move(source)), engine_(engine), writer_(std::move(writer)) {}
  absl::StatusOr<bool> Next(std::string* out) override;

 private:
  absl::StatusOr<bool> Step(std::string* out);
  absl::Status OpenQuery(const ExportQuery& query);

  QueryEngine& engine_;
  const std::unique_ptr<ResultWriter> writer_;
  size_t next_query_ = 0;
  std::vector<Aggregate> aggregates_;    // of the open query
  std::unique_ptr<ChunkSource> chunks_;  // null between queries
  std::map<uint32_t, ResultLine> lines_;
  bool finished_ = false;
};

}  // namespace pulseboard

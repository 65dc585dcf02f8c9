#include "server/transfer/result_export.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "common/base/errors.h"
#include "server/query/expression/expression_cursor.h"
#include "server/query/range_cursor.h"
#include "server/transfer/text_numbers.h"

namespace pulseboard {
namespace {

std::string AggregateName(const Aggregate& aggregate) {
  constexpr std::string_view kNames[] = {"avg",   "sum",  "min",      "max",      "count",
                                         "first", "last", "quantile", "increase", "rate"};
  std::string name(kNames[static_cast<size_t>(aggregate.kind)]);
  if (aggregate.kind == AggregateKind::kQuantile) {
    name += '(';
    AppendValue(aggregate.quantile, &name);
    name += ')';
  }
  return name;
}

// Opens one query of any kind.
struct Opener {
  QueryEngine& engine;
  const QueryContext& context;

  absl::StatusOr<std::unique_ptr<ChunkSource>> operator()(const RangeRequest& request) const {
    return engine.OpenRange(context, request);
  }
  absl::StatusOr<std::unique_ptr<ChunkSource>> operator()(const ColumnsRequest& request) const {
    return engine.OpenColumns(context, request);
  }
  absl::StatusOr<std::unique_ptr<ChunkSource>> operator()(const ExpressionRequest& request) const {
    return engine.OpenExpression(context, request);
  }
};

// One query as text, written as it comes.
class CsvResultWriter final : public ResultWriter {
 public:
  explicit CsvResultWriter(const ExportSpec& spec) : spec_(spec) {}

  absl::Status BeginQuery(const ExportQuery& /*query*/) override { return absl::OkStatus(); }
  absl::Status Values(const ResultLine& line, const SampleColumns& samples, std::string* out) override {
    const char separator = spec_.separator;
    if (!std::exchange(head_written_, true)) AppendHead(out);
    between_.assign(1, separator);
    const std::string name = line.series->key.Format();
    AppendCsvField(name.empty() ? "{}" : name, separator, &between_);
    between_.push_back(separator);
    AppendCsvField((line.earlier ? "earlier " : "") + line.aggregate, separator, &between_);
    between_.push_back(separator);
    for (size_t i = 0; i < samples.size(); ++i) {
      AppendCsvTimeAs(spec_.time, samples.times[i], out);
      out->append(between_);
      AppendValue(samples.values[i], out);
      out->push_back('\n');
    }
    return absl::OkStatus();
  }
  absl::Status EndQuery(const RangeSummary& /*summary*/) override { return absl::OkStatus(); }
  absl::Status Finish(std::string* out) override {
    if (!std::exchange(head_written_, true)) AppendHead(out);
    return absl::OkStatus();
  }

 private:
  void AppendHead(std::string* out) const {
    const std::string separator(1, spec_.separator);
    out->append("time" + separator + "series" + separator + "aggregate" + separator + "value\n");
  }

  const ExportSpec spec_;
  bool head_written_ = false;
  std::string between_;
};

class JsonResultWriter final : public ResultWriter {
 public:
  absl::Status BeginQuery(const ExportQuery& query) override {
    head_ = "{";
    if (!query.title.empty()) {
      head_ += "\"query\":";
      AppendJsonText(query.title, &head_);
      head_ += ',';
    }
    return absl::OkStatus();
  }
  absl::Status Values(const ResultLine& line, const SampleColumns& samples, std::string* out) override {
    between_.clear();
    AppendJsonSeries(line.series->key, &between_);
    if (!line.aggregate.empty()) {
      between_ += ",\"aggregate\":";
      AppendJsonText(line.aggregate, &between_);
    }
    if (line.earlier) between_ += ",\"earlier\":true";
    for (size_t i = 0; i < samples.size(); ++i) {
      out->append(head_);
      AppendJsonSample(samples.times[i], between_, samples.values[i], out);
    }
    return absl::OkStatus();
  }
  absl::Status EndQuery(const RangeSummary& /*summary*/) override { return absl::OkStatus(); }

 private:
  std::string head_;
  std::string between_;
};

}  // namespace

std::unique_ptr<ResultWriter> MakeCsvResultWriter(const ExportSpec& spec) {
  return std::make_unique<CsvResultWriter>(spec);
}
std::unique_ptr<ResultWriter> MakeJsonResultWriter() { return std::make_unique<JsonResultWriter>(); }

const std::string& QueryText(const ExportQuery& query) {
  if (const auto* expression = std::get_if<ExpressionRequest>(&query.request)) return expression->expression;
  if (const auto* columns = std::get_if<ColumnsRequest>(&query.request)) return columns->selector;
  return std::get<RangeRequest>(query.request).selector;
}

TimeRange QueryRangeOf(const ExportQuery& query) {
  if (const auto* expression = std::get_if<ExpressionRequest>(&query.request))
    return {expression->start, expression->end};
  if (const auto* columns = std::get_if<ColumnsRequest>(&query.request)) return columns->range;
  return std::get<RangeRequest>(query.request).range;
}

absl::Status ResultExport::OpenQuery(const ExportQuery& query) {
  PB_ASSIGN_OR_RETURN(chunks_, std::visit(Opener{engine_, source_.context}, query.request));
  const auto* columns = std::get_if<ColumnsRequest>(&query.request);
  aggregates_ = columns == nullptr ? std::vector<Aggregate>() : columns->aggregates;
  lines_.clear();
  return writer_->BeginQuery(query);
}

// One chunk; false when all is told.
absl::StatusOr<bool> ResultExport::Step(std::string* out) {
  PB_RETURN_IF_ERROR(CheckAlive());
  if (finished_) return writer_->NextBytes(out);
  if (chunks_ == nullptr) {
    if (next_query_ == source_.spec.queries.size()) {
      finished_ = true;
      PB_RETURN_IF_ERROR(writer_->Finish(out));
      return true;
    }
    PB_RETURN_IF_ERROR(OpenQuery(source_.spec.queries[next_query_++]));
  }
  PB_ASSIGN_OR_RETURN(const RangeChunk chunk, chunks_->Next());
  // A ref is used until the next one is defined.
  for (const RangeSeries& series : chunk.definitions) {
    const auto aggregate = static_cast<size_t>(std::max(0, series.aggregate));
    lines_[series.ref] = {series.series, series.aggregate < 0 ? "" : AggregateName(aggregates_[aggregate]),
                          series.earlier};
  }
  for (const RangeColumn& column : chunk.columns) {
    PB_RETURN_IF_ERROR(writer_->Values(lines_[column.ref], column.samples, out));
  }
  if (!lines_.empty()) lines_.erase(lines_.begin(), std::prev(lines_.end()));
  if (!chunk.summary) return true;
  summary_.series_count += chunk.summary->series_count;
  summary_.sample_count += chunk.summary->sample_count;
  summary_.commit_sequence = chunk.summary->commit_sequence;
  chunks_ = nullptr;
  PB_RETURN_IF_ERROR(writer_->EndQuery(*chunk.summary));
  return true;
}

absl::StatusOr<bool> ResultExport::Next(std::string* out) {
  const size_t start = out->size();
  bool more = true;
  while (more && out->size() - start < kExportPieceBytes) {
    PB_ASSIGN_OR_RETURN(more, Step(out));
  }
  summary_.byte_count += static_cast<int64_t>(out->size() - start);
  return more;
}

}  // namespace pulseboard

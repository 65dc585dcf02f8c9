// Answers of queries as OpenMetrics: a family per query.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/transfer/result_export.h"
#include "server/transfer/series_text.h"
#include "server/transfer/text_numbers.h"

namespace pulseboard {
namespace {

bool IsNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':';
}

// What an answer's line is beside its labels is told in labels of these names.
constexpr std::string_view kOwnLabels[] = {"metric", "aggregate", "period"};

// Labels of the series that would stand in the way get Prometheus' prefix.
Labels WithoutOwn(const Labels& labels) {
  std::vector<Label> out(labels.begin(), labels.end());
  for (Label& label : out) {
    if (std::find(std::begin(kOwnLabels), std::end(kOwnLabels), label.name) == std::end(kOwnLabels)) continue;
    do {
      label.name.insert(0, "exported_");
    } while (!labels.Get(label.name).empty());
  }
  return Labels(std::move(out));
}

class OpenMetricsResultWriter final : public ResultWriter {
 public:
  absl::Status BeginQuery(const ExportQuery& query) override {
    family_ = OpenMetricsFamilyOf(query);
    question_ = QueryText(query);
    begun_ = false;
    return absl::OkStatus();
  }

  absl::Status Values(const ResultLine& line, const SampleColumns& samples, std::string* out) override {
    if (!std::exchange(begun_, true)) {
      out->append("# TYPE ").append(family_).append(" unknown\n# HELP ").append(family_).append(" ");
      AppendEscaped(question_, out);
      out->push_back('\n');
    }
    const Labels own = WithoutOwn(line.series->key.labels);
    std::vector<Label> labels(own.begin(), own.end());
    if (!line.series->key.metric.empty()) labels.push_back({"metric", line.series->key.metric});
    if (!line.aggregate.empty()) labels.push_back({"aggregate", line.aggregate});
    if (line.earlier) labels.push_back({"period", "earlier"});
    text_.clear();
    AppendSeriesText({family_, Labels(std::move(labels))}, /*quote_names=*/true, &text_);
    text_.push_back(' ');
    for (size_t i = 0; i < samples.size(); ++i) {
      out->append(text_);
      AppendValue(samples.values[i], out);
      out->push_back(' ');
      AppendDecimalTime(samples.times[i], 9, out);
      out->push_back('\n');
    }
    return absl::OkStatus();
  }

  absl::Status EndQuery(const RangeSummary& /*summary*/) override { return absl::OkStatus(); }
  absl::Status Finish(std::string* out) override {
    out->append("# EOF\n");
    return absl::OkStatus();
  }

 private:
  std::string family_;
  std::string question_;
  bool begun_ = false;
  std::string text_;
};

}  // namespace

std::string OpenMetricsFamilyOf(const ExportQuery& query) {
  std::string name = query.title.empty() ? "answer" : query.title;
  for (char& c : name) {
    if (!IsNameByte(c)) c = '_';
  }
  if (name.front() >= '0' && name.front() <= '9') name.insert(0, "_");
  return name;
}

std::unique_ptr<ResultWriter> MakeOpenMetricsResultWriter() { return std::make_unique<OpenMetricsResultWriter>(); }

}  // namespace pulseboard

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "tests/bench/queries/asker.h"

namespace pulseboard::bench {
namespace {

std::string FieldName(int field) { return "cpu_" + std::string(kCpuMetrics[static_cast<size_t>(field)]); }
std::string Seconds(int64_t nanos) { return std::to_string(nanos / kNanosPerSecond); }

class HttpAsker : public Asker {
 public:
  explicit HttpAsker(int port) : connection_(port) {}
  absl::Status Prepare(const Question& question) override {
    paths_ = Paths(question);
    ping_ = question.shape == Shape::kPing;
    return absl::OkStatus();
  }
  absl::Status Ask() override {
    answers_.clear();
    for (const std::string& path : paths_) {
      PB_ASSIGN_OR_RETURN(std::string answer, connection_.Call("GET", path, "", ""));
      answers_.push_back(std::move(answer));
    }
    return absl::OkStatus();
  }
  absl::StatusOr<AnswerSum> Sum() const override {
    AnswerSum sum;
    if (ping_) return sum;
    for (const std::string& text : answers_) {
      const auto answer = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
      if (answer.is_discarded()) return absl::InternalError("the answer is no JSON");
      AddUp(answer, &sum);
    }
    return sum;
  }
  int64_t answer_bytes() const override {
    int64_t bytes = 0;
    for (const std::string& answer : answers_) bytes += static_cast<int64_t>(answer.size());
    return bytes;
  }

 protected:
  // More than one where the language needs more than one request.
  virtual std::vector<std::string> Paths(const Question& question) = 0;
  virtual void AddUp(const nlohmann::json& answer, AnswerSum* sum) const = 0;

 private:
  HttpConnection connection_;
  std::vector<std::string> paths_;
  bool ping_ = false;
  std::vector<std::string> answers_;
};

// What VictoriaMetrics and Prometheus have in common. Windows reach back from their instants: the column that begins at
// T is the window that ends with its last sample, or, where columns are not whole steps of the samples, a millisecond
// before the next column.
class PromQlAsker : public HttpAsker {
 public:
  using HttpAsker::HttpAsker;

 protected:
  void AddUp(const nlohmann::json& answer, AnswerSum* sum) const override {
    for (const auto& series : answer["data"]["result"]) {
      if (series.contains("value")) AddPair(series["value"], sum);
      if (!series.contains("values")) continue;
      for (const auto& pair : series["values"]) AddPair(pair, sum);
    }
  }
  // `{__name__=~"a|b",hostname=~"c|d"}`, as plain as it can be.
  static std::string Selector(const std::vector<int>& fields, const std::vector<int>& hosts) {
    std::string out = fields.size() == 1 ? FieldName(fields[0]) : "";
    std::string matchers;
    if (fields.size() == kMetricsPerHost) matchers = "__name__=~\"cpu_usage_.+\"";
    if (fields.size() > 1 && matchers.empty()) matchers = "__name__=~\"" + Alternatives(fields, FieldName) + "\"";
    if (!hosts.empty()) {
      matchers += (matchers.empty() ? "hostname=" : ",hostname=") + std::string(hosts.size() > 1 ? "~" : "") + "\"" +
                  Alternatives(hosts, HostName) + "\"";
    }
    return out + "{" + matchers + "}";
  }
  std::string Range(const Question& question, const std::string& query, const std::string& extra) const {
    const bool whole_steps = question.step_ns % kWorkloadStepNanos == 0;
    const int64_t last = whole_steps ? kWorkloadStepNanos : kNanosPerMilli;
    const int64_t first = question.range.start + question.step_ns - last;
    return "/api/v1/query_range?start=" + Seconds(first) + (whole_steps ? "" : ".999") +
           "&end=" + Seconds(question.range.end - 1) + (whole_steps ? "" : ".999") +
           "&step=" + Seconds(question.step_ns) + extra + "&query=" + UrlEncode(query);
  }
  static std::string Instant(const std::string& query, int64_t time, const std::string& extra) {
    return "/api/v1/query?time=" + Seconds(time) + extra + "&query=" + UrlEncode(query);
  }
  static std::string SamplesOf(const Question& question, const std::string& extra) {
    return Instant(Selector(question.fields, question.hosts) + "[" +
                       Seconds(question.range.end - question.range.start - kNanosPerSecond) + "s]",
                   question.range.end - kWorkloadStepNanos, extra);
  }
  std::string Rows(const Question& question, const std::string& extra) const {
    return Range(question,
                 Selector(question.fields, question.hosts) + " and on (hostname) (" +
                     Selector({question.fields[0]}, question.hosts) + " > " +
                     std::to_string(static_cast<int>(question.threshold)) + ")",
                 extra);
  }

 private:
  static void AddPair(const nlohmann::json& pair, AnswerSum* sum) {
    const std::string number = pair[1].get<std::string>();
    double value = 0;
    std::from_chars(number.data(), number.data() + number.size(), value);
    ++sum->values;
    sum->sum += value;
  }
};

class VictoriaAsker final : public PromQlAsker {
 public:
  using PromQlAsker::PromQlAsker;

 protected:
  std::vector<std::string> Paths(const Question& question) override {
    const std::string extra = "&nocache=1";
    const std::string selector = Selector(question.fields, question.hosts);
    const std::string window = "[" + Seconds(question.step_ns) + "s]))";
    const std::string by = question.apart == Apart::kNothing  ? ""
                           : question.apart == Apart::kFields ? " by (__name__)"
                                                              : " by (__name__, hostname)";
    switch (question.shape) {
      case Shape::kPing:
        return {"/health"};
      case Shape::kLatest:
        return {Instant(selector, question.range.end - kWorkloadStepNanos, extra)};
      case Shape::kSamples:
        return {SamplesOf(question, extra)};
      case Shape::kRows:
        return {Rows(question, extra)};
      case Shape::kColumns:
        break;
    }
    if (question.fold == Fold::kMean) {
      return {Range(question, "avg(avg_over_time(" + selector + window + by, extra)};
    }
    std::vector<std::string> out = {Range(question, "max(max_over_time(" + selector + window + by, extra)};
    if (question.fold == Fold::kMinAndMax) {
      out.push_back(Range(question, "min(min_over_time(" + selector + window + by, extra));
    }
    return out;
  }
};

// Windows are closed at both ends in version 2: a second less, and they hold the same samples. A function of a range
// may not give two series the same labels once the name is gone: one request per field.
class PrometheusAsker final : public PromQlAsker {
 public:
  using PromQlAsker::PromQlAsker;

 protected:
  std::vector<std::string> Paths(const Question& question) override {
    switch (question.shape) {
      case Shape::kPing:
        return {"/-/healthy"};
      case Shape::kLatest:
        return {Instant(Selector(question.fields, question.hosts), question.range.end - kWorkloadStepNanos, "")};
      case Shape::kSamples:
        return {SamplesOf(question, "")};
      case Shape::kRows:
        return {Rows(question, "")};
      case Shape::kColumns:
        break;
    }
    // A column that is no whole number of steps is asked for beside the seconds: no sample is at either end.
    const bool whole_steps = question.step_ns % kWorkloadStepNanos == 0;
    const std::string window = Seconds(question.step_ns - (whole_steps ? kNanosPerSecond : 0)) + "s";
    if (question.apart == Apart::kNothing) {
      return {Range(question,
                    "max_over_time(max(" + Selector(question.fields, question.hosts) + ")[" + window + ":10s])", "")};
    }
    const std::string by = question.apart == Apart::kFields ? "" : " by (hostname)";
    std::vector<std::string> out;
    for (const int field : question.fields) {
      const std::string selector = Selector({field}, question.hosts) + "[" + window + "]";
      if (question.fold == Fold::kMean) {
        out.push_back(Range(question, "avg" + by + " (avg_over_time(" + selector + "))", ""));
        continue;
      }
      out.push_back(Range(question, "max" + by + " (max_over_time(" + selector + "))", ""));
      if (question.fold == Fold::kMinAndMax) {
        out.push_back(Range(question, "min" + by + " (min_over_time(" + selector + "))", ""));
      }
    }
    return out;
  }
};

// A maximum over fields is one per field here; the answer's rows are folded when they are compared, which is not
// measured.
class InfluxAsker final : public HttpAsker {
 public:
  using HttpAsker::HttpAsker;

 protected:
  std::vector<std::string> Paths(const Question& question) override {
    if (question.shape == Shape::kPing) return {"/ping"};
    std::string where =
        " WHERE time >= " + Seconds(question.range.start) + "s AND time < " + Seconds(question.range.end) + "s";
    fields_folded_ = question.apart == Apart::kNothing;
    std::string hosts;
    for (const int host : question.hosts)
      hosts += (hosts.empty() ? "" : " OR ") + ("hostname='" + HostName(host)) + "'";
    if (!hosts.empty()) where += " AND (" + hosts + ")";
    return {"/query?db=bench&epoch=s&q=" + UrlEncode(Statement(question, where))};
  }
  void AddUp(const nlohmann::json& answer, AnswerSum* sum) const override {
    for (const auto& series : answer["results"][0].value("series", nlohmann::json::array())) {
      for (const auto& row : series["values"]) {
        std::optional<double> greatest;
        for (size_t i = 1; i < row.size(); ++i) {
          if (!row[i].is_number()) continue;
          const double value = row[i].get<double>();
          if (!fields_folded_) Add(value, sum);
          greatest = std::max(greatest.value_or(value), value);
        }
        if (fields_folded_ && greatest) Add(*greatest, sum);
      }
    }
  }

 private:
  bool fields_folded_ = false;

  static void Add(double value, AnswerSum* sum) {
    ++sum->values;
    sum->sum += value;
  }
  static std::string Statement(const Question& question, const std::string& where) {
    const auto select = [&](const std::string& before, const std::string& after) {
      std::string out;
      for (const int field : question.fields) {
        out += (out.empty() ? "" : ", ") + before + std::string(kCpuMetrics[static_cast<size_t>(field)]) + after;
      }
      return out;
    };
    const std::string columns =
        " GROUP BY time(" + Seconds(question.step_ns) + "s)" + (question.apart == Apart::kSeries ? ", hostname" : "");
    switch (question.shape) {
      case Shape::kPing:
        return "";
      case Shape::kLatest:
        return "SELECT " + select("last(", ")") + " FROM cpu" + where + " GROUP BY hostname";
      case Shape::kSamples:
        return "SELECT " + select("", "") + " FROM cpu" + where;
      case Shape::kRows:
        return "SELECT " + select("", "") + " FROM cpu" + where + " AND usage_user > " +
               std::to_string(static_cast<int>(question.threshold)) + ".0 GROUP BY hostname";
      case Shape::kColumns:
        break;
    }
    if (question.fold == Fold::kMean) return "SELECT " + select("mean(", ")") + " FROM cpu" + where + columns;
    std::string folds = select("max(", ")");
    if (question.fold == Fold::kMinAndMax) folds += ", " + select("min(", ")");
    return "SELECT " + folds + " FROM cpu" + where + columns;
  }
};

}  // namespace

std::unique_ptr<Asker> MakeVictoriaAsker(int port) { return std::make_unique<VictoriaAsker>(port); }
std::unique_ptr<Asker> MakePrometheusAsker(int port) { return std::make_unique<PrometheusAsker>(port); }
std::unique_ptr<Asker> MakeInfluxAsker(int port) { return std::make_unique<InfluxAsker>(port); }

}  // namespace pulseboard::bench

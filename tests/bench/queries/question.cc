#include "tests/bench/queries/question.h"

#include <algorithm>
#include <numeric>

#include "common/base/clock.h"

namespace pulseboard::bench {
namespace {

constexpr int64_t kMinute = 60 * kNanosPerSecond;
constexpr int64_t kHour = 60 * kMinute;

std::vector<int> FirstFields(int count) {
  std::vector<int> out(static_cast<size_t>(count));
  std::iota(out.begin(), out.end(), 0);
  return out;
}

std::vector<int> SomeHosts(const Workload& workload, int count, std::mt19937_64& random) {
  std::vector<int> all(static_cast<size_t>(workload.hosts));
  std::iota(all.begin(), all.end(), 0);
  std::shuffle(all.begin(), all.end(), random);
  all.resize(static_cast<size_t>(std::min(count, workload.hosts)));
  return all;
}

// A window of `length` inside the data.
TimeRange Window(const Workload& workload, int64_t length, int64_t step, std::mt19937_64& random) {
  const int64_t room = workload.end_unix_nanos() - workload.start_unix_nanos - length;
  const int64_t start = workload.start_unix_nanos + static_cast<int64_t>(random() % (room / step + 1)) * step;
  return {start, start + length};
}

// TSBS single-groupby-FIELDS-HOSTS-HOURS, cpu-max-all-HOSTS, double-groupby-FIELDS.
std::function<Question(const Workload&, std::mt19937_64&)> Columns(int fields, int hosts, int64_t length, int64_t step,
                                                                   Fold fold, Apart apart) {
  return [=](const Workload& workload, std::mt19937_64& random) {
    Question out;
    out.fields = FirstFields(fields);
    if (hosts > 0) out.hosts = SomeHosts(workload, hosts, random);
    out.range = Window(workload, std::min(length, workload.end_unix_nanos() - workload.start_unix_nanos), step, random);
    out.step_ns = step;
    out.fold = fold;
    out.apart = apart;
    return out;
  };
}

std::function<Question(const Workload&, std::mt19937_64&)> RowsAbove(int hosts) {
  return [=](const Workload& workload, std::mt19937_64& random) {
    Question out =
        Columns(kMetricsPerHost, hosts, 12 * kHour, kWorkloadStepNanos, Fold::kMax, Apart::kSeries)(workload, random);
    out.shape = Shape::kRows;
    out.threshold = 90;
    return out;
  };
}

Question LastPoints(const Workload& workload, int fields, std::vector<int> hosts) {
  Question out;
  out.shape = Shape::kLatest;
  out.fields = FirstFields(fields);
  out.hosts = std::move(hosts);
  out.range = {workload.end_unix_nanos() - kMinute, workload.end_unix_nanos()};
  out.apart = Apart::kSeries;
  return out;
}

Question Ping() {
  Question out;
  out.shape = Shape::kPing;
  return out;
}

Question OneHourOfSamples(const Workload& workload, std::mt19937_64& random) {
  Question out = Columns(1, 1, kHour, kHour, Fold::kMax, Apart::kSeries)(workload, random);
  out.shape = Shape::kSamples;
  return out;
}

Question EveryMinuteOfTheLastHour(const Workload& workload) {
  Question out;
  out.fields = FirstFields(kMetricsPerHost);
  out.range = {workload.end_unix_nanos() - kHour, workload.end_unix_nanos()};
  out.step_ns = kMinute;
  out.apart = Apart::kNothing;
  return out;
}

std::vector<QuestionKind> MakeKinds() {
  const auto max = [](int fields, int hosts, int hours) {
    return Columns(fields, hosts, hours * kHour, kMinute, Fold::kMax, Apart::kFields);
  };
  const auto hourly_max = [](int hosts) {
    return Columns(kMetricsPerHost, hosts, 8 * kHour, kHour, Fold::kMax, Apart::kFields);
  };
  const auto hourly_mean = [](int fields) {
    return Columns(fields, 0, 12 * kHour, kHour, Fold::kMean, Apart::kSeries);
  };
  return {
      {"ping", "nothing at all", 1'000, 0, [](const Workload&, std::mt19937_64&) { return Ping(); }},
      {"a", "last value of a series", 1'000, 1 / 1.2,
       [](const Workload& w, std::mt19937_64& r) { return LastPoints(w, 1, SomeHosts(w, 1, r)); }},
      {"b", "an hour of a series as it is", 1'000, 1 / 1.2, OneHourOfSamples},
      {"c", "24 h of a series, mean per minute", 300, 1,
       Columns(1, 1, 24 * kHour, kMinute, Fold::kMean, Apart::kSeries)},
      {"d", "24 h of 100 series, mean per hour and host", 100, 3,
       Columns(1, 0, 24 * kHour, kHour, Fold::kMean, Apart::kSeries)},
      {"e", "24 h of 10 series, min and max of 800 columns", 100, 3,
       Columns(1, 10, 24 * kHour, 108 * kNanosPerSecond, Fold::kMinAndMax, Apart::kSeries)},
      {"f", "max over 1,000 series per minute of an hour", 100, 3,
       [](const Workload& w, std::mt19937_64& /*r*/) { return EveryMinuteOfTheLastHour(w); }},
      {"single-groupby-1-1-1", "max of 1 field of 1 host per minute of 1 h", 500, 1, max(1, 1, 1)},
      {"single-groupby-1-1-12", "the same of 12 h", 300, 1, max(1, 1, 12)},
      {"single-groupby-1-8-1", "max of 1 field over 8 hosts per minute of 1 h", 500, 1, max(1, 8, 1)},
      {"single-groupby-5-1-1", "max of 5 fields of 1 host per minute of 1 h", 500, 1, max(5, 1, 1)},
      {"single-groupby-5-1-12", "the same of 12 h", 200, 1, max(5, 1, 12)},
      {"single-groupby-5-8-1", "max of 5 fields over 8 hosts per minute of 1 h", 300, 1, max(5, 8, 1)},
      {"cpu-max-all-1", "max of 10 fields of 1 host per hour of 8 h", 300, 1, hourly_max(1)},
      {"cpu-max-all-8", "max of 10 fields over 8 hosts per hour of 8 h", 200, 1, hourly_max(8)},
      {"double-groupby-1", "mean of 1 field per hour and host, 12 h of all", 100, 1, hourly_mean(1)},
      {"double-groupby-5", "mean of 5 fields, the same", 50, 1, hourly_mean(5)},
      {"double-groupby-all", "mean of 10 fields, the same", 30, 1, hourly_mean(kMetricsPerHost)},
      {"groupby-orderby-limit", "max of 1 field over all hosts in the 5 minutes before a time", 300, 1,
       Columns(1, 0, 5 * kMinute, kMinute, Fold::kMax, Apart::kFields)},
      {"high-cpu-1", "all fields of 1 host where usage_user > 90, 12 h", 100, 1, RowsAbove(1)},
      {"high-cpu-all", "the same of all hosts", 8, 1, RowsAbove(0)},
      {"lastpoint", "last value of all fields of all hosts", 200, 1,
       [](const Workload& w, std::mt19937_64& /*r*/) { return LastPoints(w, kMetricsPerHost, {}); }},
  };
}

}  // namespace

const std::vector<QuestionKind>& AllQuestionKinds() {
  static const std::vector<QuestionKind> kinds = MakeKinds();
  return kinds;
}

std::string Alternatives(const std::vector<int>& numbers, const std::function<std::string(int)>& name) {
  std::string out;
  for (const int number : numbers) out += (out.empty() ? "" : "|") + name(number);
  return out;
}

}  // namespace pulseboard::bench

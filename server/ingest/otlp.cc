#include "server/ingest/otlp.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "common/base/errors.h"
#include "common/base/units.h"

namespace pulseboard {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kMaxMessages = 3;
// Beyond it a bucket is outside of what a double can be.
constexpr int32_t kMaxIndex = 1 << 20;

// As Prometheus writes bounds.
std::string NumberText(double value) {
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return ShortestDecimal(value);
}

// Bounds that are told apart by six digits: they differ by some percent.
std::string ShortNumberText(double value) {
  return std::isinf(value) ? NumberText(value) : fmt::format("{:.6g}", value);
}

bool IsNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '-' || c == '/';
}

// Counts of one sign by the number of the bucket at `scale`, merged from finer ones. False: a bucket beyond all
// doubles.
bool MergeSide(const OtlpExponentialHistogram::Side& side, int32_t shift, std::map<int32_t, uint64_t>* out) {
  for (size_t i = 0; i < side.buckets.size(); ++i) {
    if (side.buckets[i] == 0) continue;
    const int64_t index = (int64_t{side.offset} + static_cast<int64_t>(i)) >> shift;
    if (index < -kMaxIndex || index > kMaxIndex) return false;
    (*out)[static_cast<int32_t>(index)] += side.buckets[i];
  }
  return true;
}

}  // namespace

std::string OtlpLabelName(std::string_view key) {
  std::string out(key);
  for (char& c : out) c = IsNameByte(c) ? c : '_';
  while (out.starts_with("__")) out.erase(0, 1);
  if (!out.empty() && !std::isalpha(static_cast<unsigned char>(out[0])) && out[0] != '_') out.insert(0, "_");
  return out;
}

OtlpPoints::Labels OtlpPoints::KeepLabels(const OtlpPoint& point) {
  Labels out;
  out.reserve(point.labels.size() + 1);
  for (const auto& [name, value] : point.labels) {
    const std::string_view kept_name = Keep(name);
    out.emplace_back(kept_name, Keep(value));
  }
  return out;
}

bool OtlpPoints::Begin(const OtlpPoint& point) {
  refused_.push_back(false);
  if (point.time_unix_nanos > 0 && point.time_unix_nanos <= static_cast<uint64_t>(INT64_MAX)) return true;
  refused_.back() = true;
  NoteMessage("time_unix_nano " + std::to_string(point.time_unix_nanos) +
              " is no time; 1970-01-01 to 2262-04-11 would be accepted");
  return false;
}

void OtlpPoints::Refuse(std::string message) {
  refused_.push_back(true);
  NoteMessage(message);
}

void OtlpPoints::AddSample(const OtlpMetric& metric, std::string_view name, Labels labels, MetricKind kind,
                           std::string_view unit, const OtlpPoint& point, double value) {
  const bool counts = kind == MetricKind::kCounter && point.start_time_unix_nanos > 0 &&
                      point.start_time_unix_nanos <= point.time_unix_nanos;
  if (batches_.empty() || batches_.back().samples.size() + 2 > kMaxPushSamples) {
    batches_.emplace_back();
    point_of_.emplace_back();
  }
  PushSample sample;
  sample.series = {name, std::move(labels), kind, unit, metric.description};
  sample.time_is = PushSample::TimeIs::kGiven;
  if (counts) {
    PushSample start = sample;
    // Clocks of milliseconds tell both the same when the first export is quick.
    start.time_unix_nanos = static_cast<int64_t>(std::min(point.start_time_unix_nanos, point.time_unix_nanos - 1));
    start.begins_counter = true;
    batches_.back().samples.push_back(std::move(start));
    point_of_.back().push_back(static_cast<uint32_t>(refused_.size() - 1));
  }
  sample.time_unix_nanos = static_cast<int64_t>(point.time_unix_nanos);
  sample.value = point.has_no_value ? kNan : value;
  batches_.back().samples.push_back(std::move(sample));
  batches_.back().max_detailed_refusals = batches_.back().samples.size();
  point_of_.back().push_back(static_cast<uint32_t>(refused_.size() - 1));
}

void OtlpPoints::AddNumber(const OtlpMetric& metric, const OtlpPoint& point, MetricKind kind, double value) {
  if (!Begin(point)) return;
  AddSample(metric, metric.name, KeepLabels(point), kind, metric.unit, point, value);
}

void OtlpPoints::AddTotals(const OtlpMetric& metric, const Labels& labels, MetricKind kind, const OtlpPoint& point,
                           const Totals& totals) {
  const std::string name(metric.name);
  AddSample(metric, Keep(name + "_count"), labels, kind, "1", point, static_cast<double>(totals.count));
  if (totals.sum) {
    // A sum that may fall would pass for a counter that starts anew each time.
    const bool falls = kind == MetricKind::kCounter && totals.may_be_negative;
    AddSample(metric, Keep(name + "_sum"), labels, falls ? MetricKind::kGauge : kind, metric.unit, point, *totals.sum);
  }
  if (totals.min) AddSample(metric, Keep(name + "_min"), labels, MetricKind::kGauge, metric.unit, point, *totals.min);
  if (totals.max) AddSample(metric, Keep(name + "_max"), labels, MetricKind::kGauge, metric.unit, point, *totals.max);
}

void OtlpPoints::AddBucket(const OtlpMetric& metric, std::string_view name, const Labels& labels, MetricKind kind,
                           const OtlpPoint& point, double bound, uint64_t up_to) {
  Labels with_bound = labels;
  with_bound.emplace_back("le", Keep(NumberText(bound)));
  AddSample(metric, name, std::move(with_bound), kind, "1", point, static_cast<double>(up_to));
}

OtlpPoint OtlpPoints::AsTold(const OtlpMetric& metric, const OtlpPoint& point) {
  OtlpPoint told = point;
  if (history_ == nullptr || point.start_time_unix_nanos == 0) return told;
  const std::hash<std::string_view> hash;
  uint64_t series = hash(metric.name) + tenant_ * 0xD1B54A32D192ED03;
  for (const auto& [name, value] : point.labels) series += (hash(name) * 0x9E3779B97F4A7C15) ^ hash(value);
  const std::optional<int64_t> last = history_->Exchange(series, static_cast<int64_t>(point.time_unix_nanos));
  if (last) told.start_time_unix_nanos = std::max(told.start_time_unix_nanos, static_cast<uint64_t>(*last));
  return told;
}

void OtlpPoints::AddApartBucket(const OtlpMetric& metric, std::string_view name, const Labels& labels, MetricKind kind,
                                const OtlpPoint& point, std::pair<double, double> bounds, uint64_t count) {
  Labels with_bounds = labels;
  with_bounds.emplace_back("gt", Keep(ShortNumberText(bounds.first)));
  with_bounds.emplace_back("le", Keep(ShortNumberText(bounds.second)));
  AddSample(metric, name, std::move(with_bounds), kind, "1", point, static_cast<double>(count));
}

void OtlpPoints::AddHistogram(const OtlpMetric& metric, const OtlpPoint& point, MetricKind kind,
                              const OtlpHistogram& histogram) {
  if (!histogram.buckets.empty() && histogram.buckets.size() != histogram.bounds.size() + 1) {
    return Refuse(std::string(metric.name) + " has " + std::to_string(histogram.buckets.size()) +
                  " bucket_counts for " + std::to_string(histogram.bounds.size()) +
                  " explicit_bounds; one more, or none, would be accepted");
  }
  const auto not_ascending = [](double a, double b) { return !(a < b); };
  if (std::adjacent_find(histogram.bounds.begin(), histogram.bounds.end(), not_ascending) != histogram.bounds.end()) {
    return Refuse(std::string(metric.name) + " has explicit_bounds that do not ascend");
  }
  if (!Begin(point)) return;
  const Labels labels = KeepLabels(point);
  const bool negative_bound = !histogram.bounds.empty() && histogram.bounds.front() < 0;
  AddTotals(metric, labels, kind, point, TotalsOf(histogram, negative_bound));
  const std::string_view name = Keep(std::string(metric.name) + "_bucket");
  uint64_t up_to = 0;
  for (size_t i = 0; i + 1 < histogram.buckets.size(); ++i) {
    up_to += histogram.buckets[i];
    if (!std::isinf(histogram.bounds[i])) AddBucket(metric, name, labels, kind, point, histogram.bounds[i], up_to);
  }
  AddBucket(metric, name, labels, kind, point, kInfinity, histogram.count);
}

void OtlpPoints::AddExponential(const OtlpMetric& metric, const OtlpPoint& point, MetricKind kind,
                                const OtlpExponentialHistogram& histogram) {
  const int32_t shift = std::clamp(histogram.scale - kFinestScale, 0, 31);
  const int32_t scale = histogram.scale - shift;
  std::map<int32_t, uint64_t> positive, negative;
  if (scale < -10 || histogram.scale - shift > kFinestScale || !MergeSide(histogram.positive, shift, &positive) ||
      !MergeSide(histogram.negative, shift, &negative)) {
    return Refuse(std::string(metric.name) + " has buckets beyond all doubles (scale " +
                  std::to_string(histogram.scale) + ")");
  }
  if (!Begin(point)) return;
  const Labels labels = KeepLabels(point);
  AddTotals(metric, labels, kind, point, TotalsOf(histogram, !negative.empty()));
  const std::string_view name = Keep(std::string(metric.name) + "_bucket");
  // Of 2^(2^-scale) to the power of `index`: whole octaves are exact.
  const auto bound = [scale](int64_t index) { return std::exp2(std::ldexp(static_cast<double>(index), -scale)); };
  const OtlpPoint told = AsTold(metric, point);
  for (const auto& [index, count] : negative) {
    AddApartBucket(metric, name, labels, kind, told, {-bound(int64_t{index} + 1), -bound(index)}, count);
  }
  const double zero = std::max(0.0, histogram.zero_threshold);
  if (histogram.zero_count > 0) {
    AddApartBucket(metric, name, labels, kind, told, {zero > 0 ? -zero : 0, zero}, histogram.zero_count);
  }
  for (const auto& [index, count] : positive) {
    AddApartBucket(metric, name, labels, kind, told, {bound(index), bound(int64_t{index} + 1)}, count);
  }
}

void OtlpPoints::AddSummary(const OtlpMetric& metric, const OtlpPoint& point, uint64_t count, double sum,
                            std::span<const std::pair<double, double>> quantiles) {
  if (!Begin(point)) return;
  const Labels labels = KeepLabels(point);
  AddTotals(metric, labels, MetricKind::kCounter, point, {count, sum, std::nullopt, std::nullopt, sum < 0});
  for (const auto& [quantile, value] : quantiles) {
    Labels with_quantile = labels;
    with_quantile.emplace_back("quantile", Keep(NumberText(quantile)));
    AddSample(metric, metric.name, std::move(with_quantile), MetricKind::kGauge, metric.unit, point, value);
  }
}

void OtlpPoints::NoteRefusals(size_t batch, const Refusals& refusals) {
  for (const SampleRefusal& refusal : refusals.detailed()) {
    // Of when it began only the first increment depends.
    const auto sample = static_cast<size_t>(refusal.sample_index);
    if (batches_[batch].samples[sample].begins_counter) continue;
    refused_[point_of_[batch][sample]] = true;
    NoteMessage(std::string(batches_[batch].samples[sample].series.metric) + ": " + refusal.message);
  }
}

void OtlpPoints::NoteAllRefused(size_t batch, const std::string& message) {
  for (const uint32_t point : point_of_[batch]) refused_[point] = true;
  NoteMessage(message);
}

int64_t OtlpPoints::refused_points() const { return std::count(refused_.begin(), refused_.end(), true); }

void OtlpPoints::NoteMessage(const std::string& message) {
  if (noted_messages_++ >= kMaxMessages) return;
  messages_ += (messages_.empty() ? "" : "; ") + message;
}

}  // namespace pulseboard

// What becomes of OpenTelemetry metrics: points of streams turned into samples of series (OTLP.md). Plain C++; reading
// the messages is server/rpc's.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/model/labels.h"
#include "server/ingest/intake.h"
#include "server/ingest/point_history.h"

namespace pulseboard {

// The letters of an attribute's key that a label name may have, `_` for others.
std::string OtlpLabelName(std::string_view key);

// A metric, as its points share it. The views must outlive the OtlpPoints.
struct OtlpMetric {
  std::string_view name;
  std::string_view unit;
  std::string_view description;
};

// What every point has.
struct OtlpPoint {
  std::vector<std::pair<std::string, std::string>> labels;
  uint64_t start_time_unix_nanos = 0;  // when counting began; 0: not known
  uint64_t time_unix_nanos = 0;
  bool has_no_value = false;  // on purpose: told as NaN
};

struct OtlpHistogram {
  uint64_t count = 0;
  std::optional<double> sum, min, max;
  std::span<const double> bounds;
  std::span<const uint64_t> buckets;  // one more than bounds, or none
};

struct OtlpExponentialHistogram {
  struct Side {
    int32_t offset = 0;
    std::span<const uint64_t> buckets;
  };
  uint64_t count = 0;
  std::optional<double> sum, min, max;
  int32_t scale = 0;
  double zero_threshold = 0;
  uint64_t zero_count = 0;
  Side positive, negative;
};

// Points of one request, as samples in batches that Intake takes. Not thread-safe.
class OtlpPoints {
 public:
  // `history`: of all requests; null: nothing is known of earlier points.
  OtlpPoints(TenantId tenant, PointHistory* history) : tenant_(tenant), history_(history) {}

  // Buckets of exponential histograms are merged until they grow by 2^(2^-3) = 1.0905: series that stay the same as a
  // client's scale drifts, and quantiles known to within 9.1 %.
  static constexpr int32_t kFinestScale = 3;

  void AddNumber(const OtlpMetric& metric, const OtlpPoint& point, MetricKind kind, double value);
  // `kind`: kCounter of cumulative ones, kDelta of others.
  void AddHistogram(const OtlpMetric& metric, const OtlpPoint& point, MetricKind kind, const OtlpHistogram& histogram);
  void AddExponential(const OtlpMetric& metric, const OtlpPoint& point, MetricKind kind,
                      const OtlpExponentialHistogram& histogram);
  // Pairs of quantile and value.
  void AddSummary(const OtlpMetric& metric, const OtlpPoint& point, uint64_t count, double sum,
                  std::span<const std::pair<double, double>> quantiles);
  // A point that is not taken at all.
  void Refuse(std::string message);

  // Filled; the samples' views live as long as this.
  std::deque<PushBatch>& batches() { return batches_; }
  // Notes what Intake refused of batches()[batch].
  void NoteRefusals(size_t batch, const Refusals& refusals);
  // Nothing of a batch was taken.
  void NoteAllRefused(size_t batch, const std::string& message);

  int64_t refused_points() const;
  // Of the first ones, to be shown to people.
  const std::string& messages() const { return messages_; }

 private:
  using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

  std::string_view Keep(std::string text) { return texts_.emplace_back(std::move(text)); }
  // The labels of the point, kept; `more` is added to them.
  Labels KeepLabels(const OtlpPoint& point);
  // Begins a point; false when its time makes no sense and it was refused.
  bool Begin(const OtlpPoint& point);
  void AddSample(const OtlpMetric& metric, std::string_view name, Labels labels, MetricKind kind, std::string_view unit,
                 const OtlpPoint& point, double value);
  struct Totals {
    uint64_t count = 0;
    std::optional<double> sum, min, max;
    bool may_be_negative = false;  // the values
  };
  template <typename Histogram>
  static Totals TotalsOf(const Histogram& histogram, bool has_negative) {
    const bool negative = has_negative || histogram.sum.value_or(0) < 0 || histogram.min.value_or(0) < 0;
    return {histogram.count, histogram.sum, histogram.min, histogram.max, negative};
  }
  void AddTotals(const OtlpMetric& metric, const Labels& labels, MetricKind kind, const OtlpPoint& point,
                 const Totals& totals);
  // Values up to `bound`.
  void AddBucket(const OtlpMetric& metric, std::string_view name, const Labels& labels, MetricKind kind,
                 const OtlpPoint& point, double bound, uint64_t up_to);
  // The point as its buckets see it: one without a series had no values when the distribution was last told.
  OtlpPoint AsTold(const OtlpMetric& metric, const OtlpPoint& point);
  // `count` values above the first bound up to the second.
  void AddApartBucket(const OtlpMetric& metric, std::string_view name, const Labels& labels, MetricKind kind,
                      const OtlpPoint& point, std::pair<double, double> bounds, uint64_t count);
  void NoteMessage(const std::string& message);

  const TenantId tenant_;
  PointHistory* const history_;
  std::deque<std::string> texts_;  // addresses stay
  std::deque<PushBatch> batches_;
  std::vector<std::vector<uint32_t>> point_of_;  // by batch and sample
  std::vector<bool> refused_;                    // by point
  std::string messages_;
  int noted_messages_ = 0;
};

}  // namespace pulseboard

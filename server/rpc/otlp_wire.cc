#include "server/rpc/otlp_wire.h"

#include <algorithm>
#include <map>
#include <string>

#include "common/base/units.h"
#include "common/model/names.h"

namespace pulseboard {
namespace {

namespace common = opentelemetry::proto::common::v1;
namespace metrics = opentelemetry::proto::metrics::v1;

using Attributes = google::protobuf::RepeatedPtrField<common::KeyValue>;
using LabelMap = std::map<std::string, std::string>;

constexpr int kMaxNesting = 8;

bool IsPlain(const common::AnyValue& value) {
  return value.has_string_value() || value.has_bool_value() || value.has_int_value() || value.has_double_value();
}

// Text of a value; lists as `[a,b]`, maps as `{k=v}`. Bytes and what is nested too deeply are left out.
std::string TextOf(const common::AnyValue& value, int depth = 0) {
  if (depth > kMaxNesting) return "";
  if (value.has_string_value()) return value.string_value();
  if (value.has_bool_value()) return value.bool_value() ? "true" : "false";
  if (value.has_int_value()) return std::to_string(value.int_value());
  if (value.has_double_value()) return ShortestDecimal(value.double_value());
  std::string out;
  if (value.has_array_value()) {
    for (const common::AnyValue& one : value.array_value().values()) {
      out += (out.empty() ? "[" : ",") + TextOf(one, depth + 1);
    }
    return out.empty() ? "[]" : out + "]";
  }
  if (!value.has_kvlist_value()) return "";
  for (const common::KeyValue& one : value.kvlist_value().values()) {
    out += (out.empty() ? "{" : ",") + one.key() + "=" + TextOf(one.value(), depth + 1);
  }
  return out.empty() ? "{}" : out + "}";
}

// Of a resource (by `rules`) or scope (all): what cannot be a label is left out.
void AddShared(const Attributes& attributes, const OtlpAttributeRules* rules, LabelMap* out) {
  for (const common::KeyValue& attribute : attributes) {
    if (!IsPlain(attribute.value()) || (rules != nullptr && !rules->Takes(attribute.key()))) continue;
    std::string value = TextOf(attribute.value());
    const std::string name = OtlpLabelName(attribute.key());
    if (ValidateLabelName("", name).ok() && value.size() <= kMaxLabelValueBytes) (*out)[name] = std::move(value);
  }
}

// Turns the points of one metric; `shared` are the labels of its resource and scope.
class MetricReader {
 public:
  MetricReader(const metrics::Metric& in, const LabelMap& shared, OtlpPoints* out)
      : in_(in), metric_{in.name(), in.unit(), in.description()}, shared_(shared), out_(*out) {}

  void Read() {
    switch (in_.data_case()) {
      case metrics::Metric::kGauge:
        for (const auto& point : in_.gauge().data_points()) ReadNumber(point, MetricKind::kGauge);
        return;
      case metrics::Metric::kSum:
        return ReadCounts(in_.sum(), [this](const auto& point, MetricKind kind) {
          // What rises and falls since its start is a value like any other.
          const bool is_gauge = kind == MetricKind::kCounter && !in_.sum().is_monotonic();
          ReadNumber(point, is_gauge ? MetricKind::kGauge : kind);
        });
      case metrics::Metric::kHistogram:
        return ReadCounts(in_.histogram(), [this](const auto& point, MetricKind kind) { ReadHistogram(point, kind); });
      case metrics::Metric::kExponentialHistogram:
        return ReadCounts(in_.exponential_histogram(),
                          [this](const auto& point, MetricKind kind) { ReadExponential(point, kind); });
      case metrics::Metric::kSummary:
        for (const auto& point : in_.summary().data_points()) ReadSummary(point);
        return;
      case metrics::Metric::DATA_NOT_SET:
        return;
    }
  }

 private:
  // Points of what counts; all are refused when it is not said since when.
  template <typename Data, typename ReadPoint>
  void ReadCounts(const Data& data, const ReadPoint& read_point) {
    const metrics::AggregationTemporality temporality = data.aggregation_temporality();
    const bool is_delta = temporality == metrics::AGGREGATION_TEMPORALITY_DELTA;
    const bool is_known = is_delta || temporality == metrics::AGGREGATION_TEMPORALITY_CUMULATIVE;
    for (const auto& point : data.data_points()) {
      if (is_known) {
        read_point(point, is_delta ? MetricKind::kDelta : MetricKind::kCounter);
      } else {
        out_.Refuse(in_.name() + " has aggregation_temporality " + std::to_string(static_cast<int>(temporality)) +
                    "; DELTA or CUMULATIVE would be accepted");
      }
    }
  }

  template <typename Point, typename Histogram>
  static void ReadTotals(const Point& in, Histogram* out) {
    out->count = in.count();
    if (in.has_sum()) out->sum = in.sum();
    if (in.has_min()) out->min = in.min();
    if (in.has_max()) out->max = in.max();
  }

  template <typename Point>
  OtlpPoint PointOf(const Point& in) const {
    OtlpPoint point;
    point.start_time_unix_nanos = in.start_time_unix_nano();
    point.time_unix_nanos = in.time_unix_nano();
    point.has_no_value = (in.flags() & metrics::DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK) != 0;
    // A point's own attributes win; two of them that become one name are Intake's to refuse.
    for (const common::KeyValue& attribute : in.attributes()) {
      point.labels.emplace_back(OtlpLabelName(attribute.key()), TextOf(attribute.value()));
    }
    const size_t own = point.labels.size();
    for (const auto& [name, value] : shared_) {
      const auto end = point.labels.begin() + static_cast<ptrdiff_t>(own);
      const bool hidden =
          std::any_of(point.labels.begin(), end, [&](const auto& label) { return label.first == name; });
      if (!hidden) point.labels.emplace_back(name, value);
    }
    return point;
  }

  void ReadNumber(const metrics::NumberDataPoint& in, MetricKind kind) {
    const OtlpPoint point = PointOf(in);
    if (in.value_case() == metrics::NumberDataPoint::VALUE_NOT_SET && !point.has_no_value) {
      return out_.Refuse(in_.name() + " has a point without a value");
    }
    out_.AddNumber(metric_, point, kind, in.has_as_int() ? static_cast<double>(in.as_int()) : in.as_double());
  }

  void ReadHistogram(const metrics::HistogramDataPoint& in, MetricKind kind) {
    OtlpHistogram histogram;
    ReadTotals(in, &histogram);
    histogram.bounds = {in.explicit_bounds().data(), static_cast<size_t>(in.explicit_bounds_size())};
    histogram.buckets = {in.bucket_counts().data(), static_cast<size_t>(in.bucket_counts_size())};
    out_.AddHistogram(metric_, PointOf(in), kind, histogram);
  }

  void ReadExponential(const metrics::ExponentialHistogramDataPoint& in, MetricKind kind) {
    OtlpExponentialHistogram histogram;
    ReadTotals(in, &histogram);
    histogram.scale = in.scale();
    histogram.zero_threshold = in.zero_threshold();
    histogram.zero_count = in.zero_count();
    const auto side = [](const metrics::ExponentialHistogramDataPoint::Buckets& buckets) {
      const auto& counts = buckets.bucket_counts();
      return OtlpExponentialHistogram::Side{buckets.offset(), {counts.data(), static_cast<size_t>(counts.size())}};
    };
    histogram.positive = side(in.positive());
    histogram.negative = side(in.negative());
    out_.AddExponential(metric_, PointOf(in), kind, histogram);
  }

  void ReadSummary(const metrics::SummaryDataPoint& in) {
    std::vector<std::pair<double, double>> quantiles;
    for (const auto& one : in.quantile_values()) quantiles.emplace_back(one.quantile(), one.value());
    out_.AddSummary(metric_, PointOf(in), in.count(), in.sum(), quantiles);
  }

  const metrics::Metric& in_;
  const OtlpMetric metric_;
  const LabelMap& shared_;
  OtlpPoints& out_;
};

}  // namespace

void FromProto(const otlp::ExportMetricsServiceRequest& request, const OtlpAttributeRules& resource_labels,
               OtlpPoints* out) {
  for (const metrics::ResourceMetrics& resource : request.resource_metrics()) {
    LabelMap of_resource;
    AddShared(resource.resource().attributes(), &resource_labels, &of_resource);
    for (const metrics::ScopeMetrics& scope : resource.scope_metrics()) {
      LabelMap shared = of_resource;
      AddShared(scope.scope().attributes(), nullptr, &shared);
      if (!scope.scope().name().empty()) shared["otel.scope.name"] = scope.scope().name();
      if (!scope.scope().version().empty()) shared["otel.scope.version"] = scope.scope().version();
      for (const metrics::Metric& metric : scope.metrics()) MetricReader(metric, shared, out).Read();
    }
  }
}

}  // namespace pulseboard

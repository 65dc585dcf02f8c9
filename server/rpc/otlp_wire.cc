#include "server/rpc/otlp_wire.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string>

#include "common/model/names.h"

namespace pulseboard {
namespace {

namespace common = opentelemetry::proto::common::v1;
namespace metrics = opentelemetry::proto::metrics::v1;

using Attributes = google::protobuf::RepeatedPtrField<common::KeyValue>;
using LabelMap = std::map<std::string, std::string>;

constexpr std::string_view kSdkAttributes = "telemetry.";  // of every process the same
constexpr int kMaxNesting = 8;

template <typename Number>
std::string NumberText(Number value) {
  std::array<char, 32> buffer;
  return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr};
}

bool IsPlain(const common::AnyValue& value) {
  return value.has_string_value() || value.has_bool_value() || value.has_int_value() || value.has_double_value();
}

// Text of a value; lists as `[a,b]`, maps as `{k=v}`. Bytes and what is nested too deeply are left out.
std::string TextOf(const common::AnyValue& value, int depth = 0) {
  if (depth > kMaxNesting) return "";
  if (value.has_string_value()) return value.string_value();
  if (value.has_bool_value()) return value.bool_value() ? "true" : "false";
  if (value.has_int_value()) return NumberText(value.int_value());
  if (value.has_double_value()) return NumberText(value.double_value());
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

// Of a resource or scope: what cannot be a label is left out.
void AddShared(const Attributes& attributes, LabelMap* out) {
  for (const common::KeyValue& attribute : attributes) {
    if (!IsPlain(attribute.value()) || attribute.key().starts_with(kSdkAttributes)) continue;
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
        return ReadNumbers(in_.gauge().data_points(), MetricKind::kGauge);
      case metrics::Metric::kSum:
        return ReadSum(in_.sum());
      case metrics::Metric::kHistogram:
        for (const auto& point : in_.histogram().data_points()) {
          if (const auto kind = KindOf(in_.histogram().aggregation_temporality())) ReadHistogram(point, *kind);
        }
        return;
      case metrics::Metric::kExponentialHistogram:
        for (const auto& point : in_.exponential_histogram().data_points()) {
          const auto kind = KindOf(in_.exponential_histogram().aggregation_temporality());
          if (kind) ReadExponential(point, *kind);
        }
        return;
      case metrics::Metric::kSummary:
        for (const auto& point : in_.summary().data_points()) ReadSummary(point);
        return;
      case metrics::Metric::DATA_NOT_SET:
        return;
    }
  }

 private:
  // Of what counts. Nothing, and the point refused, when it is not said since when.
  std::optional<MetricKind> KindOf(metrics::AggregationTemporality temporality) {
    if (temporality == metrics::AGGREGATION_TEMPORALITY_CUMULATIVE) return MetricKind::kCounter;
    if (temporality == metrics::AGGREGATION_TEMPORALITY_DELTA) return MetricKind::kDelta;
    out_.Refuse(in_.name() + " has aggregation_temporality " + std::to_string(static_cast<int>(temporality)) +
                "; DELTA or CUMULATIVE would be accepted");
    return std::nullopt;
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

  void ReadNumbers(const google::protobuf::RepeatedPtrField<metrics::NumberDataPoint>& points, MetricKind kind) {
    for (const metrics::NumberDataPoint& in : points) {
      const OtlpPoint point = PointOf(in);
      if (in.value_case() == metrics::NumberDataPoint::VALUE_NOT_SET && !point.has_no_value) {
        out_.Refuse(in_.name() + " has a point without a value");
        continue;
      }
      out_.AddNumber(metric_, point, kind, in.has_as_int() ? static_cast<double>(in.as_int()) : in.as_double());
    }
  }

  void ReadSum(const metrics::Sum& sum) {
    for (int i = 0; i < sum.data_points_size(); ++i) {
      const std::optional<MetricKind> kind = KindOf(sum.aggregation_temporality());
      if (!kind) continue;
      // What rises and falls since its start is a value like any other.
      const bool is_gauge = *kind == MetricKind::kCounter && !sum.is_monotonic();
      return ReadNumbers(sum.data_points(), is_gauge ? MetricKind::kGauge : *kind);
    }
  }

  void ReadHistogram(const metrics::HistogramDataPoint& in, MetricKind kind) {
    OtlpHistogram histogram;
    histogram.count = in.count();
    if (in.has_sum()) histogram.sum = in.sum();
    if (in.has_min()) histogram.min = in.min();
    if (in.has_max()) histogram.max = in.max();
    histogram.bounds = {in.explicit_bounds().data(), static_cast<size_t>(in.explicit_bounds_size())};
    histogram.buckets = {in.bucket_counts().data(), static_cast<size_t>(in.bucket_counts_size())};
    out_.AddHistogram(metric_, PointOf(in), kind, histogram);
  }

  void ReadExponential(const metrics::ExponentialHistogramDataPoint& in, MetricKind kind) {
    OtlpExponentialHistogram histogram;
    histogram.count = in.count();
    if (in.has_sum()) histogram.sum = in.sum();
    if (in.has_min()) histogram.min = in.min();
    if (in.has_max()) histogram.max = in.max();
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

void FromProto(const otlp::ExportMetricsServiceRequest& request, OtlpPoints* out) {
  for (const metrics::ResourceMetrics& resource : request.resource_metrics()) {
    LabelMap of_resource;
    AddShared(resource.resource().attributes(), &of_resource);
    for (const metrics::ScopeMetrics& scope : resource.scope_metrics()) {
      LabelMap shared = of_resource;
      AddShared(scope.scope().attributes(), &shared);
      if (!scope.scope().name().empty()) shared["otel.scope.name"] = scope.scope().name();
      if (!scope.scope().version().empty()) shared["otel.scope.version"] = scope.scope().version();
      for (const metrics::Metric& metric : scope.metrics()) MetricReader(metric, shared, out).Read();
    }
  }
}

}  // namespace pulseboard

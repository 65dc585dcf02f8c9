#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "server/query/expression/series_keys.h"
#include "server/query/expression/vector_functions.h"

namespace pulseboard::expression {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::string_view kBoundLabel = "le";
constexpr std::string_view kLowerBoundLabel = "gt";  // of buckets that count for themselves: LANGUAGE.md, Histograms

struct Bucket {
  double bound = 0;
  double count = 0;                  // of all observations up to the bound
  std::optional<double> above = {};  // set: only of those above it
};

std::optional<double> ParseBound(std::string_view text) {
  if (text == "+Inf" || text == "Inf") return kInfinity;
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || std::isnan(value)) return std::nullopt;
  return value;
}

// As Prometheus has it: linear within the bucket, whose start is 0 for the first one; above the last finite bound, that
// bound. Buckets that were read a moment apart may fall; they are taken as not falling.
double QuantileOfBuckets(Function which, double phi, std::vector<Bucket>* buckets) {
  std::sort(buckets->begin(), buckets->end(), [](const Bucket& a, const Bucket& b) { return a.bound < b.bound; });
  if (buckets->back().bound != kInfinity) return kNaN;
  std::vector<Bucket> merged;
  for (const Bucket& bucket : *buckets) {
    if (!merged.empty() && merged.back().bound == bucket.bound) {
      merged.back().count += bucket.count;
    } else {
      merged.push_back(bucket);
    }
  }
  for (size_t i = 1; i < merged.size(); ++i) merged[i].count = std::max(merged[i].count, merged[i - 1].count);
  if (merged.size() < 2 || !(merged.back().count > 0)) return kNaN;
  double rank = phi * merged.back().count;
  const auto reached =
      std::find_if(merged.begin(), merged.end() - 1, [rank](const Bucket& bucket) { return bucket.count >= rank; });
  // Before the first bound nothing is known; the estimate takes it for 0.
  if (which == Function::kHistogramQuantileHigh) return reached->bound;
  if (which == Function::kHistogramQuantileLow) return reached == merged.begin() ? -kInfinity : (reached - 1)->bound;
  if (reached == merged.end() - 1) return merged[merged.size() - 2].bound;
  if (reached == merged.begin()) {
    if (reached->bound <= 0) return reached->bound;
    return reached->bound * (rank / reached->count);
  }
  const Bucket& before = *(reached - 1);
  rank -= before.count;
  return before.bound + (reached->bound - before.bound) * (rank / (reached->count - before.count));
}

// Within a bucket values are taken as evenly spread over its logarithm, as the bounds are; over itself around 0.
double WithinBucket(double low, double high, double share) {
  if (low > 0) return low * std::pow(high / low, share);
  if (high < 0) return high * std::pow(low / high, 1 - share);
  return low + (high - low) * share;
}

// Of buckets that count for themselves, with gaps where there is nothing.
double QuantileOfApartBuckets(Function which, double phi, std::vector<Bucket>* buckets) {
  std::erase_if(*buckets, [](const Bucket& bucket) { return !(bucket.count > 0) || !bucket.above; });
  if (buckets->empty()) return kNaN;
  std::sort(buckets->begin(), buckets->end(), [](const Bucket& a, const Bucket& b) { return a.bound < b.bound; });
  double total = 0;
  for (const Bucket& bucket : *buckets) total += bucket.count;
  double rank = phi * total;
  size_t at = 0;
  for (; at + 1 < buckets->size() && rank > (*buckets)[at].count; ++at) rank -= (*buckets)[at].count;
  const Bucket& bucket = (*buckets)[at];
  if (which == Function::kHistogramQuantileHigh) return bucket.bound;
  if (which == Function::kHistogramQuantileLow) return *bucket.above;
  return WithinBucket(*bucket.above, bucket.bound, std::clamp(rank / bucket.count, 0.0, 1.0));
}

double QuantileOf(Function which, double phi, std::vector<Bucket>* buckets) {
  if (std::isnan(phi)) return kNaN;
  if (phi < 0) return -kInfinity;
  if (phi > 1) return kInfinity;
  const bool apart = std::any_of(buckets->begin(), buckets->end(), [](const Bucket& b) { return b.above.has_value(); });
  return apart ? QuantileOfApartBuckets(which, phi, buckets) : QuantileOfBuckets(which, phi, buckets);
}

class HistogramQuantileStream final : public VectorStream {
 public:
  HistogramQuantileStream(const EvaluationContext& context, Function which, ScalarSource phi, VectorStreamPtr inner,
                          size_t grid_size)
      : context_(context), which_(which), phi_source_(std::move(phi)), inner_(std::move(inner)), size_(grid_size) {}

  absl::StatusOr<bool> Next(EvaluatedSeries* out) override {
    if (!std::exchange(started_, true)) {
      PB_RETURN_IF_ERROR(Gather());
      next_ = histograms_.begin();
    }
    if (next_ == histograms_.end()) return false;
    const auto& [key, components] = *next_++;
    *out = {key, 0, {}, std::vector<double>(size_, kNoValue)};
    std::vector<Bucket> buckets;
    for (size_t i = 0; i < size_; ++i) {
      buckets.clear();
      for (const Component& component : components) {
        if (!IsAbsent(component.values[i])) buckets.push_back({component.bound, component.values[i], component.above});
      }
      if (!buckets.empty()) out->values[i] = QuantileOf(which_, phi_[i], &buckets);
    }
    PB_RETURN_IF_ERROR(context_.source->CheckAlive());
    return true;
  }

 private:
  struct Component {
    double bound = 0;
    std::optional<double> above;
    std::vector<double> values;
  };

  absl::Status Gather() {
    PB_ASSIGN_OR_RETURN(phi_, phi_source_());
    const std::array<std::string, 2> bound_labels = {std::string(kBoundLabel), std::string(kLowerBoundLabel)};
    EvaluatedSeries series;
    while (true) {
      PB_ASSIGN_OR_RETURN(const bool more, inner_->Next(&series));
      if (!more) return absl::OkStatus();
      const std::optional<double> bound = ParseBound(series.key.Get(kBoundLabel));
      if (!bound) continue;
      PB_RETURN_IF_ERROR(context_.source->Hold(series.values.size()));
      const std::optional<double> above = ParseBound(series.key.Get(kLowerBoundLabel));
      histograms_[DropLabels(series.key, bound_labels)].push_back({*bound, above, std::move(series.values)});
    }
  }

  const EvaluationContext context_;
  const Function which_;
  const ScalarSource phi_source_;
  const VectorStreamPtr inner_;
  const size_t size_;
  bool started_ = false;
  std::vector<double> phi_;
  std::map<SeriesKey, std::vector<Component>> histograms_;
  std::map<SeriesKey, std::vector<Component>>::const_iterator next_;
};

}  // namespace

VectorStreamPtr HistogramQuantile(const EvaluationContext& context, Function which, ScalarSource phi,
                                  VectorStreamPtr inner, size_t grid_size) {
  return std::make_unique<HistogramQuantileStream>(context, which, std::move(phi), std::move(inner), grid_size);
}

}  // namespace pulseboard::expression

#include "server/ingest/series_limits.h"

#include <algorithm>
#include <set>
#include <vector>

#include "common/base/errors.h"
#include "common/model/selector.h"

namespace pulseboard {
namespace {

// What the newest series of a tenant or of one of its metrics are like.
struct Offender {
  std::string metric;
  size_t sampled = 0;    // newest series looked at
  size_t of_metric = 0;  // of them, series of `metric`
  std::string label;     // which has most values in these; empty: they have no labels
  size_t label_values = 0;
  std::string example;  // one of them, the newest
};

std::vector<std::shared_ptr<const SeriesInfo>> NewestSeries(const Store& store, TenantId tenant,
                                                            const std::string& metric) {
  Selector selector;
  if (!metric.empty()) {
    auto matcher = Matcher::Make(std::string(kMetricNameLabel), Matcher::Op::kEqual, metric);
    if (matcher.ok()) selector = Selector({*std::move(matcher)});
  }
  const std::vector<SeriesId> ids = store.SelectSeries(tenant, selector);  // ids grow: the newest are at the end
  std::vector<std::shared_ptr<const SeriesInfo>> newest;
  for (auto it = ids.rbegin(); it != ids.rend() && newest.size() < SeriesLimits::kSampledSeries; ++it) {
    if (auto info = store.GetSeries(*it); info != nullptr) newest.push_back(std::move(info));
  }
  return newest;
}

Offender FindOffender(const Store& store, TenantId tenant, const std::string& metric) {
  const auto newest = NewestSeries(store, tenant, metric);
  Offender out;
  out.sampled = newest.size();
  std::map<std::string_view, size_t> metrics;
  for (const auto& info : newest) ++metrics[info->key.metric];
  for (const auto& [name, count] : metrics) {
    if (count <= out.of_metric) continue;
    out.metric = name;
    out.of_metric = count;
  }
  std::map<std::string_view, std::set<std::string_view>> labels;
  for (const auto& info : newest) {
    if (info->key.metric != out.metric) continue;
    for (const Label& label : info->key.labels) labels[label.name].insert(label.value);
  }
  for (const auto& [name, values] : labels) {
    if (values.size() <= out.label_values) continue;
    out.label = name;
    out.label_values = values.size();
  }
  for (const auto& info : newest) {
    if (info->key.metric != out.metric) continue;
    out.example = info->key.labels.Get(out.label);
    break;
  }
  return out;
}

}  // namespace

std::shared_ptr<const SeriesOverflow> SeriesLimits::Check(TenantId tenant, const std::string& metric) const {
  if (store_.SeriesCount(tenant) >= max_per_tenant_) return Find(tenant, "");
  if (store_.SeriesCount(tenant, metric) >= max_per_metric_) return Find(tenant, metric);
  return nullptr;
}

std::shared_ptr<const SeriesOverflow> SeriesLimits::Find(TenantId tenant, const std::string& metric) const {
  MutexLock lock(&mu_);
  const auto known = found_.find({tenant, metric});
  if (known != found_.end() && clock_.MonotonicNanos() < known->second->found_at_ns + kFindEvery) return known->second;
  if (known == found_.end() && found_.size() >= kMaxRemembered) found_.clear();
  return found_[{tenant, metric}] = Describe(tenant, metric);
}

std::shared_ptr<const SeriesOverflow> SeriesLimits::Describe(TenantId tenant, const std::string& metric) const {
  const bool whole_tenant = metric.empty();
  const std::string setting = whole_tenant ? "ingest.max_series_per_tenant" : "ingest.max_series_per_metric";
  const std::string limit = std::to_string(whole_tenant ? max_per_tenant_ : max_per_metric_);
  const std::string name = tenant_name_ ? tenant_name_(tenant) : std::to_string(tenant);
  const Offender offender = FindOffender(store_, tenant, metric);
  ErrorMetadata metadata = {{"tenant", name},
                            {"setting", setting},
                            {"limit", limit},
                            {"metric", offender.metric},
                            {"metricSeries", std::to_string(store_.SeriesCount(tenant, offender.metric))},
                            {"newestSeries", std::to_string(offender.sampled)}};
  std::string message = (whole_tenant ? "tenant " : "metric " + metric + " of tenant ") + name +
                        " has its most series, " + limit + " (" + setting + "): of the newest " +
                        metadata["newestSeries"] + " ";
  if (whole_tenant) {
    metadata["newestSeriesOfMetric"] = std::to_string(offender.of_metric);
    message += metadata["newestSeriesOfMetric"] + " are of metric " + offender.metric + " (" +
               metadata["metricSeries"] + " in all), and of these ";
  }
  if (offender.label.empty()) {
    message += "none has labels; use fewer metrics";
  } else {
    metadata["label"] = Printable(offender.label);
    metadata["labelValues"] = std::to_string(offender.label_values);
    metadata["labelValue"] = Printable(offender.example);
    message += "label " + metadata["label"] + " has " + metadata["labelValues"] + " values, such as '" +
               metadata["labelValue"] + "'; leave it out or bound its values";
  }
  message += ", or raise " + setting;

  auto out = std::make_shared<SeriesOverflow>();
  out->found_at_ns = clock_.MonotonicNanos();
  out->subject = "tenant:" + name + (whole_tenant ? "" : " metric:" + metric);
  out->status =
      WithQuotaViolation(MakeError(ErrorReason::kSeriesLimit, message, std::move(metadata)), {out->subject, message});
  return out;
}

}  // namespace pulseboard

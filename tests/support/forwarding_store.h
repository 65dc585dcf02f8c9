// ForwardingStore: a Store in front of a real one, for tests that want one answer to be different.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/storage/store.h"

namespace pulseboard::testing {

// The real store must outlive it.
class ForwardingStore : public Store {
 public:
  explicit ForwardingStore(Store& real) : real_(real) {}

  absl::StatusOr<SeriesId> FindOrCreateSeries(TenantId tenant, const SeriesKey& key, const SeriesMetadata& metadata,
                                              bool* created) override {
    return real_.FindOrCreateSeries(tenant, key, metadata, created);
  }
  std::optional<SeriesId> FindSeries(TenantId tenant, const SeriesKey& key) const override {
    return real_.FindSeries(tenant, key);
  }
  std::shared_ptr<const SeriesInfo> GetSeries(SeriesId id) const override { return real_.GetSeries(id); }
  std::vector<SeriesId> SelectSeries(TenantId tenant, const Selector& selector) const override {
    return real_.SelectSeries(tenant, selector);
  }
  std::vector<LabelValueSummary> ListLabelValues(TenantId tenant, std::string_view label, const Selector& selector,
                                                 const std::string* after, size_t limit) const override {
    return real_.ListLabelValues(tenant, label, selector, after, limit);
  }
  CardinalityReport Cardinality(TenantId tenant, const Selector& selector, CardinalityOrder order,
                                size_t limit) const override {
    return real_.Cardinality(tenant, selector, order, limit);
  }
  int64_t SeriesCount(TenantId tenant) const override { return real_.SeriesCount(tenant); }
  int64_t SeriesCount(TenantId tenant, std::string_view metric) const override {
    return real_.SeriesCount(tenant, metric);
  }
  std::vector<TierOptions> Tiers(TenantId tenant) const override { return real_.Tiers(tenant); }
  int64_t RawRetention(TenantId tenant) const override { return real_.RawRetention(tenant); }
  OldestTime OldestAccepted(TenantId tenant) const override { return real_.OldestAccepted(tenant); }
  std::shared_ptr<const void> VisitSeries() const override { return real_.VisitSeries(); }
  bool HoldSeries(SeriesId series) override { return real_.HoldSeries(series); }
  void ReleaseSeries(std::span<const SeriesId> series) override { real_.ReleaseSeries(series); }
  absl::Status Append(AppendBatch batch, AppendDone done) override {
    return real_.Append(std::move(batch), std::move(done));
  }
  int64_t ProducerPosition(TenantId tenant, std::string_view producer_id) const override {
    return real_.ProducerPosition(tenant, producer_id);
  }
  absl::StatusOr<std::unique_ptr<ReadView>> OpenView(std::span<const SeriesId> series, TimeRange range,
                                                     const std::function<void(int64_t)>& at_cut) override {
    return real_.OpenView(series, range, at_cut);
  }
  absl::StatusOr<std::optional<Sample>> Latest(SeriesId series) override { return real_.Latest(series); }
  absl::Status ReadCommits(int64_t after, int64_t up_to,
                           const std::function<absl::Status(const CommittedBatch&)>& visit) override {
    return real_.ReadCommits(after, up_to, visit);
  }
  void Cut(const std::function<void(int64_t)>& at_cut) override { real_.Cut(at_cut); }
  const std::string& store_id() const override { return real_.store_id(); }
  uint64_t epoch() const override { return real_.epoch(); }
  absl::Status CheckPosition(uint64_t epoch, int64_t commit_sequence) const override {
    return real_.CheckPosition(epoch, commit_sequence);
  }
  Table& GetTable(std::string_view name) override { return real_.GetTable(name); }
  StoreOperations& operations() override { return real_.operations(); }
  void SetRetention(RetentionPolicy policy) override { real_.SetRetention(std::move(policy)); }
  RetentionPolicy Retention() const override { return real_.Retention(); }
  RetentionPreview PreviewRetention(const RetentionPolicy& policy) const override {
    return real_.PreviewRetention(policy);
  }
  absl::Status Checkpoint() override { return real_.Checkpoint(); }
  absl::Status Health() const override { return real_.Health(); }
  StoreStats Stats() const override { return real_.Stats(); }
  absl::Status Close() override { return real_.Close(); }

 protected:
  Store& real_;
};

}  // namespace pulseboard::testing

#include "server/ingest/intake.h"

#include <algorithm>
#include <string>

#include "common/base/errors.h"
#include "common/model/names.h"

namespace pulseboard {
namespace {

std::string Number(int64_t n) { return std::to_string(n); }

// Unit and description: optional, UTF-8, bounded.
absl::Status ValidateText(std::string_view field, std::string_view text, size_t max_bytes) {
  const bool has_nul = text.find('\0') != std::string_view::npos;
  if (text.size() <= max_bytes && !has_nul && IsValidUtf8(text)) return absl::OkStatus();
  return BadField(field, text, "at most " + std::to_string(max_bytes) + " bytes of UTF-8 without NUL");
}

absl::Status ValidateLabels(const SeriesDraft& draft, int32_t max_labels) {
  if (draft.labels.size() > static_cast<size_t>(max_labels)) {
    return BadField("labels", std::to_string(draft.labels.size()) + " labels",
                    "at most " + Number(max_labels) + " (ingest.max_labels)");
  }
  for (const auto& [name, value] : draft.labels) {
    PB_RETURN_IF_ERROR(ValidateLabelName("label name", name));
    PB_RETURN_IF_ERROR(ValidateLabelValue("value of label " + Printable(name), value));
  }
  return absl::OkStatus();
}

std::string_view FirstRepeat(const SeriesDraft& draft) {
  std::vector<std::string_view> names;
  names.reserve(draft.labels.size());
  for (const auto& label : draft.labels) names.push_back(label.first);
  std::sort(names.begin(), names.end());
  const auto repeat = std::adjacent_find(names.begin(), names.end());
  return repeat == names.end() ? std::string_view{} : *repeat;
}

absl::Status ValidateProducer(const PushBatch& batch) {
  if (batch.producer_id.size() > kMaxProducerIdBytes) {
    return BadField("producer_id", batch.producer_id, "1 to " + std::to_string(kMaxProducerIdBytes) + " bytes");
  }
  if (!batch.producer_id.empty() && batch.sequence <= 0) {
    return BadField("sequence", Number(batch.sequence), "a positive number, growing with every batch of the producer,");
  }
  if (batch.producer_id.empty() && batch.sequence != 0) {
    return BadField("producer_id", "", "the producer whose sequence this is (or no sequence)");
  }
  return absl::OkStatus();
}

}  // namespace

Intake::Intake(Store& store, const Clock& clock, IntakeOptions options)
    : store_(store),
      clock_(clock),
      options_(std::move(options)),
      limits_(store, clock, options_.max_series_per_tenant, options_.max_series_per_metric, options_.tenant_name) {}

std::unique_ptr<IntakeStream> Intake::OpenStream(TenantId tenant) {
  return std::unique_ptr<IntakeStream>(new IntakeStream(*this, tenant));
}

absl::StatusOr<std::unique_ptr<IntakeStream>> Intake::OpenPushStream(TenantId tenant) {
  std::unique_ptr<IntakeStream> stream = OpenStream(tenant);  // counted: of two at a time one may be one too many
  if (open_streams_ <= options_.max_streams) return stream;
  const std::string limit = std::to_string(options_.max_streams);
  return WithRetryAfterMs(
      MakeError(ErrorReason::kTooManyStreams, limit + " push streams are open, the most this server serves",
                {{"limit", limit}, {"setting", "ingest.max_streams"}}),
      options_.backlog_retry_ms);
}

Intake::Found Intake::Judge(const SeriesDraft& draft, SeriesKey* key, SeriesMetadata* metadata) const {
  const auto refused = [](RefusalReason reason, const absl::Status& why) {
    return Found{0, reason, StatusMessage(why)};
  };
  if (auto bad = ValidateMetricName("metric", draft.metric); !bad.ok()) return refused(RefusalReason::kBadMetric, bad);
  if (auto bad = ValidateText("unit", draft.unit, kMaxUnitBytes); !bad.ok()) {
    return refused(RefusalReason::kBadMetric, bad);
  }
  if (auto bad = ValidateText("description", draft.description, kMaxDescriptionBytes); !bad.ok()) {
    return refused(RefusalReason::kBadMetric, bad);
  }
  if (auto bad = ValidateLabels(draft, options_.max_labels); !bad.ok()) return refused(RefusalReason::kBadLabels, bad);
  if (const std::string_view repeat = FirstRepeat(draft); !repeat.empty()) {
    return refused(RefusalReason::kBadLabels, BadField("labels", repeat, "every label name once"));
  }
  std::vector<Label> labels;
  labels.reserve(draft.labels.size());
  for (const auto& [name, value] : draft.labels) labels.push_back({std::string(name), std::string(value)});
  *key = {std::string(draft.metric), Labels(std::move(labels))};
  *metadata = {draft.kind, std::string(draft.unit), std::string(draft.description)};
  return {};
}

absl::StatusOr<Intake::Found> Intake::Resolve(TenantId tenant, const SeriesKey& key, const SeriesMetadata& metadata) {
  if (const auto known = store_.FindSeries(tenant, key)) return Found{*known, RefusalReason::kUnspecified};
  const auto refused = [](std::shared_ptr<const SeriesOverflow> overflow) {
    return Found{0, RefusalReason::kSeriesLimit, {}, std::move(overflow)};
  };
  if (auto overflow = limits_.Check(tenant, key.metric)) return refused(std::move(overflow));
  MutexLock lock(&creation_mu_);
  if (const auto known = store_.FindSeries(tenant, key)) return Found{*known, RefusalReason::kUnspecified};
  if (auto overflow = limits_.Check(tenant, key.metric)) return refused(std::move(overflow));
  PB_ASSIGN_OR_RETURN(const SeriesId id, store_.FindOrCreateSeries(tenant, key, metadata, nullptr));
  return Found{id, RefusalReason::kUnspecified};
}

absl::StatusOr<bool> Intake::BeginsAnew(TenantId tenant, const SeriesKey& key, int64_t time) {
  const std::optional<SeriesId> known = store_.FindSeries(tenant, key);
  if (!known) return true;
  PB_ASSIGN_OR_RETURN(const std::optional<Sample> newest, store_.Latest(*known));
  return !newest || newest->time_unix_nanos < time;
}

void Intake::RefuseSeries(int64_t index, const SeriesKey& key, const SeriesOverflow& overflow, Refusals* refusals) {
  refusals->Add(index, RefusalReason::kSeriesLimit,
                [&] { return Printable(key.Format()) + " is new, and " + StatusMessage(overflow.status); });
  refusals->AddLimit(RefusalReason::kSeriesLimit, overflow.subject, [&] { return overflow.status; });
}

Intake::TimeLimits Intake::LimitsAt(TenantId tenant, int64_t now) const {
  OldestTime oldest = store_.OldestAccepted(tenant);
  if (const int64_t by_age = now - options_.max_sample_age_ns; by_age >= oldest.unix_nanos) {
    oldest = {by_age, "ingest.max_sample_age"};
  }
  return {oldest, now + options_.max_sample_lead_ns};
}

void Intake::RefuseTime(int64_t index, int64_t time, const TimeLimits& limits, Refusals* refusals) const {
  if (time > limits.newest) {
    refusals->Add(index, RefusalReason::kInFuture, [&] {
      return "time " + Number(time) + " is after " + Number(limits.newest) +
             ", the newest that would be accepted (server's clock + ingest.max_sample_lead)";
    });
    return;
  }
  const std::string_view setting = limits.oldest.setting;
  const auto before = [&] {
    return "before " + Number(limits.oldest.unix_nanos) + ", the oldest that would be accepted (" +
           std::string(setting) + ")";
  };
  refusals->Add(index, RefusalReason::kTooOld, [&] { return "time " + Number(time) + " is " + before(); });
  refusals->AddLimit(RefusalReason::kTooOld, setting, [&] {
    return MakeError(ErrorReason::kSampleTooOld, "samples are " + before(),
                     {{"oldestTimeUnixNanos", Number(limits.oldest.unix_nanos)}, {"setting", std::string(setting)}});
  });
}

absl::Status Intake::Push(TenantId tenant, const PushBatch& batch, PushDone done) {
  if (batch.samples.empty() || batch.samples.size() > kMaxPushSamples) {
    return BadField("samples", std::to_string(batch.samples.size()) + " samples",
                    "1 to " + std::to_string(kMaxPushSamples));
  }
  PB_RETURN_IF_ERROR(ValidateProducer(batch));

  const int64_t now = clock_.NowUnixNanos();
  AppendBatch append;
  append.visit = store_.VisitSeries();
  append.tenant = tenant;
  append.ack_mode = AckModeFor(batch.ack_mode);
  append.producer_id = batch.producer_id;
  append.sequence = batch.sequence;
  append.received_unix_nanos = now;
  const TimeLimits limits = LimitsAt(tenant, now);
  Refusals refusals(batch.max_detailed_refusals);
  for (size_t i = 0; i < batch.samples.size(); ++i) {
    const PushSample& sample = batch.samples[i];
    const auto index = static_cast<int64_t>(i);
    if (sample.time_is == PushSample::TimeIs::kNotRepresentable) {
      refusals.Add(index, RefusalReason::kBadTime, [] {
        return std::string(
            "time is not representable; 1970-01-01 to 2262-04-11 with 0 to 999,999,999 nanos would be accepted");
      });
      continue;
    }
    const int64_t time = sample.time_is == PushSample::TimeIs::kReceipt ? now : sample.time_unix_nanos;
    SeriesKey key;
    SeriesMetadata metadata;
    Found found = Judge(sample.series, &key, &metadata);
    if (found.reason == RefusalReason::kUnspecified) {
      if (sample.begins_counter) {
        if (time < limits.oldest.unix_nanos || time > limits.newest) continue;
        PB_ASSIGN_OR_RETURN(const bool anew, BeginsAnew(tenant, key, time));
        if (!anew) continue;
      }
      if (!TimeAllowed(index, time, limits, &refusals)) continue;
      PB_ASSIGN_OR_RETURN(found, Resolve(tenant, key, metadata));
    }
    if (found.overflow != nullptr) {
      RefuseSeries(index, key, *found.overflow, &refusals);
      continue;
    }
    if (found.reason != RefusalReason::kUnspecified) {
      refusals.Add(index, found.reason, [&] { return std::move(found.message); });
      continue;
    }
    append.series.push_back(found.id);
    append.times.push_back(time);
    append.values.push_back(sample.value);
  }
  if (refusals.count(RefusalReason::kSeriesLimit) == static_cast<int64_t>(batch.samples.size())) {
    PushReceipt refused;
    refused.refusals = std::move(refusals);
    CountReceipt(refused);
    return refused.refusals.limits().front().status;
  }
  return Append(std::move(append), std::move(refusals), std::move(done));
}

absl::Status Intake::Append(AppendBatch batch, Refusals refusals, PushDone done) {
  PushReceipt receipt;
  receipt.sequence = batch.sequence;
  receipt.accepted_count = static_cast<int64_t>(batch.size());
  receipt.refusals = std::move(refusals);
  if (batch.size() == 0 && batch.producer_id.empty()) {
    CountReceipt(receipt);
    done(receipt);
    return absl::OkStatus();
  }
  // A batch without good samples is committed all the same when it has a sequence: it may not hold up the acks after
  // it.
  auto on_commit = [this, receipt = std::move(receipt),
                    done = std::move(done)](const absl::StatusOr<CommitReceipt>& committed) mutable {
    if (!committed.ok()) {
      done(committed.status());
      return;
    }
    receipt.duplicate = committed->duplicate;
    receipt.fsynced = committed->fsynced;
    receipt.commit_sequence = receipt.accepted_count > 0 ? committed->commit_sequence : 0;
    CountReceipt(receipt);
    done(receipt);
  };
  absl::Status queued = store_.Append(std::move(batch), std::move(on_commit));
  if (HasReason(queued, ErrorReason::kIngestBacklogFull)) {
    ++backlog_refusals_;
    return WithRetryAfterMs(std::move(queued), options_.backlog_retry_ms);
  }
  return queued;
}

void Intake::CountReceipt(const PushReceipt& receipt) {
  ++batches_;
  if (receipt.duplicate) {
    ++duplicate_batches_;
  } else {
    accepted_samples_ += receipt.accepted_count;
  }
  for (size_t i = 0; i < kRefusalReasonCount; ++i) {
    if (const int64_t count = receipt.refusals.count(static_cast<RefusalReason>(i)); count > 0) refused_[i] += count;
  }
}

IntakeStats Intake::Stats() const {
  IntakeStats stats;
  stats.accepted_samples = accepted_samples_;
  for (size_t i = 0; i < kRefusalReasonCount; ++i) {
    stats.refused_by_reason[i] = refused_[i];
    stats.refused_samples += stats.refused_by_reason[i];
  }
  stats.batches = batches_;
  stats.duplicate_batches = duplicate_batches_;
  stats.backlog_refusals = backlog_refusals_;
  stats.open_streams = open_streams_;
  return stats;
}

}  // namespace pulseboard

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>

#include "common/base/errors.h"
#include "server/ingest/intake.h"

namespace pulseboard {
namespace {

constexpr uint32_t kDenseRefs = 1 << 20;
// Definitions kept while none of their samples came. More are turned away like refs beyond the limit.
constexpr size_t kMaxUnresolvedBytes = 32 << 20;

// False when base + offset is not a time from 1970 on that fits.
bool AddTime(int64_t base, int64_t offset, int64_t* time) {
  return !__builtin_add_overflow(base, offset, time) && *time >= 0;
}

size_t KeyBytes(const SeriesKey& key, const SeriesMetadata& metadata) {
  size_t bytes = 256 + key.metric.size() + metadata.unit.size() + metadata.description.size();
  for (const Label& label : key.labels) bytes += sizeof(Label) + label.name.size() + label.value.size();
  return bytes;
}

}  // namespace

IntakeStream::IntakeStream(Intake& intake, TenantId tenant) : intake_(intake), tenant_(tenant) {
  ++intake_.open_streams_;
}

IntakeStream::~IntakeStream() {
  std::vector<SeriesId> held;
  std::copy_if(dense_.begin(), dense_.end(), std::back_inserter(held), [](SeriesId id) { return id != 0; });
  for (const auto& [ref, id] : sparse_) held.push_back(id);
  intake_.store_.ReleaseSeries(held);
  --intake_.open_streams_;
}

absl::Status IntakeStream::Begin(const StreamBatch& batch) {
  PB_RETURN_IF_ERROR(CheckStructure(batch));
  for (size_t i = 0; i < batch.definitions.size(); ++i) PB_RETURN_IF_ERROR(Bind(i, batch.definitions[i]));
  if (producer_id_.empty()) {
    producer_id_ = batch.producer_id;
    ack_mode_ = batch.ack_mode;
  }
  last_sequence_ = batch.sequence;
  return absl::OkStatus();
}

absl::Status IntakeStream::CheckStructure(const StreamBatch& batch) {
  if (batch.producer_id.size() > kMaxProducerIdBytes || (producer_id_.empty() && batch.producer_id.empty())) {
    return BadField("producer_id", batch.producer_id,
                    "1 to " + std::to_string(kMaxProducerIdBytes) + " bytes in the first message");
  }
  if (!producer_id_.empty() && !batch.producer_id.empty() && batch.producer_id != producer_id_) {
    return BadField("producer_id", batch.producer_id, "'" + Printable(producer_id_) + "', as this stream began,");
  }
  if (!producer_id_.empty() && batch.ack_mode && batch.ack_mode != ack_mode_) {
    return BadField("ack_mode", *batch.ack_mode == AckMode::kFsynced ? "FSYNCED" : "BUFFERED",
                    "what the stream's first message said, or nothing,");
  }
  if (batch.sequence <= last_sequence_) {
    const std::string got = std::to_string(batch.sequence);
    const std::string last = std::to_string(last_sequence_);
    return MakeError(ErrorReason::kBadSequence,
                     "sequence: got " + got + " after " + last + " on this stream; a larger one would be accepted",
                     {{"sequence", got}, {"lastSequence", last}});
  }
  const std::string sizes = std::to_string(batch.refs.size()) + " refs, " +
                            std::to_string(batch.time_offsets_nanos.size()) + " time_offsets_nanos, " +
                            std::to_string(batch.values.size()) + " values";
  if (batch.refs.size() != batch.time_offsets_nanos.size() || batch.refs.size() != batch.values.size()) {
    return BadField("refs", sizes, "columns of equal length");
  }
  if (batch.refs.size() > kMaxStreamBatchSamples) {
    return BadField("refs", sizes, "at most " + std::to_string(kMaxStreamBatchSamples) + " samples");
  }
  return absl::OkStatus();
}

absl::Status IntakeStream::Bind(size_t index, const StreamDefinition& definition) {
  const std::string field = "definitions[" + std::to_string(index) + "].ref";
  const uint32_t ref = definition.ref;
  if (ref == 0 || ref > kMaxRef) {
    return BadField(field, std::to_string(ref), "1 to " + std::to_string(kMaxRef));
  }
  Unresolved drafted;
  Intake::Found verdict = intake_.Judge(definition.series, &drafted.key, &drafted.metadata);
  drafted.reason = verdict.reason;
  drafted.message = std::move(verdict.message);
  drafted.bytes = KeyBytes(drafted.key, drafted.metadata) + drafted.message.size();

  const auto rebound = [&](const SeriesKey& key) {
    return BadField(field, std::to_string(ref) + " again",
                    "a ref that is not bound to " + Printable(key.Format()) + " yet");
  };
  if (const SeriesId id = Resolved(ref); id != 0) {
    const auto info = intake_.store_.GetSeries(id);
    if (info != nullptr && info->key != drafted.key) return rebound(info->key);
    return absl::OkStatus();
  }
  if (const auto known = unresolved_.find(ref); known != unresolved_.end()) {
    const bool was_allowed = !known->second.key.metric.empty();
    if (was_allowed && known->second.key != drafted.key) return rebound(known->second.key);
    unresolved_bytes_ += drafted.bytes - known->second.bytes;
    known->second = std::move(drafted);  // what was never bound may be defined anew
    return absl::OkStatus();
  }
  if (bound_count_ >= static_cast<size_t>(intake_.options_.max_refs_per_stream) ||
      unresolved_bytes_ + drafted.bytes > kMaxUnresolvedBytes) {
    refs_exhausted_ = true;
    return absl::OkStatus();
  }
  ++bound_count_;
  unresolved_bytes_ += drafted.bytes;
  unresolved_.emplace(ref, std::move(drafted));
  return absl::OkStatus();
}

SeriesId IntakeStream::Resolved(uint32_t ref) const {
  if (ref < dense_.size()) return dense_[ref];
  if (ref < kDenseRefs) return 0;
  const auto it = sparse_.find(ref);
  return it == sparse_.end() ? 0 : it->second;
}

void IntakeStream::SetResolved(uint32_t ref, SeriesId id) {
  if (ref >= kDenseRefs) {
    sparse_[ref] = id;
    return;
  }
  if (ref >= dense_.size()) dense_.resize(ref + 1, 0);
  dense_[ref] = id;
}

absl::StatusOr<SeriesId> IntakeStream::ResolveSlowly(int64_t index, uint32_t ref, Refusals* refusals) {
  const auto it = unresolved_.find(ref);
  if (it == unresolved_.end()) {
    if (refs_exhausted_) {
      refusals->Add(index, RefusalReason::kSeriesLimit, [&] {
        return "ref " + std::to_string(ref) + " is not bound and the stream has its most refs; at most " +
               std::to_string(intake_.options_.max_refs_per_stream) + " (ingest.max_refs_per_stream) would be accepted";
      });
    } else {
      refusals->Add(index, RefusalReason::kUnknownRef, [&] {
        return "ref " + std::to_string(ref) + " was not defined on this stream; a defined one would be accepted";
      });
    }
    return SeriesId{0};
  }
  Unresolved& binding = it->second;
  const bool quota_may_have_room =
      binding.reason == RefusalReason::kSeriesLimit && binding.tried_in_batch != last_sequence_;
  if (binding.reason == RefusalReason::kUnspecified || quota_may_have_room) {
    Intake::Found found;
    do {  // a series that is forgotten between the two is made anew
      PB_ASSIGN_OR_RETURN(found, intake_.Resolve(tenant_, binding.key, binding.metadata));
    } while (found.id != 0 && !intake_.store_.HoldSeries(found.id));
    if (found.id != 0) {
      unresolved_bytes_ -= binding.bytes;
      unresolved_.erase(it);
      SetResolved(ref, found.id);
      return found.id;
    }
    binding.reason = found.reason;
    binding.message = std::move(found.message);
    binding.overflow = std::move(found.overflow);
    binding.tried_in_batch = last_sequence_;
  }
  if (binding.overflow != nullptr) {
    Intake::RefuseSeries(index, binding.key, *binding.overflow, refusals);
  } else {
    refusals->Add(index, binding.reason, [&] { return binding.message; });
  }
  return SeriesId{0};
}

absl::Status IntakeStream::Submit(const StreamBatch& batch, PushDone done) {
  const int64_t now = intake_.clock_.NowUnixNanos();
  AppendBatch append;
  append.tenant = tenant_;
  append.ack_mode = intake_.AckModeFor(ack_mode_);
  append.producer_id = producer_id_;
  append.sequence = batch.sequence;
  append.pushed_unix_nanos = batch.pushed_unix_nanos;
  append.received_unix_nanos = now;
  append.series.reserve(batch.refs.size());
  append.times.reserve(batch.refs.size());
  append.values.reserve(batch.refs.size());
  const Intake::TimeLimits limits = intake_.LimitsAt(tenant_, now);
  Refusals refusals(max_detailed_refusals_);
  for (size_t i = 0; i < batch.refs.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    int64_t time = 0;
    if (!AddTime(batch.base_time_unix_nanos, batch.time_offsets_nanos[i], &time)) {
      refusals.Add(index, RefusalReason::kBadTime, [] {
        return std::string("base and offset add up to no time that fits; 1970-01-01 to 2262-04-11 would be accepted");
      });
      continue;
    }
    if (!intake_.TimeAllowed(index, time, limits, &refusals)) continue;
    SeriesId id = Resolved(batch.refs[i]);
    if (id == 0) {
      PB_ASSIGN_OR_RETURN(id, ResolveSlowly(index, batch.refs[i], &refusals));
      if (id == 0) continue;
    }
    append.series.push_back(id);
    append.times.push_back(time);
    append.values.push_back(batch.values[i]);
  }
  return intake_.Append(std::move(append), std::move(refusals), std::move(done));
}

int64_t IntakeStream::ProducerPosition() const { return intake_.store_.ProducerPosition(tenant_, producer_id_); }

}  // namespace pulseboard

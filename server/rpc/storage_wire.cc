#include "server/rpc/storage_wire.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <string>

#include "common/base/errors.h"
#include "server/rpc/data_wire.h"

namespace pulseboard {
namespace {

using google::protobuf::util::TimeUtil;

void ToProto(const TenantUsage& usage, const TenantRegistry& tenants, v1::TenantUsage* out) {
  const std::string_view name = tenants.Name(usage.tenant);
  out->set_tenant(name.empty() ? std::to_string(usage.tenant) : std::string(name));
  out->set_byte_count(usage.bytes);
  out->set_block_count(usage.blocks);
  out->set_sample_count(usage.samples);
  if (usage.blocks == 0) return;
  *out->mutable_oldest_time() = TimeUtil::NanosecondsToTimestamp(usage.oldest_unix_nanos);
  *out->mutable_newest_time() = TimeUtil::NanosecondsToTimestamp(usage.newest_unix_nanos);
}

absl::StatusOr<int64_t> TimeField(const char* field, const google::protobuf::Timestamp& time) {
  if (const auto nanos = ToUnixNanos(time)) return *nanos;
  return BadField(field, std::to_string(time.seconds()) + " s + " + std::to_string(time.nanos()) + " ns",
                  "1970-01-01 to 2262-04-11 with 0 to 999,999,999 nanos");
}

}  // namespace

void ToProto(const StorageStatus& status, const TenantRegistry& tenants, v1::GetStorageStatusResponse* out) {
  out->set_store_id(status.store_id);
  for (const TierStatus& tier : status.tiers) {
    v1::TierStatus* to = out->add_tiers();
    to->set_tier(tier.tier);
    to->set_retention_nanos(tier.retention_ns);
    int64_t bytes = 0;
    for (const WindowStatus& window : tier.windows) {
      v1::WindowStatus* to_window = to->add_windows();
      to_window->set_family(window.family);
      *to_window->mutable_start_time() = TimeUtil::NanosecondsToTimestamp(window.range.start);
      *to_window->mutable_end_time() = TimeUtil::NanosecondsToTimestamp(window.range.end);
      for (const TenantUsage& usage : window.tenants) {
        ToProto(usage, tenants, to_window->add_tenants());
        bytes += usage.bytes;
      }
      std::sort(to_window->mutable_tenants()->begin(), to_window->mutable_tenants()->end(),
                [](const v1::TenantUsage& a, const v1::TenantUsage& b) { return a.tenant() < b.tenant(); });
    }
    to->set_byte_count(bytes);
  }
  out->mutable_log()->set_byte_count(status.log_bytes);
  out->mutable_log()->set_recovery_byte_count(status.recovery_bytes);
  out->mutable_log()->set_commit_sequence(status.commit_sequence);
  out->mutable_log()->set_checkpoint_sequence(status.checkpoint_sequence);
  out->mutable_head()->set_sample_count(status.head_samples);
  out->mutable_head()->set_byte_count(status.head_bytes);
  out->set_series_count(status.series);
  out->set_free_byte_count(status.free_bytes);
}

void ToProto(const BackupInfo& backup, v1::Backup* out) {
  out->set_name(backup.name);
  out->set_damage(backup.damage);
  if (!backup.damage.empty()) return;
  *out->mutable_create_time() = TimeUtil::NanosecondsToTimestamp(backup.create_unix_nanos);
  out->set_commit_sequence(backup.commit_sequence);
  out->set_store_id(backup.store_id);
  out->set_file_count(backup.files);
  out->set_byte_count(backup.bytes);
  out->set_copied_byte_count(backup.copied_bytes);
}

void ToProto(const BackupProgress& progress, v1::BackupProgress* out) {
  out->set_file_count(progress.files);
  out->set_total_file_count(progress.total_files);
  out->set_byte_count(progress.bytes);
  out->set_total_byte_count(progress.total_bytes);
}

void ToProto(const VerifyProgress& progress, v1::VerifyProgress* out) {
  out->set_place(progress.place);
  out->set_byte_count(progress.bytes);
  out->set_total_byte_count(progress.total_bytes);
}

void ToProto(const VerifyFinding& finding, v1::VerifyFinding* out) {
  out->set_family(finding.family);
  out->set_tenant_id(finding.tenant);
  out->set_series_id(finding.series);
  out->set_block_start_unix_nanos(finding.block_start);
  out->set_file(finding.file);
  out->set_offset(finding.offset);
  out->set_description(finding.description);
}

void ToProto(const VerifySummary& summary, v1::VerifySummary* out) {
  out->set_block_count(summary.blocks);
  out->set_sample_count(summary.samples);
  out->set_rollup_block_count(summary.rollup_blocks);
  out->set_rollup_count(summary.rollups);
  out->set_unchecked_rollup_count(summary.unchecked_rollups);
  out->set_series_count(summary.series);
  out->set_producer_count(summary.producers);
  out->set_log_commit_count(summary.log_commits);
  out->set_file_count(summary.files);
  out->set_byte_count(summary.bytes);
  out->set_finding_count(summary.findings);
}

absl::StatusOr<DeleteRequest> FromProto(const v1::DeleteSamplesRequest& request, TenantId tenant) {
  DeleteRequest out;
  out.tenant = tenant;
  out.dry_run = request.dry_run();
  if (request.selector().empty()) return BadField("selector", "", "a selector");
  PB_ASSIGN_OR_RETURN(out.selector, Selector::Parse(request.selector()));
  if (request.has_start_time()) {
    PB_ASSIGN_OR_RETURN(out.range.start, TimeField("start_time", request.start_time()));
  }
  if (request.has_end_time()) {
    PB_ASSIGN_OR_RETURN(out.range.end, TimeField("end_time", request.end_time()));
    if (out.range.empty())
      return BadField("end_time", TimeUtil::ToString(request.end_time()), "a time after start_time");
  }
  return out;
}

void ToProto(const RetentionPreview& preview, const TenantRegistry& tenants, v1::PreviewRetentionResponse* out) {
  int64_t dropped = 0;
  for (const RetentionStep& step : preview.steps) {
    v1::RetentionStep* to = out->add_steps();
    to->set_family(FamilyName(step.window));
    *to->mutable_start_time() = TimeUtil::NanosecondsToTimestamp(step.window.start());
    *to->mutable_end_time() = TimeUtil::NanosecondsToTimestamp(step.window.end());
    if (step.tenant) {
      const std::string_view name = tenants.Name(*step.tenant);
      to->set_tenant(name.empty() ? std::to_string(*step.tenant) : std::string(name));
    }
    to->set_reason(static_cast<v1::RetentionReason>(static_cast<int>(step.reason) + 1));
    to->set_byte_count(step.bytes);
    dropped += step.bytes;
  }
  out->set_total_byte_count(preview.total_bytes);
  out->set_dropped_byte_count(dropped);
}

namespace {

// How long the tiers would be kept, with those that are not named as they are.
absl::StatusOr<std::vector<TierOptions>> TriedTiers(const std::string& text, std::vector<TierOptions> tiers,
                                                    int64_t raw_retention_ns) {
  const auto named = ParseTiers(text, 0);
  if (!named.ok()) return BadField("tiers", text, StatusMessage(named.status()));
  for (const TierOptions& tier : *named) {
    const auto kept =
        std::find_if(tiers.begin(), tiers.end(), [&](const TierOptions& t) { return t.bucket_ns == tier.bucket_ns; });
    if (kept == tiers.end()) {
      return BadField("tiers", TierName(tier.bucket_ns), "tiers that the server keeps (others wait for a restart)");
    }
    kept->retention_ns = tier.retention_ns;
  }
  if (absl::Status fits = CheckTiers(tiers, raw_retention_ns); !fits.ok()) {
    return BadField("tiers", text, StatusMessage(fits));
  }
  return tiers;
}

}  // namespace

absl::StatusOr<RetentionPolicy> Apply(const v1::PreviewRetentionRequest& request, const TenantRegistry& tenants,
                                      const Store& store) {
  RetentionPolicy policy = store.Retention();
  if (request.has_max_byte_count()) {
    if (request.max_byte_count() < 0) {
      return BadField("max_byte_count", std::to_string(request.max_byte_count()), "0 or more");
    }
    policy.max_bytes = request.max_byte_count();
  }
  if (request.has_raw_retention_nanos()) {
    if (request.raw_retention_nanos() < kNanosPerSecond) {
      return BadField("raw_retention_nanos", std::to_string(request.raw_retention_nanos()), "a second or more");
    }
  }
  if (request.has_raw_retention_nanos() || request.has_tiers()) {
    const int64_t raw = request.has_raw_retention_nanos() ? request.raw_retention_nanos() : store.RawRetention(0);
    std::vector<TierOptions> tiers = store.Tiers(0);
    if (request.has_tiers()) {
      PB_ASSIGN_OR_RETURN(tiers, TriedTiers(request.tiers(), std::move(tiers), raw));
    }
    policy.SetForAll(raw, RaiseRetentions(std::move(tiers), raw));
  }
  if (!request.has_tenant_retention()) return policy;
  PB_ASSIGN_OR_RETURN(const auto by_name, ParseTenantRetention(request.tenant_retention()));
  policy.tenants.clear();
  for (const auto& [name, retention] : by_name) {
    const std::optional<TenantId> id = tenants.Find(name);
    if (!id) return BadField("tenant_retention", name, "the name of a tenant");
    policy.tenants.emplace(*id, retention);
  }
  return policy;
}

}  // namespace pulseboard

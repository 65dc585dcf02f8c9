// Requests and answers of StorageService <-> values of server/storage/operations.h.
#pragma once

#include "absl/status/statusor.h"
#include "pulseboard/v1/storage.pb.h"
#include "server/identity/tenant_registry.h"
#include "server/storage/operations.h"
#include "server/storage/store.h"

namespace pulseboard {

void ToProto(const StorageStatus& status, const TenantRegistry& tenants, v1::GetStorageStatusResponse* out);
void ToProto(const BackupInfo& backup, v1::Backup* out);
void ToProto(const BackupProgress& progress, v1::BackupProgress* out);
void ToProto(const VerifyProgress& progress, v1::VerifyProgress* out);
void ToProto(const VerifyFinding& finding, v1::VerifyFinding* out);
void ToProto(const VerifySummary& summary, v1::VerifySummary* out);
void ToProto(const RetentionPreview& preview, const TenantRegistry& tenants, v1::PreviewRetentionResponse* out);
// `policy` with what the request changes. BAD_FIELD.
absl::StatusOr<RetentionPolicy> Apply(const v1::PreviewRetentionRequest& request, const TenantRegistry& tenants,
                                      const Store& store);
// BAD_FIELD, BAD_SELECTOR.
absl::StatusOr<DeleteRequest> FromProto(const v1::DeleteSamplesRequest& request, TenantId tenant);

}  // namespace pulseboard

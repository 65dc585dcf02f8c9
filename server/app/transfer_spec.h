// What the flags of `pulseboardd import` and `export` mean as requests.
#pragma once

#include "absl/status/statusor.h"
#include "pulseboard/v1/transfer.pb.h"
#include "server/app/transfer_command.h"

namespace pulseboard {

// Without producer_id. BAD_FIELD naming the flag.
absl::StatusOr<v1::ImportSpec> MakeImportSpec(const ImportCommandOptions& options);
absl::StatusOr<v1::ExportRequest> MakeExportRequest(const ExportCommandOptions& options);

}  // namespace pulseboard

// Requests and answers of the transfer service <-> values of server/transfer.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "pulseboard/v1/transfer.pb.h"
#include "server/transfer/import_session.h"
#include "server/transfer/transfer_options.h"

namespace pulseboard {

// BAD_FIELD for enums and texts out of range; the rest is judged by Importer and ExportCursor.
absl::StatusOr<ImportSpec> FromProto(const v1::ImportSpec& in);
absl::StatusOr<ExportSpec> FromProto(const v1::ExportRequest& in, int64_t now_unix_nanos);

// With up to `max_refused_lines` of the refused lines that wait; they are taken out of the tally.
void ToProto(ImportTally* tally, size_t max_refused_lines, v1::ImportProgress* out);
void ToProto(ImportTally* tally, v1::ImportSummary* out);

}  // namespace pulseboard

// Parts of VictoriaMetrics' interface that more than one section uses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pulseboard::bench {

std::vector<std::string> VictoriaCommand(const std::string& program, int port, const std::string& data_dir);
// Rows to disk, parts merged into one; waits until merging has ended.
absl::Status SettleVictoria(int port);
// Its compressed blocks as /api/v1/import/native takes them.
absl::StatusOr<std::string> ExportNative(int port, std::string_view match);

}  // namespace pulseboard::bench

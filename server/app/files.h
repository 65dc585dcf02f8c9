// Small files that must be whole or absent.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pulseboard {

// NOT_FOUND, PERMISSION_DENIED or INTERNAL naming the file and why.
absl::StatusOr<std::string> ReadFile(const std::string& path);
// The first line, without its line end.
absl::StatusOr<std::string> ReadFirstLine(const std::string& path);
// Writes beside `path`, syncs and renames: readers see the old file or the new one. Created with exactly `mode`.
absl::Status WriteFileAtomically(const std::string& path, std::string_view content, mode_t mode);
// Makes the directory and its parents; the last one with mode 0700 when it is new.
absl::Status MakePrivateDirectory(const std::string& path);

}  // namespace pulseboard

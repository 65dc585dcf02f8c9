#include "server/storage/backup_manifest.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <optional>
#include <set>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "server/storage/sha256.h"

namespace pulseboard {
namespace {

constexpr size_t kMaxNameBytes = 64;
constexpr std::string_view kNone = "-";

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::optional<int64_t> ParseCount(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// Up to the next `separator`, which is taken too; nothing when there is none.
std::optional<std::string_view> Take(std::string_view* rest, char separator) {
  const size_t end = rest->find(separator);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view taken = rest->substr(0, end);
  rest->remove_prefix(end + 1);
  return taken;
}

// Names of plain files below a directory, nothing that leads out of it or hides.
bool IsSafePath(std::string_view path) {
  if (path.empty()) return false;
  while (true) {
    const size_t end = path.find('/');
    const std::string_view part = path.substr(0, end);
    if (part.empty() || part.front() == '.' || !std::all_of(part.begin(), part.end(), IsNameChar)) return false;
    if (end == std::string_view::npos) return true;
    path.remove_prefix(end + 1);
  }
}

bool ParseFile(std::string_view line, BackupFile* file) {
  const auto sha256 = Take(&line, ' ');
  const auto bytes = Take(&line, ' ');
  const auto identity = Take(&line, ' ');
  if (!sha256 || !bytes || !identity || !ParseCount(*bytes)) return false;
  if (sha256->size() != kSha256HexBytes || !IsHex(*sha256) || identity->empty() || !IsSafePath(line)) return false;
  *file = {std::string(line), *ParseCount(*bytes), std::string(*sha256),
           *identity == kNone ? std::string() : std::string(*identity)};
  return true;
}

// One line after the first. False for a line that has no place in a manifest.
bool ParseLine(std::string_view line, BackupManifest* manifest) {
  const auto key = Take(&line, ' ');
  if (!key) return false;
  if (*key == "file") {
    BackupFile file;
    if (!ParseFile(line, &file)) return false;
    manifest->files.push_back(std::move(file));
    return true;
  }
  if (*key == "name") {
    manifest->name = line;
    return CheckBackupName("name", line).ok();
  }
  if (*key == "store") {
    manifest->store_id = line;
    return IsHex(line);
  }
  const auto number = ParseCount(line);
  if (!number) return false;
  if (*key == "store-format") manifest->store_format = *number;
  if (*key == "commit") manifest->commit_sequence = *number;
  if (*key == "time") manifest->create_unix_nanos = *number;
  if (*key == "copied") manifest->copied_bytes = *number;
  return *key == "store-format" || *key == "commit" || *key == "time" || *key == "copied";
}

}  // namespace

int64_t BackupManifest::bytes() const {
  int64_t sum = 0;
  for (const BackupFile& file : files) sum += file.bytes;
  return sum;
}

std::string EncodeManifest(const BackupManifest& manifest) {
  std::string out =
      fmt::format("pulseboard-backup {}\nname {}\nstore {}\nstore-format {}\ncommit {}\ntime {}\ncopied {}\n",
                  kBackupFormat, manifest.name, manifest.store_id, manifest.store_format, manifest.commit_sequence,
                  manifest.create_unix_nanos, manifest.copied_bytes);
  for (const BackupFile& file : manifest.files) {
    out += fmt::format("file {} {} {} {}\n", file.sha256, file.bytes,
                       file.identity.empty() ? kNone : std::string_view(file.identity), file.path);
  }
  return out + "end " + Sha256Hex(out) + "\n";
}

absl::StatusOr<BackupManifest> ParseManifest(std::string_view bytes, const std::string& file) {
  const size_t end = bytes.rfind("end ");
  if (end == std::string_view::npos || bytes.substr(end) != "end " + Sha256Hex(bytes.substr(0, end)) + "\n") {
    return BackupDamaged(file, "its last line is not the SHA-256 of what stands before");
  }
  bytes = bytes.substr(0, end);
  const auto first = Take(&bytes, '\n');
  if (!first || *first != fmt::format("pulseboard-backup {}", kBackupFormat)) {
    return BackupDamaged(file, "it is of a format that this version does not know");
  }
  BackupManifest manifest;
  std::set<std::string> paths;
  while (const auto line = Take(&bytes, '\n')) {
    if (!ParseLine(*line, &manifest)) return BackupDamaged(file, "this line has no place in it: " + Printable(*line));
    if (line->starts_with("file ") && !paths.insert(manifest.files.back().path).second) {
      return BackupDamaged(file, "it names " + manifest.files.back().path + " twice");
    }
  }
  if (!bytes.empty() || manifest.name.empty() || manifest.files.empty()) {
    return BackupDamaged(file, "it names no backup and files");
  }
  return manifest;
}

absl::Status CheckBackupName(std::string_view field, std::string_view name) {
  const bool ok = !name.empty() && name.size() <= kMaxNameBytes && name.front() != '.' && name.front() != '_' &&
                  name.front() != '-' && name != kBackupFilesName && name != "LOCK" &&
                  std::all_of(name.begin(), name.end(), IsNameChar);
  if (ok) return absl::OkStatus();
  return BadField(field, name,
                  "1 to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit, not 'files'");
}

std::string BackupNameFor(int64_t unix_nanos) {
  return fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(static_cast<std::time_t>(unix_nanos / kNanosPerSecond)));
}

absl::Status BackupDamaged(const std::string& file, std::string_view what) {
  return MakeError(ErrorReason::kBackupDamaged, "backup file " + file + " is damaged: " + std::string(what),
                   {{"file", file}});
}

}  // namespace pulseboard

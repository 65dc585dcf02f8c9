#include "common/client/pin_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "common/base/errors.h"
#include "common/base/handles.h"

namespace pulseboard::client {
namespace {

constexpr std::string_view kHeader =
    "# Certificates of Pulseboard servers, pinned on the first visit: host:port SHA-256 unix-seconds\n";

absl::Status Errno(const std::string& what) { return absl::ErrnoToStatus(errno, what); }

absl::Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Errno("write");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

// The new content is complete on disk before it takes the name.
absl::Status ReplaceFile(const std::string& path, std::string_view content) {
  const std::string fresh = path + ".new";
  const FileDescriptor fd(open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (fd.get() < 0) return Errno("create " + fresh);
  if (fchmod(fd.get(), 0600) != 0) return Errno("chmod " + fresh);
  PB_RETURN_IF_ERROR(WithContext(WriteAll(fd.get(), content), fresh));
  if (fsync(fd.get()) != 0) return Errno("fsync " + fresh);
  if (rename(fresh.c_str(), path.c_str()) != 0) return Errno("rename " + fresh + " to " + path);
  return absl::OkStatus();
}

bool IsServerName(std::string_view server) {
  if (server.empty() || server.size() > 300 || server.front() == '#') return false;
  for (const char c : server) {
    if (std::isgraph(static_cast<unsigned char>(c)) == 0) return false;
  }
  return server.find(':') != std::string_view::npos;
}

}  // namespace

std::string NormalizeFingerprint(std::string_view fingerprint) {
  std::string digits;
  for (const char c : fingerprint) {
    if (c == ':' || c == ' ') continue;
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) return "";
    digits.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  if (digits.size() != 64) return "";
  std::string out;
  for (size_t i = 0; i < digits.size(); i += 2) {
    if (i > 0) out.push_back(':');
    out.append(digits, i, 2);
  }
  return out;
}

std::string PinStore::DefaultPath() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') {
    return std::string(state) + "/pulseboard/known_servers";
  }
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr && *home != '\0' ? home : "/") + "/.local/state/pulseboard/known_servers";
}

absl::StatusOr<PinStore::Pins> PinStore::Load(const std::string& path) {
  Pins pins;
  std::ifstream in(path);
  if (!in) {
    if (errno == ENOENT) return pins;
    return Errno("read " + path);
  }
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.empty() || line.front() == '#') continue;
    std::istringstream fields(line);
    std::string server, fingerprint, time, rest;
    fields >> server >> fingerprint >> time;
    Pin pin{NormalizeFingerprint(fingerprint), 0};
    const auto [end, error] = std::from_chars(time.data(), time.data() + time.size(), pin.pinned_unix_seconds);
    const bool whole = error == std::errc() && end == time.data() + time.size() && !(fields >> rest);
    if (!whole || pin.fingerprint.empty() || !IsServerName(server)) {
      return absl::DataLossError(path + " line " + std::to_string(number) + ": got '" + Printable(line) +
                                 "'; `host:port fingerprint unix-seconds` would be accepted. Mend or remove the line.");
    }
    pins[server] = std::move(pin);
  }
  if (in.bad()) return Errno("read " + path);
  return pins;
}

absl::StatusOr<PinStore> PinStore::Open(std::string path) {
  PB_ASSIGN_OR_RETURN(Pins pins, Load(path));
  return PinStore(std::move(path), std::move(pins));
}

std::optional<Pin> PinStore::Find(std::string_view server) const {
  MutexLock lock(&mu_);
  const auto it = pins_.find(server);
  if (it == pins_.end()) return std::nullopt;
  return it->second;
}

absl::Status PinStore::SetPin(std::string_view server, std::string_view fingerprint, int64_t now_unix_seconds) {
  const std::string normal = NormalizeFingerprint(fingerprint);
  if (normal.empty()) {
    return BadField("fingerprint", fingerprint, "a SHA-256 fingerprint: 32 bytes in hex, with or without colons");
  }
  if (!IsServerName(server)) return BadField("server", server, "host:port");
  return Change(server, Pin{normal, now_unix_seconds});
}

absl::Status PinStore::Remove(std::string_view server) { return Change(server, std::nullopt); }

absl::Status PinStore::Change(std::string_view server, const std::optional<Pin>& pin) {
  MutexLock lock(&mu_);
  const auto apply = [&](Pins* pins) {
    if (pin) {
      (*pins)[std::string(server)] = *pin;
    } else if (const auto it = pins->find(server); it != pins->end()) {
      pins->erase(it);
    }
  };
  if (path_.empty()) {
    apply(&pins_);
    return absl::OkStatus();
  }
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), error);
  const std::string lock_path = path_ + ".lock";
  const FileDescriptor fd(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (fd.get() < 0) return Errno("open " + lock_path);
  while (flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return Errno("lock " + lock_path);
  }
  PB_ASSIGN_OR_RETURN(Pins pins, Load(path_));
  apply(&pins);
  std::string content(kHeader);
  for (const auto& [name, entry] : pins) {
    content += name + " " + entry.fingerprint + " " + std::to_string(entry.pinned_unix_seconds) + "\n";
  }
  PB_RETURN_IF_ERROR(ReplaceFile(path_, content));
  pins_ = std::move(pins);
  return absl::OkStatus();
}

}  // namespace pulseboard::client

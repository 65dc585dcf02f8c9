// PinStore: which certificate each server showed on the first visit; a file of lines `host:port fingerprint
// unix-seconds`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"

namespace pulseboard::client {

struct Pin {
  std::string fingerprint;  // SHA-256, `AA:BB:…`
  int64_t pinned_unix_seconds = 0;
  bool operator==(const Pin&) const = default;
};

// `aa:bb`, `AABB` … as `AA:BB:…`; empty when it is not 32 bytes of hex.
std::string NormalizeFingerprint(std::string_view fingerprint);

// Thread-safe. Several processes may share a file: every write reads the file again under a lock, changes one line and
// replaces the file atomically, mode 0600.
class PinStore {
 public:
  // A store without a file, for tests and one-off trust: pins are lost with the object.
  PinStore() = default;
  // Reads `path`; a missing file is an empty store (the folder is made on the first write). DATA_LOSS naming the line
  // when the file is damaged: a pin that cannot be read must not become a first visit.
  static absl::StatusOr<PinStore> Open(std::string path);
  // $XDG_STATE_HOME/pulseboard/known_servers, else ~/.local/state/pulseboard/known_servers.
  static std::string DefaultPath();

  PinStore(PinStore&& other) noexcept : path_(std::move(other.path_)), pins_(std::move(other.pins_)) {}

  std::optional<Pin> Find(std::string_view server) const;
  // Adds or replaces. INVALID_ARGUMENT for a malformed server or fingerprint, PERMISSION_DENIED, RESOURCE_EXHAUSTED …
  // when the file cannot be written; the store then keeps what it had.
  absl::Status SetPin(std::string_view server, std::string_view fingerprint, int64_t now_unix_seconds);
  // Forgets a server. OK when it was not there.
  absl::Status Remove(std::string_view server);
  const std::string& path() const { return path_; }

 private:
  using Pins = std::map<std::string, Pin, std::less<>>;
  PinStore(std::string path, Pins pins) : path_(std::move(path)), pins_(std::move(pins)) {}
  static absl::StatusOr<Pins> Load(const std::string& path);
  absl::Status Change(std::string_view server, const std::optional<Pin>& pin) PB_EXCLUDES(mu_);

  std::string path_;  // empty: memory only
  mutable Mutex mu_;
  Pins pins_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard::client

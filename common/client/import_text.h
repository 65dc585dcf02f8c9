// ImportText: sends a text to TransferService.Import, and goes on where the server says when the connection breaks.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/client/backoff.h"
#include "pulseboard/v1/transfer.pb.h"

namespace grpc {
class Channel;
}

namespace pulseboard::client {

class TokenSource;

// A text that is read once, from its start to its end: a file or a pipe.
class TextSource {
 public:
  virtual ~TextSource() = default;
  // Puts up to `most` bytes into `out`; none at the end.
  virtual absl::Status Read(size_t most, std::string* out) = 0;
};

// Reads a file descriptor; does not close it.
class FileTextSource final : public TextSource {
 public:
  explicit FileTextSource(int fd) : fd_(fd) {}
  absl::Status Read(size_t most, std::string* out) override;

 private:
  const int fd_;
};

struct ImportTextOptions {
  v1::ImportSpec spec;
  size_t chunk_bytes = 512 << 10;
  // Sent but not committed bytes to keep for sending again.
  size_t max_window_bytes = 256 << 20;
  // Given up after this long without progress.
  std::chrono::milliseconds patience{120'000};
  BackoffOptions backoff;
  // On a thread of the call, one at a time: each progress with its refused lines; each connection that broke.
  std::function<void(const v1::ImportProgress&)> on_progress;
  std::function<void(const absl::Status&)> on_retry;
};

// Blocks until all is committed or refused. The summary of the last connection, with the counts of all of them added
// up. Errors are the server's; UNAVAILABLE and the like only after `patience`.
absl::StatusOr<v1::ImportSummary> ImportText(const std::shared_ptr<grpc::Channel>& channel, TokenSource& tokens,
                                             TextSource& text, const ImportTextOptions& options);

}  // namespace pulseboard::client

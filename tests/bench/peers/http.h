// HTTP/1.1 as the peers speak it, over loopback, and nothing more.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/peers/payloads.h"

namespace pulseboard::bench {

// One keep-alive connection, opened with the first call. Not thread-safe.
class HttpConnection {
 public:
  explicit HttpConnection(int port) : port_(port) {}
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // The body of a 2xx answer. `headers`: whole lines with their \r\n. UNAVAILABLE when the connection breaks, INTERNAL
  // with status and text for any other answer.
  absl::StatusOr<std::string> Call(std::string_view method, std::string_view path, std::string_view headers,
                                   std::string_view body);

 private:
  absl::Status Open();
  absl::Status Send(std::string_view head, std::string_view body);
  // Reads until `mark` is in the buffer at or after `from`; its place.
  absl::StatusOr<size_t> Find(std::string_view mark, size_t from);
  absl::Status ReadUpTo(size_t size);
  absl::Status ReadMore();
  void Close();

  const int port_;
  int socket_ = -1;
  std::string received_;
};

absl::StatusOr<std::string> HttpGet(int port, std::string_view path);
std::string UrlEncode(std::string_view text);

// How a load went. All times in seconds.
struct LoadResult {
  int64_t samples = 0;  // acknowledged
  double wall = 0;
  double server_cpu = 0;
  double client_cpu = 0;
  double other_cpu = 0;  // used by neither server nor client meanwhile
};

// Counts a load: CPU of the server process, of this one and of the others, wall time.
class LoadMeter {
 public:
  explicit LoadMeter(pid_t server);
  LoadResult Finish(int64_t samples) const;

 private:
  const pid_t server_;
  const int64_t start_;
  const double server_cpu_, client_cpu_, machine_cpu_;
};

// Posts the frames over `connections` connections with one request in flight on each. Connection k sends frames k, k +
// connections, …; none runs more than 8 frames ahead of the slowest. `max_frames` 0: all.
absl::StatusOr<LoadResult> PostFrames(int port, std::string_view path, std::string_view headers, const Frames& frames,
                                      int connections, pid_t server, size_t max_frames = 0);

}  // namespace pulseboard::bench

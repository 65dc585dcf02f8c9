#include "tests/bench/peers/http.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <sstream>
#include <thread>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "tests/bench/own_cpu_seconds.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace pulseboard::bench {
namespace {

constexpr size_t kReadBytes = 1 << 16;
constexpr size_t kMaxAhead = 8;  // frames

// Of all processes since the machine started.
double MachineCpuSeconds() {
  std::istringstream fields(testing::ReadFile("/proc/stat"));
  std::string cpu;
  double user = 0, nice = 0, system = 0;
  fields >> cpu >> user >> nice >> system;
  return (user + nice + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// Lets no connection run far ahead of the slowest.
class Pace {
 public:
  explicit Pace(int connections) : done_(static_cast<size_t>(connections), 0) {}
  // Waits for its turn; false once any connection failed.
  bool Enter(size_t round) {
    MutexLock lock(&mu_);
    while (!failed_ && *std::min_element(done_.begin(), done_.end()) + kMaxAhead < round) moved_.Wait(&mu_);
    return !failed_;
  }
  void Leave(size_t connection, size_t rounds) {
    MutexLock lock(&mu_);
    done_[connection] = rounds;
    moved_.NotifyAll();
  }
  void Fail(const absl::Status& status) {
    MutexLock lock(&mu_);
    if (!failed_) status_ = status;
    failed_ = true;
    moved_.NotifyAll();
  }
  absl::Status status() {
    MutexLock lock(&mu_);
    return status_;
  }

 private:
  Mutex mu_;
  CondVar moved_;
  std::vector<size_t> done_ PB_GUARDED_BY(mu_);
  bool failed_ PB_GUARDED_BY(mu_) = false;
  absl::Status status_ PB_GUARDED_BY(mu_);
};

}  // namespace

HttpConnection::~HttpConnection() { Close(); }

void HttpConnection::Close() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

absl::Status HttpConnection::Open() {
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port_));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    Close();
    return absl::UnavailableError("nobody listens on port " + std::to_string(port_));
  }
  const int yes = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  return absl::OkStatus();
}

absl::Status HttpConnection::Send(std::string_view head, std::string_view body) {
  for (std::string_view part : {head, body}) {
    while (!part.empty()) {
      const ssize_t sent = send(socket_, part.data(), part.size(), MSG_NOSIGNAL);
      if (sent <= 0) return absl::UnavailableError("connection broke while sending");
      part.remove_prefix(static_cast<size_t>(sent));
    }
  }
  return absl::OkStatus();
}

absl::Status HttpConnection::ReadMore() {
  const size_t size = received_.size();
  received_.resize(size + kReadBytes);
  const ssize_t read = recv(socket_, received_.data() + size, kReadBytes, 0);
  received_.resize(size + static_cast<size_t>(std::max<ssize_t>(read, 0)));
  return read > 0 ? absl::OkStatus() : absl::UnavailableError("connection broke while reading");
}

absl::StatusOr<size_t> HttpConnection::Find(std::string_view mark, size_t from) {
  while (true) {
    const size_t at = received_.find(mark, from);
    if (at != std::string::npos) return at;
    PB_RETURN_IF_ERROR(ReadMore());
  }
}

absl::Status HttpConnection::ReadUpTo(size_t size) {
  while (received_.size() < size) PB_RETURN_IF_ERROR(ReadMore());
  return absl::OkStatus();
}

absl::StatusOr<std::string> HttpConnection::Call(std::string_view method, std::string_view path,
                                                 std::string_view headers, std::string_view body) {
  if (socket_ < 0) PB_RETURN_IF_ERROR(Open());
  const std::string head = std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" +
                           std::string(headers) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  PB_RETURN_IF_ERROR(Send(head, body));
  received_.clear();
  PB_ASSIGN_OR_RETURN(const size_t head_end, Find("\r\n\r\n", 0));
  std::string answer_head = received_.substr(0, head_end);
  std::transform(answer_head.begin(), answer_head.end(), answer_head.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string out;
  size_t at = head_end + 4;
  constexpr std::string_view kLength = "\r\ncontent-length:";
  if (const size_t field = answer_head.find(kLength); field != std::string::npos) {
    const size_t length = std::strtoul(answer_head.c_str() + field + kLength.size(), nullptr, 10);
    PB_RETURN_IF_ERROR(ReadUpTo(at + length));
    out = received_.substr(at, length);
  } else if (answer_head.find("transfer-encoding: chunked") != std::string::npos) {
    while (true) {
      PB_ASSIGN_OR_RETURN(const size_t line_end, Find("\r\n", at));
      const size_t length = std::strtoul(received_.c_str() + at, nullptr, 16);
      PB_RETURN_IF_ERROR(ReadUpTo(line_end + 4 + length));
      if (length == 0) break;
      out.append(received_, line_end + 2, length);
      at = line_end + 4 + length;
    }
  }
  if (answer_head.find("connection: close") != std::string::npos) Close();
  const std::string status = answer_head.substr(std::min<size_t>(9, answer_head.size()), 3);
  if (status.starts_with('2')) return out;
  return absl::InternalError("HTTP " + status + " for " + std::string(path) + ": " + out.substr(0, 300));
}

absl::StatusOr<std::string> HttpGet(int port, std::string_view path) {
  return HttpConnection(port).Call("GET", path, "", "");
}

std::string UrlEncode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("_.-").find(c) != std::string_view::npos) {
      out += c;
    } else {
      char escaped[4];
      std::snprintf(escaped, sizeof(escaped), "%%%02X", static_cast<unsigned char>(c));
      out += escaped;
    }
  }
  return out;
}

LoadMeter::LoadMeter(pid_t server)
    : server_(server),
      start_(SystemClock().MonotonicNanos()),
      server_cpu_(testing::CpuSeconds(server)),
      client_cpu_(OwnCpuSeconds()),
      machine_cpu_(MachineCpuSeconds()) {}

LoadResult LoadMeter::Finish(int64_t samples) const {
  LoadResult out;
  out.samples = samples;
  out.wall = static_cast<double>(SystemClock().MonotonicNanos() - start_) / 1e9;
  out.server_cpu = testing::CpuSeconds(server_) - server_cpu_;
  out.client_cpu = OwnCpuSeconds() - client_cpu_;
  out.other_cpu = MachineCpuSeconds() - machine_cpu_ - out.server_cpu - out.client_cpu;
  return out;
}

absl::StatusOr<LoadResult> PostFrames(int port, std::string_view path, std::string_view headers, const Frames& frames,
                                      int connections, pid_t server, size_t max_frames) {
  const size_t count = max_frames == 0 ? frames.size() : std::min(max_frames, frames.size());
  Pace pace(connections);
  const LoadMeter meter(server);
  std::vector<std::thread> threads;
  for (size_t k = 0; k < static_cast<size_t>(connections); ++k) {
    threads.emplace_back([&, k] {
      HttpConnection connection(port);
      size_t round = 0;
      for (size_t i = k; i < count && pace.Enter(round); i += static_cast<size_t>(connections)) {
        if (const auto answer = connection.Call("POST", path, headers, frames[i].body); !answer.ok()) {
          return pace.Fail(answer.status());
        }
        pace.Leave(k, ++round);
      }
      pace.Leave(k, count + 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  PB_RETURN_IF_ERROR(pace.status());
  int64_t samples = 0;
  for (size_t i = 0; i < count; ++i) samples += frames[i].samples;
  return meter.Finish(samples);
}

}  // namespace pulseboard::bench

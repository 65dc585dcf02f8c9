#include "tests/bench/fanout/socket_fanout.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "tests/bench/live_loads.h"
#include "tests/support/process.h"

namespace pulseboard::bench {
namespace {

constexpr size_t kPayload = 64;
constexpr uint64_t kWindow = 64;

class Socket {
 public:
  explicit Socket(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }
  bool connected() const { return connected_; }
  void Send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = write(fd_, bytes.data(), bytes.size());
      if (sent > 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
      } else {
        pollfd wait{fd_, POLLOUT, 0};
        poll(&wait, 1, 100);
      }
    }
  }
  // Blocking, for the handshake.
  bool ReadUntil(std::string_view what) const {
    std::string in;
    char c = 0;
    while (in.find(what) == std::string::npos) {
      if (read(fd_, &c, 1) != 1) return false;
      in += c;
    }
    return true;
  }
  void SetNonBlocking() const { fcntl(fd_, F_SETFL, O_NONBLOCK); }

 private:
  const int fd_;
  bool connected_ = false;
};

struct Wire {
  explicit Wire(SocketProtocol protocol) : nats(protocol == SocketProtocol::kNats) {
    const std::string length = std::to_string(kPayload);
    message_head = nats ? "MSG t 1 " + length + "\r\n" : "*3\r\n$7\r\nmessage\r\n$1\r\nt\r\n$" + length + "\r\n";
    publish_head = nats ? "PUB t " + length + "\r\n" : "*3\r\n$7\r\nPUBLISH\r\n$1\r\nt\r\n$" + length + "\r\n";
    message_bytes = message_head.size() + kPayload + 2;
  }
  bool Subscribe(const Socket& socket) const {
    if (nats) {
      socket.Send("CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB t 1\r\nPING\r\n");
      return socket.ReadUntil("PONG\r\n");
    }
    socket.Send("*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nt\r\n");
    return socket.ReadUntil(":1\r\n");
  }
  bool StartPublishing(const Socket& socket) const {
    if (!nats) return true;
    socket.Send("CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n");
    return socket.ReadUntil("PONG\r\n");
  }
  const bool nats;
  std::string message_head, publish_head;
  size_t message_bytes = 0;
};

// All subscribers on one thread.
class Subscribers {
 public:
  explicit Subscribers(const Wire& wire) : wire_(wire), epoll_(epoll_create1(EPOLL_CLOEXEC)) {}
  ~Subscribers() { close(epoll_); }

  bool Open(int port, int count) {
    for (int i = 0; i < count; ++i) {
      members_.push_back(std::make_unique<Member>(port));
      const Member& member = *members_.back();
      if (!member.socket.connected() || !wire_.Subscribe(member.socket)) return false;
      member.socket.SetNonBlocking();
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u32 = static_cast<uint32_t>(i);
      epoll_ctl(epoll_, EPOLL_CTL_ADD, member.socket.fd(), &event);
    }
    return true;
  }
  void Run(bool with_latencies) {
    std::vector<epoll_event> events(512);
    while (!stop) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 50);
      for (int i = 0; i < count; ++i) Receive(*members_[events[static_cast<size_t>(i)].data.u32], with_latencies);
    }
  }

  std::atomic<uint64_t> received{0};
  std::atomic<bool> stop{false};
  std::vector<double> millis;

 private:
  struct Member {
    explicit Member(int port) : socket(port) {}
    Socket socket;
    std::string buffer;
  };

  void Receive(Member& member, bool with_latencies) {
    const ssize_t got = read(member.socket.fd(), in_.data(), in_.size());
    if (got <= 0) return;
    member.buffer.append(in_.data(), static_cast<size_t>(got));
    const int64_t now = SystemClock().MonotonicNanos();
    size_t at = 0;
    uint64_t messages = 0;
    while (at < member.buffer.size()) {
      if (member.buffer[at] == 'P') {  // NATS asks whether we live
        if (member.buffer.size() - at < 6) break;
        member.socket.Send("PONG\r\n");
        at += 6;
        continue;
      }
      if (member.buffer.size() - at < wire_.message_bytes) break;
      if (with_latencies) {
        int64_t sent = 0;
        std::memcpy(&sent, member.buffer.data() + at + wire_.message_head.size(), sizeof(sent));
        millis.push_back(static_cast<double>(now - sent) / 1e6);
      }
      at += wire_.message_bytes;
      ++messages;
    }
    member.buffer.erase(0, at);
    received += messages;
  }

  const Wire& wire_;
  const int epoll_;
  std::vector<std::unique_ptr<Member>> members_;
  std::vector<char> in_ = std::vector<char>(1 << 18);
};

// Publishes until the time is over; how many.
uint64_t Publish(const Wire& wire, const Socket& socket, const Subscribers& subscribers, int count, int rate,
                 double seconds) {
  std::string message = wire.publish_head + std::string(kPayload, 'x') + "\r\n";
  std::vector<char> replies(1 << 16);
  const int64_t start = SystemClock().MonotonicNanos();
  const int64_t end = start + static_cast<int64_t>(seconds * 1e9);
  uint64_t sent = 0;
  while (true) {
    if (rate > 0) {
      const int64_t due = start + static_cast<int64_t>(sent) * kNanosPerSecond / rate;
      if (due >= end) return sent;
      const int64_t wait = due - SystemClock().MonotonicNanos();
      if (wait > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(wait));
    } else {
      while (sent * static_cast<uint64_t>(count) - subscribers.received >
             (kWindow - 1) * static_cast<uint64_t>(count)) {
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      }
    }
    const int64_t now = SystemClock().MonotonicNanos();
    if (now >= end) return sent;
    std::memcpy(message.data() + wire.publish_head.size(), &now, sizeof(now));
    socket.Send(message);
    ++sent;
    const ssize_t got = read(socket.fd(), replies.data(), replies.size());
    if (got > 0 && wire.nats &&
        std::string_view(replies.data(), static_cast<size_t>(got)).find("PING") != std::string::npos) {
      socket.Send("PONG\r\n");
    }
  }
}

}  // namespace

absl::StatusOr<SocketFanoutResult> RunSocketFanout(SocketProtocol protocol, int port, pid_t server, int subscribers,
                                                   int rate, double seconds) {
  const Wire wire(protocol);
  Subscribers all(wire);
  if (!all.Open(port, subscribers)) return absl::UnavailableError("a subscriber was refused");
  const Socket publisher(port);
  if (!publisher.connected() || !wire.StartPublishing(publisher))
    return absl::UnavailableError("the publisher was refused");
  publisher.SetNonBlocking();
  std::thread reader([&] { all.Run(rate > 0); });
  const double cpu = testing::CpuSeconds(server);
  const int64_t start = SystemClock().MonotonicNanos();
  const uint64_t sent = Publish(wire, publisher, all, subscribers, rate, seconds);
  const uint64_t expected = sent * static_cast<uint64_t>(subscribers);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (all.received < expected && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const double elapsed = static_cast<double>(SystemClock().MonotonicNanos() - start) / 1e9;
  const double used = testing::CpuSeconds(server) - cpu;
  all.stop = true;
  reader.join();
  if (all.received < expected) return absl::DataLossError("messages were lost");
  SocketFanoutResult result;
  result.deliveries_per_second = static_cast<double>(expected) / elapsed;
  result.server_us_per_delivery = used * 1e6 / static_cast<double>(expected);
  result.p50_ms = Quantile(&all.millis, 0.5);
  result.p99_ms = Quantile(&all.millis, 0.99);
  return result;
}

}  // namespace pulseboard::bench

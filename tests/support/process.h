// Process: a child process whose output goes to files. ServerProcess: a real `pulseboardd serve` on a port of its own.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/support/temp_dir.h"

namespace pulseboard::testing {

// build/release/bin/NAME of the build under test.
std::string BinaryPath(std::string_view name);

// Not thread-safe. Killed by its destructor, and by the kernel when the test process dies.
class Process {
 public:
  // Standard output and error go to `prefix`.out and `prefix`.err (appended).
  Process(std::vector<std::string> argv, const std::string& prefix);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  std::string out() const { return ReadFile(prefix_ + ".out"); }
  std::string err() const { return ReadFile(prefix_ + ".err"); }
  void Signal(int signal) const;
  // The exit code (128 + signal when killed) once it has ended; nothing while it runs.
  std::optional<int> Poll();
  // As Poll, waiting; nothing after `timeout`.
  std::optional<int> Wait(std::chrono::milliseconds timeout);

 private:
  const std::string prefix_;
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
};

struct Output {
  int exit_code = -1;  // -1: still running after the time, then killed
  std::string out;
  std::string err;
};
// Runs to the end.
Output RunToEnd(std::vector<std::string> argv, std::chrono::milliseconds timeout = std::chrono::seconds(30));

// A port nobody listens on now, below the range of outgoing connections: while a server there is down, no client's
// socket (not even one that reconnects to it) can take the port.
int PickPort();

struct ServerProcessOptions {
  std::string listen = {};                  // empty: 127.0.0.1 with PickPort()
  std::vector<std::string> set = {};        // key=value
  std::vector<std::string> arguments = {};  // further ones
};

// A server with its own temporary data folder, which stays through Kill() and Start(). Not thread-safe.
class ServerProcess {
 public:
  explicit ServerProcess(ServerProcessOptions options = {});

  // Starts, on the port of the last time if there was one, and waits for the ready line.
  absl::Status Start(std::chrono::milliseconds timeout = std::chrono::seconds(30));
  // kill -9, and waits for the end.
  void Kill();
  // SIGTERM; the exit code, or nothing when it still runs after `timeout`.
  std::optional<int> Terminate(std::chrono::milliseconds timeout = std::chrono::seconds(10));

  bool running() const { return process_ != nullptr; }
  pid_t pid() const { return process_->pid(); }
  const std::string& address() const { return address_; }          // host:port
  const std::string& fingerprint() const { return fingerprint_; }  // "-" without TLS
  bool tls() const { return tls_; }
  std::string admin_password() const;
  std::string password_file() const { return dir_.File("admin.password"); }
  std::string data_dir() const { return dir_.File("data"); }
  const TempDir& dir() const { return dir_; }
  Process& process() { return *process_; }

 private:
  const ServerProcessOptions options_;
  TempDir dir_;
  int starts_ = 0;
  std::unique_ptr<Process> process_;
  std::string address_;
  std::string fingerprint_;
  bool tls_ = false;
};

// From /proc/PID: CPU seconds used so far, and resident bytes.
double CpuSeconds(pid_t pid);
int64_t ResidentBytes(pid_t pid);

}  // namespace pulseboard::testing

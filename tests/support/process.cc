#include "tests/support/process.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <sstream>
#include <utility>

#include "tests/support/eventually.h"

namespace pulseboard::testing {

std::string BinaryPath(std::string_view name) { return std::string(PULSEBOARD_BIN_DIR) + "/" + std::string(name); }

Process::Process(std::vector<std::string> argv, const std::string& prefix) : prefix_(prefix) {
  std::vector<char*> raw;
  for (std::string& argument : argv) raw.push_back(argument.data());
  raw.push_back(nullptr);
  const std::string out = prefix + ".out", err = prefix + ".err";
  pid_ = fork();
  if (pid_ != 0) return;
  // Only async-signal-safe calls from here on: other threads may hold locks.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(open("/dev/null", O_RDONLY), 0);
  dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), 1);
  dup2(open(err.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), 2);
  execv(raw[0], raw.data());
  _exit(127);
}

Process::~Process() {
  if (Poll()) return;
  Signal(SIGKILL);
  Wait(std::chrono::seconds(10));
}

void Process::Signal(int signal) const {
  if (pid_ > 0 && !exit_code_) kill(pid_, signal);
}

std::optional<int> Process::Poll() {
  if (exit_code_ || pid_ <= 0) return exit_code_;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_) {
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return exit_code_;
}

std::optional<int> Process::Wait(std::chrono::milliseconds timeout) {
  Eventually([&] { return Poll().has_value(); }, timeout);
  return exit_code_;
}

Output RunToEnd(std::vector<std::string> argv, std::chrono::milliseconds timeout) {
  const TempDir dir;
  Process process(std::move(argv), dir.File("run"));
  const int exit_code = process.Wait(timeout).value_or(-1);
  return {exit_code, process.out(), process.err()};
}

int PickPort() {
  static std::mt19937 random(std::random_device{}());
  for (;;) {
    const int port = std::uniform_int_distribution(20'000, 32'000)(random);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    address.sin_port = htons(static_cast<uint16_t>(port));
    const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    close(fd);
    if (free) return port;
  }
}

ServerProcess::ServerProcess(ServerProcessOptions options) : options_(std::move(options)) {
  address_ = options_.listen.empty() ? "127.0.0.1:" + std::to_string(PickPort()) : options_.listen;
}

absl::Status ServerProcess::Start(std::chrono::milliseconds timeout) {
  std::vector<std::string> argv = {
      BinaryPath("pulseboardd"), "serve",        "--data", data_dir(), "--listen", address_,
      "--admin-password-file",   password_file()};
  for (const std::string& setting : options_.set) {
    argv.push_back("--set");
    argv.push_back(setting);
  }
  argv.insert(argv.end(), options_.arguments.begin(), options_.arguments.end());
  process_ = std::make_unique<Process>(std::move(argv), dir_.File("server-" + std::to_string(++starts_)));
  std::string ready;
  const bool done = Eventually(
      [&] {
        std::istringstream out(process_->out());
        for (std::string line; std::getline(out, line);) {
          if (line.starts_with("pulseboardd ready ") && !out.eof()) ready = line;
        }
        return !ready.empty() || process_->Poll().has_value();
      },
      timeout);
  if (ready.empty()) {
    const std::string error = process_->err();
    const std::string how = done ? "ended with " + std::to_string(*process_->Poll()) : "was not ready in time";
    process_.reset();
    return absl::UnavailableError("the server " + how + ": " + error);
  }
  std::istringstream words(ready);
  for (std::string word; words >> word;) {
    if (word.starts_with("listen=")) address_ = word.substr(7);
    if (word.starts_with("tls=")) tls_ = word == "tls=on";
    if (word.starts_with("fingerprint=")) fingerprint_ = word.substr(12);
  }
  return absl::OkStatus();
}

void ServerProcess::Kill() {
  if (process_ == nullptr) return;
  process_->Signal(SIGKILL);
  process_->Wait(std::chrono::seconds(20));
  process_.reset();
}

std::optional<int> ServerProcess::Terminate(std::chrono::milliseconds timeout) {
  process_->Signal(SIGTERM);
  const std::optional<int> exit_code = process_->Wait(timeout);
  if (exit_code) process_.reset();
  return exit_code;
}

std::string ServerProcess::admin_password() const {
  std::string password = ReadFile(password_file());
  return password.substr(0, password.find('\n'));
}

double CpuSeconds(pid_t pid) {
  const std::string stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  const size_t close = stat.rfind(')');
  if (close == std::string::npos) return 0;
  std::istringstream fields(stat.substr(close + 1));
  std::string skipped;
  for (int i = 3; i < 14; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

int64_t ResidentBytes(pid_t pid) {
  std::istringstream fields(ReadFile("/proc/" + std::to_string(pid) + "/statm"));
  int64_t total = 0, resident = 0;
  fields >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace pulseboard::testing

#include "tests/bench/peers/peer.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "common/base/errors.h"
#include "tests/bench/peers/http_peer.h"
#include "tests/support/eventually.h"

namespace pulseboard::bench {

int64_t BytesBelow(const std::string& folder, std::string_view suffix) {
  int64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file() && it->path().string().ends_with(suffix)) bytes += static_cast<int64_t>(it->file_size());
  }
  return bytes;
}

int64_t PeakResidentBytes(pid_t pid) {
  const std::string status = testing::ReadFile("/proc/" + std::to_string(pid) + "/status");
  const size_t at = status.find("VmHWM:");
  return at == std::string::npos ? 0 : std::atoll(status.c_str() + at + 6) * 1024;
}

std::string FindProgram(const std::string& name, const std::string& peers) {
  std::istringstream path(std::string(std::getenv("PATH") == nullptr ? "" : std::getenv("PATH")) + ":" + peers +
                          "/usr/bin");
  for (std::string folder; std::getline(path, folder, ':');) {
    const std::string program = folder + "/" + name;
    if (!folder.empty() && access(program.c_str(), X_OK) == 0) return program;
  }
  return "";
}

PeerPrograms FindPeerPrograms(const std::string& peers) {
  const auto find = [&peers](const char* name) {
    std::string program = FindProgram(name, peers);
    if (program.empty()) std::fprintf(stderr, "%s is not here: its rows are left out\n", name);
    return program;
  };
  return {find("victoria-metrics"), find("influxd"), find("prometheus")};
}

HttpPeer::HttpPeer(std::string server, std::string way, std::string program, int connections)
    : Peer(std::move(server), std::move(way)), program_(std::move(program)), connections_(connections) {}

absl::Status HttpPeer::StartFresh() {
  Kill();
  std::filesystem::remove_all(data_dir());
  PB_RETURN_IF_ERROR(Restart());
  return AfterFirstStart();
}

absl::Status HttpPeer::Restart() {
  Kill();
  process_ = std::make_unique<testing::Process>(Command(), File("server"));
  const bool answers =
      testing::Eventually([&] { return process_->Poll() || Get(HealthPath()).ok(); }, std::chrono::seconds(60));
  if (answers && !process_->Poll()) return absl::OkStatus();
  const std::string text = process_->err();
  Kill();
  return absl::UnavailableError(server() +
                                " did not start: " + text.substr(text.size() - std::min<size_t>(500, text.size())));
}

absl::StatusOr<LoadResult> HttpPeer::Load() {
  return PostFrames(port_, LoadPath(), LoadHeaders(), frames_, connections_, pid());
}

void HttpPeer::End(int signal) {
  if (process_ == nullptr) return;
  process_->Signal(signal);
  process_->Wait(std::chrono::seconds(60));
  process_.reset();
}

}  // namespace pulseboard::bench

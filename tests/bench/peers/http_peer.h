// What the three HTTP servers have in common.
#pragma once

#include <signal.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/peers/peer.h"

namespace pulseboard::bench {

class HttpPeer : public Peer {
 public:
  absl::Status StartFresh() override;
  absl::Status Restart() override;
  absl::StatusOr<LoadResult> Load() override;
  int port() const override { return port_; }
  pid_t pid() const override { return process_ == nullptr ? 0 : process_->pid(); }
  std::string data_dir() const override { return folder_.File("data"); }
  void Kill() override { End(SIGKILL); }

 protected:
  HttpPeer(std::string server, std::string way, std::string program, int connections);

  virtual std::vector<std::string> Command() const = 0;
  virtual std::string HealthPath() const = 0;
  virtual std::string LoadPath() const = 0;
  virtual std::string LoadHeaders() const { return ""; }
  // After the first answer to HealthPath, on an empty data folder.
  virtual absl::Status AfterFirstStart() { return absl::OkStatus(); }

  void Stop() { End(SIGTERM); }
  absl::StatusOr<std::string> Get(const std::string& path) const { return HttpGet(port_, path); }
  const std::string& program() const { return program_; }
  const Workload& workload() const { return *workload_; }
  std::string File(std::string_view name) const { return folder_.File(name); }

  const Workload* workload_ = nullptr;
  Frames frames_;

 private:
  void End(int signal);

  const std::string program_;
  const int connections_;
  const int port_ = testing::PickPort();
  testing::TempDir folder_;
  std::unique_ptr<testing::Process> process_;
};

}  // namespace pulseboard::bench

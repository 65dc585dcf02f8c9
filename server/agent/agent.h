// The agent: reads this machine's metrics every second and pushes them to a server (`pulseboardd agent`).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace pulseboard {

inline constexpr std::chrono::nanoseconds kMinAgentInterval = std::chrono::milliseconds(100);
inline constexpr std::chrono::nanoseconds kMaxAgentInterval = std::chrono::hours(1);

struct AgentOptions {
  std::string server;                                          // host:port
  std::string user;                                            // an account with role INGEST, EDITOR or ADMIN
  std::string password_file;                                   // first line; read again whenever a new login is needed
  std::string pins_file;                                       // empty: client::PinStore::DefaultPath()
  std::chrono::nanoseconds interval{std::chrono::seconds(1)};  // kMinAgentInterval to kMaxAgentInterval
  std::string host;                                            // value of the `host` label; empty: this machine's name
  std::string ack_mode;                                        // fsynced or buffered; empty: the server's default
  int64_t max_spool_samples = 1'000'000;                       // kept while the server is away; then the oldest go
  std::string proc_root = "/proc";
  std::string sys_root = "/sys";
};

// Logs in, pins the server's certificate on first use (refuses with a loud message when it changed), pushes until
// SIGTERM or SIGINT, flushes and returns 0. Waits for a server that is not there yet. Returns 1 after an error that
// waiting cannot mend (wrong password, changed certificate, role too low, unreadable password file), said on stderr.
// Blocks SIGTERM and SIGINT in the calling thread: call before other threads start.
int RunAgent(const AgentOptions& options);

}  // namespace pulseboard

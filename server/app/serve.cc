#include "server/app/serve.h"

#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <thread>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/app/exit_code.h"
#include "server/app/node.h"
#include "server/app/signals.h"

namespace pulseboard {
namespace {

using std::chrono::nanoseconds;
using SteadyClock = std::chrono::steady_clock;

std::string Join(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ",") + name;
  return out;
}

void Reload(const ConfigSources& sources, ServerConfig* current, Node* node) {
  const auto loaded = LoadConfig(sources);
  if (!loaded.ok()) {
    PB_LOG(Error, "app", "kept settings reason={}", StatusMessage(loaded.status()));
    return;
  }
  ConfigChanges changes = CompareConfigs(*current, loaded->values);
  const std::vector<std::string> waiting = node->Reload(loaded->values);
  changes.needs_restart.insert(changes.needs_restart.end(), waiting.begin(), waiting.end());
  *current = loaded->values;
  PB_LOG(Info, "app", "reloaded settings changed=[{}]", Join(changes.reloadable));
  if (!changes.needs_restart.empty()) {
    PB_LOG(Warning, "app", "settings wait for a restart changed=[{}]", Join(changes.needs_restart));
  }
}

// Ends the process without running destructors or exit handlers: something hangs that they would wait for.
[[noreturn]] void LeaveNow(int code) {
  spdlog::default_logger()->flush();
  _exit(code);
}

// Streams end gently, then hard; then the store is closed. Whatever hangs, the process is gone after `exit_ns`.
int DrainAndClose(const LifecycleOptions& limits, std::unique_ptr<Node> node, SignalWaiter* signals) {
  constexpr nanoseconds kLookEvery = std::chrono::milliseconds(20);
  const SteadyClock::time_point start = SteadyClock::now();
  sd_notify(0, "STOPPING=1");
  node->Drain(/*hard=*/false);
  std::atomic<bool> closed{false};
  std::thread closer([&] {
    node->Close(std::chrono::duration_cast<std::chrono::milliseconds>(nanoseconds(limits.drain_ns)));
    closed = true;
  });
  bool hard = false;
  while (!closed) {
    if (const auto signal = signals->WaitFor(kLookEvery); signal && *signal != SIGHUP) {
      PB_LOG(Warning, "app", "left at once reason=second signal");
      LeaveNow(128 + *signal);
    }
    const nanoseconds elapsed = SteadyClock::now() - start;
    if (elapsed.count() >= limits.drain_ns && !hard) {
      hard = true;
      node->Drain(/*hard=*/true);
    }
    if (elapsed.count() >= limits.exit_ns) {
      PB_LOG(Warning, "app", "left with calls under way reason=server.exit is over");
      node->CloseStore();
      LeaveNow(0);
    }
  }
  closer.join();
  node.reset();
  PB_LOG(Info, "app", "stopped after_ms={}", (SteadyClock::now() - start) / std::chrono::milliseconds(1));
  return 0;
}

}  // namespace

int RunServe(const ServeOptions& options) {
  SignalWaiter signals;
  const auto loaded = LoadConfig(options.sources);
  if (!loaded.ok()) return ExitCodeOf(loaded.status());
  ServerConfig config = loaded->values;
  InitLogging(config.log_level);
  // Before anything is made on disk.
  if (const auto tls = DecideTls(config); !tls.ok()) return ExitCodeOf(tls.status());

  auto node = Node::Start(config, options.admin_password_file, SystemClock());
  if (!node.ok()) return ExitCodeOf(node.status());
  const std::string& fingerprint = (*node)->fingerprint();
  std::printf("pulseboardd ready listen=%s tls=%s fingerprint=%s\n", (*node)->address().c_str(),
              fingerprint == "-" ? "off" : "on", fingerprint.c_str());
  std::fflush(stdout);
  sd_notify(0, "READY=1");

  while (true) {
    const int signal = signals.Wait();
    if (signal != SIGHUP) break;
    Reload(options.sources, &config, node->get());
  }
  return DrainAndClose(config.lifecycle, *std::move(node), &signals);
}

}  // namespace pulseboard

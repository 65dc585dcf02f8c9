// Node: one whole server, built from the bottom up and torn down in reverse.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "server/alert/alert_engine.h"
#include "server/app/commit_fan_out.h"
#include "server/app/config.h"
#include "server/app/self_metrics.h"
#include "server/app/ticker.h"
#include "server/events/event_log.h"
#include "server/identity/accounts.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/serving_state.h"
#include "server/rpc/stream_registry.h"
#include "server/transfer/export_cursor.h"
#include "server/transfer/importer.h"

namespace pulseboard {

// Thread-safe but for Close, which is called once.
class Node {
 public:
  // Opens the store, makes what a first start needs (data directory, certificate, admin account) and takes calls.
  // `admin_password_file`: see first_start.h.
  static absl::StatusOr<std::unique_ptr<Node>> Start(const ServerConfig& config, const std::string& admin_password_file,
                                                     const Clock& clock);
  ~Node();

  // HOST:PORT with the real port.
  const std::string& address() const { return server_->address(); }
  // Of the certificate; `-` for plaintext.
  const std::string& fingerprint() const { return fingerprint_; }

  // Takes over the reloadable settings. Returns what of them waits for a restart all the same, for people.
  std::vector<std::string> Reload(const ServerConfig& config);

  // Tells health checks, and asks all streams to end: gently, or, `hard`, at once. May be called again.
  void Drain(bool hard);
  // Gives streams up to `limit` to end, cancels what is left, then syncs and closes the store. Blocks for ever when a
  // call cannot be ended.
  void Close(std::chrono::milliseconds limit);
  // Syncs and closes the store whatever else hangs: the last thing before the process is given up.
  void CloseStore();

 private:
  Node(const ServerConfig& config, const Clock& clock);
  absl::Status OpenStore();
  absl::Status OpenIdentity(const std::string& admin_password_file);
  absl::Status Listen();
  void StartTickers();
  void AddSelfMetrics();
  std::vector<std::string> ApplyRetention(const ServerConfig& config);
  void CheckHealth();

  const ServerConfig config_;
  const Clock& clock_;
  std::string fingerprint_ = "-";
  std::atomic<bool> draining_{false};

  // In the order in which they need each other.
  std::unique_ptr<Hub> hub_;
  std::unique_ptr<AlertEngine> alerts_;
  std::unique_ptr<CommitFanOut> observers_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<TenantRegistry> tenants_;
  std::unique_ptr<UserDirectory> users_;
  std::unique_ptr<SessionRegistry> sessions_;
  std::unique_ptr<Accounts> accounts_;
  std::unique_ptr<Intake> intake_;
  std::unique_ptr<QueryEngine> query_;
  std::unique_ptr<Importer> importer_;
  std::unique_ptr<Exporter> exporter_;
  std::unique_ptr<EventLog> events_;
  std::unique_ptr<Authenticator> authenticator_;
  StreamRegistry streams_;
  std::unique_ptr<ServingState> serving_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<SelfMetrics> self_metrics_;
  std::unique_ptr<Ticker> self_metrics_ticker_;
  std::unique_ptr<Ticker> upkeep_ticker_;
};

// Whether to speak TLS on this address. FAILED_PRECONDITION when the settings ask for plaintext where others can
// listen.
absl::StatusOr<bool> DecideTls(const ServerConfig& config);

}  // namespace pulseboard

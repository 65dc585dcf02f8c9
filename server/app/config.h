// ServerConfig: every setting of the server as the rooms' own options. The keys that fill it: config_registry.h.
#pragma once

#include <cstdint>
#include <string>

#include "server/alert/alert_engine.h"
#include "server/events/event_log.h"
#include "server/identity/accounts.h"
#include "server/identity/session_registry.h"
#include "server/identity/user_directory.h"
#include "server/ingest/intake.h"
#include "server/live/hub.h"
#include "server/query/query_engine.h"
#include "server/rpc/grpc_server.h"
#include "server/storage/store.h"
#include "server/transfer/transfer_options.h"

namespace pulseboard {

struct TlsOptions {
  std::string mode = "auto";     // auto: on for every address but loopback
  bool allow_plaintext = false;  // whether `off` may be used on an address that others can reach
  std::string certificate_file;  // PEM chain; empty: a self-signed certificate kept in the data directory
  std::string key_file;          // PEM
};

struct LifecycleOptions {
  int64_t drain_ns = 2 * kNanosPerSecond;                        // streams get this long to end by themselves
  int64_t exit_ns = 4 * kNanosPerSecond + 500 * kNanosPerMilli;  // after SIGTERM the process is gone by then
};

struct ServerConfig {
  std::string log_level = "info";
  GrpcServerOptions rpc;
  TlsOptions tls;
  LifecycleOptions lifecycle;
  StoreOptions store;
  std::string storage_tiers{kDefaultTiers};                      // fills store.tiers
  std::string otlp_resource_labels{kDefaultOtlpResourceLabels};  // fills intake.otlp_resource_labels
  std::string tenant_retention;                                  // fills, with the tenants' numbers, the store's policy
  IntakeOptions intake;
  std::string ack_mode = "fsynced";  // becomes intake.default_ack_mode
  HubOptions live;
  QueryOptions query;
  TransferOptions transfer;
  EventOptions events;
  AlertOptions alert;
  UserDirectoryOptions users;
  SessionOptions sessions;
  AccountsOptions accounts;
  int64_t self_metrics_interval_ns = 1 * kNanosPerSecond;
};

}  // namespace pulseboard

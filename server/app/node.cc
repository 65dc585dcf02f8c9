#include "server/app/node.h"

#include <grpcpp/impl/codegen/service_type.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/app/certificate.h"
#include "server/app/files.h"
#include "server/app/first_start.h"
#include "server/rpc/health_service.h"
#include "server/rpc/reflection_service.h"
#include "server/rpc/services.h"

namespace pulseboard {
namespace {

// What reflection lists and health checks know. Health and reflection stand in it, too, so that tools can describe
// them.
const std::vector<std::string>& ServiceNames() {
  static const std::vector<std::string> names = {
      "pulseboard.v1.AuthService",
      "pulseboard.v1.UserService",
      "pulseboard.v1.IngestService",
      "pulseboard.v1.QueryService",
      "pulseboard.v1.LiveService",
      "pulseboard.v1.StorageService",
      "pulseboard.v1.TransferService",
      "pulseboard.v1.EventService",
      "pulseboard.v1.AlertService",
      "opentelemetry.proto.collector.metrics.v1.MetricsService",
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
  };
  return names;
}

}  // namespace

absl::StatusOr<bool> DecideTls(const ServerConfig& config) {
  if (config.tls.mode == "on") return true;
  PB_ASSIGN_OR_RETURN(const HostPort address, ParseHostPort(config.rpc.listen));
  const bool loopback = IsLoopback(address.host);
  if (config.tls.mode == "auto") return !loopback;
  if (loopback || config.tls.allow_plaintext) return false;
  return absl::FailedPreconditionError(
      "server.tls = \"off\" on " + config.rpc.listen +
      " would send passwords and data readable over the network; leave server.tls at \"auto\", listen on 127.0.0.1, or "
      "set server.allow_plaintext = true if something in front of it encrypts");
}

Node::Node(const ServerConfig& config, const Clock& clock) : config_(config), clock_(clock) {}

Node::~Node() { Close(std::chrono::milliseconds(0)); }

absl::StatusOr<std::unique_ptr<Node>> Node::Start(const ServerConfig& config, const std::string& admin_password_file,
                                                  const Clock& clock) {
  std::unique_ptr<Node> node(new Node(config, clock));
  PB_RETURN_IF_ERROR(node->OpenStore());
  PB_RETURN_IF_ERROR(node->OpenIdentity(admin_password_file));
  IntakeOptions intake = config.intake;
  intake.tenant_name = [tenants = node->tenants_.get()](TenantId id) { return std::string(tenants->Name(id)); };
  node->intake_ = std::make_unique<Intake>(*node->store_, clock, std::move(intake));
  node->query_ = std::make_unique<QueryEngine>(*node->store_, clock, config.query);
  node->importer_ = std::make_unique<Importer>(*node->intake_, clock, config.transfer);
  node->exporter_ = std::make_unique<Exporter>(*node->store_, *node->query_, config.transfer);
  EventOptions events = config.events;
  events.max_lead_ns = config.intake.max_sample_lead_ns;
  PB_ASSIGN_OR_RETURN(node->events_,
                      EventLog::Open(node->store_->GetTable("events"), clock, node->store_->store_id(), events));
  node->hub_->AttachQueries(*node->query_);
  node->hub_->AttachEvents(*node->events_);
  PB_RETURN_IF_ERROR(node->Listen());
  node->AddSelfMetrics();
  node->StartTickers();
  return node;
}

absl::Status Node::OpenStore() {
  PB_RETURN_IF_ERROR(MakePrivateDirectory(config_.store.directory));
  HubOptions live = config_.live;
  live.clock = &clock_;
  hub_ = std::make_unique<Hub>(live);
  StoreOptions store = config_.store;
  store.clock = &clock_;
  store.backup_files = {"tls.crt", "tls.key"};  // or clients that pinned the certificate would refuse a restored server
  alerts_ = std::make_unique<AlertEngine>(clock_, config_.alert);
  observers_ = std::make_unique<CommitFanOut>(std::vector<CommitObserver*>{hub_.get(), alerts_.get()});
  auto opened = Store::Open(store, observers_.get());
  if (!opened.ok()) return WithContext(opened.status(), "open store " + store.directory);
  store_ = *std::move(opened);
  hub_->Attach(*store_);
  return alerts_->Open(*store_);
}

absl::Status Node::OpenIdentity(const std::string& admin_password_file) {
  PB_ASSIGN_OR_RETURN(tenants_, TenantRegistry::Open(store_->GetTable("tenants")));
  PB_ASSIGN_OR_RETURN(users_, UserDirectory::Open(store_->GetTable("users"), clock_, config_.users));
  PB_ASSIGN_OR_RETURN(
      sessions_, SessionRegistry::Open(store_->GetTable("sessions"), *users_, *tenants_, clock_, config_.sessions));
  PB_RETURN_IF_ERROR(EnsureAdmin(*users_, admin_password_file));
  ApplyRetention(config_);
  accounts_ = std::make_unique<Accounts>(*tenants_, *users_, *sessions_, clock_, config_.accounts);
  authenticator_ = std::make_unique<Authenticator>(*sessions_);
  return absl::OkStatus();
}

absl::Status Node::Listen() {
  PB_ASSIGN_OR_RETURN(const bool use_tls, DecideTls(config_));
  std::optional<TlsKeyPair> key_pair;
  if (use_tls) {
    auto identity = config_.tls.certificate_file.empty()
                        ? LoadOrMakeTlsIdentity(config_.store.directory, clock_)
                        : LoadTlsIdentity(config_.tls.certificate_file, config_.tls.key_file, clock_);
    if (!identity.ok()) return identity.status();
    key_pair = std::move(identity->pair);
    fingerprint_ = std::move(identity->fingerprint);
  }
  serving_ = std::make_unique<ServingState>(ServiceNames());
  std::vector<std::unique_ptr<grpc::Service>> services;
  services.push_back(MakeAuthService(*authenticator_, *accounts_));
  services.push_back(MakeUserService(*authenticator_, *accounts_));
  services.push_back(MakeIngestService(*authenticator_, *intake_, streams_));
  services.push_back(MakeMetricsService(*authenticator_, *intake_));
  services.push_back(MakeQueryService(*authenticator_, *query_, streams_));
  services.push_back(MakeTransferService(*authenticator_, *importer_, *exporter_, streams_));
  services.push_back(MakeEventService(*authenticator_, *events_, streams_));
  services.push_back(MakeAlertService(*authenticator_, *alerts_, *store_, streams_));
  services.push_back(MakeLiveService(*authenticator_, *hub_, streams_));
  services.push_back(MakeStorageService(*authenticator_, *tenants_, *store_, streams_));
  services.push_back(MakeHealthService(*serving_, streams_));
  services.push_back(MakeReflectionService(ServiceNames(), streams_));
  services.push_back(MakeReflectionAlphaService(ServiceNames(), streams_));
  PB_ASSIGN_OR_RETURN(server_, GrpcServer::Start(config_.rpc, key_pair, std::move(services)));
  return absl::OkStatus();
}

void Node::StartTickers() {
  CheckHealth();
  self_metrics_ticker_ = std::make_unique<Ticker>(std::chrono::nanoseconds(config_.self_metrics_interval_ns),
                                                  [this] { self_metrics_->Push(); });
  upkeep_ticker_ = std::make_unique<Ticker>(std::chrono::seconds(1), [this, second = 0]() mutable {
    CheckHealth();
    if (second++ % 60 != 0) return;
    const auto swept = sessions_->Sweep();
    if (!swept.ok()) PB_LOG(Warning, "app", "left expired sessions reason={}", StatusMessage(swept.status()));
    const absl::Status events = events_->Sweep();
    if (!events.ok()) PB_LOG(Warning, "app", "left expired events reason={}", StatusMessage(events));
    const absl::Status ledger = alerts_->ledger().Sweep();
    if (!ledger.ok()) PB_LOG(Warning, "app", "left expired transitions reason={}", StatusMessage(ledger));
  });
}

void Node::CheckHealth() {
  // A store that takes no writes can be read and watched all the same: only ingest is out of service then.
  const bool takes_writes = store_->Health().ok();
  // Draining first and asked again after: a drain that begins in between has the last word.
  if (!draining_ && takes_writes) serving_->SetServing(true);
  if (!draining_ && !takes_writes) serving_->SetServingBut("pulseboard.v1.IngestService");
  if (draining_) serving_->SetServing(false);
}

std::vector<std::string> Node::Reload(const ServerConfig& config) {
  InitLogging(config.log_level);
  accounts_->SetSelfRegistration(config.accounts.self_registration);
  sessions_->SetLives(config.sessions.access_token_life_ns, config.sessions.refresh_token_life_ns);
  events_->SetRetention(config.events.retention_ns);
  return ApplyRetention(config);
}

std::vector<std::string> Node::ApplyRetention(const ServerConfig& config) {
  RetentionPolicy policy = config.store.retention;
  policy.SetForAll(config.store.raw_retention_ns, config.store.tiers);
  std::vector<std::string> waiting;
  const auto lacks = [](const std::vector<TierOptions>& tiers, int64_t bucket_ns) {
    return std::none_of(tiers.begin(), tiers.end(), [=](const TierOptions& t) { return t.bucket_ns == bucket_ns; });
  };
  const std::vector<TierOptions> kept = store_->Tiers(0);
  for (const TierOptions& tier : config.store.tiers) {
    if (lacks(kept, tier.bucket_ns)) waiting.push_back("storage.tiers: new tier " + TierName(tier.bucket_ns));
  }
  for (const TierOptions& tier : kept) {
    if (!lacks(config.store.tiers, tier.bucket_ns)) continue;
    waiting.push_back("storage.tiers: end of tier " + TierName(tier.bucket_ns));
    policy.retention_ns[tier.bucket_ns] = std::max(tier.retention_ns, config.store.raw_retention_ns);
  }
  const auto tenants = ParseTenantRetention(config.tenant_retention);  // checked when the settings were loaded
  if (!tenants.ok()) return waiting;
  for (const auto& [name, retention] : *tenants) {
    if (const auto id = tenants_->Find(name)) {
      policy.tenants.emplace(*id, retention);
    } else {
      PB_LOG(Warning, "app", "ignored retention of a tenant that does not exist tenant={}", Printable(name));
    }
  }
  store_->SetRetention(std::move(policy));
  return waiting;
}

void Node::Drain(bool hard) {
  draining_ = true;
  serving_->SetServing(false);
  streams_.DrainAll(hard);
}

void Node::Close(std::chrono::milliseconds limit) {
  upkeep_ticker_.reset();
  self_metrics_ticker_.reset();
  if (server_ != nullptr) {
    // gRPC's Shutdown also waits for connections that clients merely keep open, so it gets less time: what short calls
    // under way may need.
    constexpr std::chrono::milliseconds kShortCalls{500};
    streams_.WaitUntilEmpty(limit);
    server_->Shutdown(std::min(limit, kShortCalls));
  }
  if (importer_ != nullptr) importer_->Stop();
  if (events_ != nullptr) events_->Stop();
  if (query_ != nullptr) query_->Stop();
  if (hub_ != nullptr) hub_->Close();
  if (alerts_ != nullptr) alerts_->Stop();
  CloseStore();
}

void Node::CloseStore() {
  if (store_ == nullptr) return;
  if (const absl::Status closed = store_->Close(); !closed.ok()) {
    PB_LOG(Error, "app", "closed store reason={}", StatusMessage(closed));
  }
}

}  // namespace pulseboard

// DataServer: the ingest, query, live and transfer services on a real socket, over a real store and real sessions.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/wire/status.h"
#include "pulseboard/v1/ingest.grpc.pb.h"
#include "pulseboard/v1/live.grpc.pb.h"
#include "pulseboard/v1/query.grpc.pb.h"
#include "pulseboard/v1/transfer.grpc.pb.h"
#include "server/events/event_log.h"
#include "server/ingest/intake.h"
#include "server/live/hub.h"
#include "server/query/query_engine.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/grpc_server.h"
#include "server/rpc/services.h"
#include "server/rpc/stream_registry.h"
#include "server/transfer/export_cursor.h"
#include "server/transfer/importer.h"
#include "tests/support/grpc_test.h"
#include "tests/support/identity_world.h"
#include "tests/support/memory_table.h"
#include "tests/support/test_store.h"

namespace pulseboard::testing {

struct DataServerOptions {
  HubOptions hub;
  IntakeOptions intake{.default_ack_mode = AckMode::kBuffered};  // the page cache is durable enough for a test
  QueryOptions query;
  TransferOptions transfer = {};
  std::function<void(StoreOptions*)> store = nullptr;  // what is different of the real store
};

class DataServer {
 public:
  // `store_in_front`: put between the services and the real store; null for none.
  explicit DataServer(DataServerOptions options = {},
                      const std::function<std::unique_ptr<Store>(Store&)>& store_in_front = nullptr)
      : hub_(options.hub) {
    if (options.store != nullptr) {
      store_.ReopenWith(options.store);
      store_.Reopen(&hub_);
    }
    front_ = store_in_front == nullptr ? nullptr : store_in_front(*store_);
    Store& seen = front_ == nullptr ? *store_ : *front_;
    hub_.Attach(seen);
    intake_ = std::make_unique<Intake>(seen, SystemClock(), options.intake);
    engine_ = std::make_unique<QueryEngine>(seen, SystemClock(), options.query);
    hub_.AttachQueries(*engine_);
    events_ = EventLog::Open(event_table_, SystemClock(), store_->store_id(), EventOptions()).value();
    hub_.AttachEvents(*events_);
    importer_ = std::make_unique<Importer>(*intake_, SystemClock(), options.transfer);
    exporter_ = std::make_unique<Exporter>(seen, *engine_, options.transfer);
    std::vector<std::unique_ptr<grpc::Service>> services;
    services.push_back(MakeIngestService(authenticator_, *intake_, streams_));
    services.push_back(MakeMetricsService(authenticator_, *intake_));
    services.push_back(MakeQueryService(authenticator_, *engine_, streams_));
    services.push_back(MakeTransferService(authenticator_, *importer_, *exporter_, streams_));
    services.push_back(MakeLiveService(authenticator_, hub_, streams_));
    GrpcServerOptions server_options;
    server_options.listen = "127.0.0.1:0";
    // Tests of flow control know how much may be on the way, however slow the machine is.
    server_options.growing_windows = false;
    server_ = GrpcServer::Start(server_options, std::nullopt, std::move(services)).value();
    admin_ = Token("root", Role::kAdmin);
    channel_ = NewChannel();
  }
  ~DataServer() { Stop(std::chrono::milliseconds(0)); }

  // As the server's own end: hard drain, then shut down.
  void Stop(std::chrono::milliseconds limit) {
    streams_.DrainAll(/*hard=*/limit.count() == 0);
    server_->Shutdown(limit);
    hub_.Close();
    importer_->Stop();
    engine_->Stop();
    events_->Stop();
    // As the node does: no commit tells the intake anything after this. What a broken store says is the test's affair.
    store_->Close().IgnoreError();
  }

  std::shared_ptr<grpc::Channel> NewChannel() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);            // as the server
    return grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(), arguments);
  }

  // An access token of a new account.
  std::string Token(const std::string& name, Role role) {
    NewUser account;
    account.tenant = kDefaultTenant;
    account.user_name = name;
    account.role = role;
    user_ = identity_.users->Create(account).value();
    return identity_.sessions->Create(*user_).value().access_token;
  }
  const std::string& user_id() const { return user_->user_id; }  // of the last Token()

  // A context with a token (the admin's by default) and a deadline that only a hanging test meets.
  std::unique_ptr<grpc::ClientContext> Context(const std::string& token = "") const {
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("authorization", "Bearer " + (token.empty() ? admin_ : token));
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return context;
  }

  std::unique_ptr<v1::IngestService::Stub> ingest() const { return v1::IngestService::NewStub(channel_); }
  std::unique_ptr<v1::QueryService::Stub> query() const { return v1::QueryService::NewStub(channel_); }
  std::unique_ptr<v1::LiveService::Stub> live() const { return v1::LiveService::NewStub(channel_); }

  std::unique_ptr<v1::TransferService::Stub> transfer() const { return v1::TransferService::NewStub(channel_); }

  TestStore& store() { return store_; }
  Store* front() { return front_.get(); }
  Hub& hub() { return hub_; }
  Intake& intake() { return *intake_; }
  QueryEngine& engine() { return *engine_; }
  EventLog& events() { return *events_; }
  Importer& importer() { return *importer_; }
  StreamRegistry& streams() { return streams_; }
  IdentityWorld& identity() { return identity_; }

 private:
  IdentityWorld identity_;
  Authenticator authenticator_{*identity_.sessions};
  StreamRegistry streams_;
  MemoryTable event_table_;
  Hub hub_;
  TestStore store_{&hub_};
  std::unique_ptr<Store> front_;
  std::unique_ptr<Intake> intake_;
  std::unique_ptr<QueryEngine> engine_;
  std::unique_ptr<EventLog> events_;
  std::unique_ptr<Importer> importer_;
  std::unique_ptr<Exporter> exporter_;
  std::unique_ptr<GrpcServer> server_;
  std::string admin_;
  UserPtr user_;
  std::shared_ptr<grpc::Channel> channel_;
};

inline ErrorReason ReasonOf(const grpc::Status& status) {
  const auto detail = GetErrorDetail(FromGrpcStatus(status));
  EXPECT_TRUE(detail.has_value()) << "no ErrorInfo: " << status.error_code() << " " << status.error_message();
  return detail ? detail->reason : ErrorReason::kInternal;
}

}  // namespace pulseboard::testing

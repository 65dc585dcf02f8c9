// The services of pulseboard.v1 as gRPC callback services. Each parses, calls one use case and maps errors; no business
// rules. All arguments must outlive the returned service.
#pragma once

#include <memory>

namespace grpc {
class Service;
}

namespace pulseboard {

class Accounts;
class AlertEngine;
class Authenticator;
class EventLog;
class Exporter;
class Hub;
class Importer;
class Intake;
class QueryEngine;
class Store;
class StreamRegistry;
class TenantRegistry;

std::unique_ptr<grpc::Service> MakeAuthService(const Authenticator& authenticator, Accounts& accounts);
std::unique_ptr<grpc::Service> MakeUserService(const Authenticator& authenticator, Accounts& accounts);
std::unique_ptr<grpc::Service> MakeIngestService(const Authenticator& authenticator, Intake& intake,
                                                 StreamRegistry& streams);
// OpenTelemetry metrics.
std::unique_ptr<grpc::Service> MakeMetricsService(const Authenticator& authenticator, Intake& intake);
std::unique_ptr<grpc::Service> MakeQueryService(const Authenticator& authenticator, QueryEngine& engine,
                                                StreamRegistry& streams);
std::unique_ptr<grpc::Service> MakeStorageService(const Authenticator& authenticator, const TenantRegistry& tenants,
                                                  Store& store, StreamRegistry& streams);
std::unique_ptr<grpc::Service> MakeTransferService(const Authenticator& authenticator, Importer& importer,
                                                   const Exporter& exporter, StreamRegistry& streams);
std::unique_ptr<grpc::Service> MakeEventService(const Authenticator& authenticator, EventLog& events,
                                                StreamRegistry& streams);
std::unique_ptr<grpc::Service> MakeAlertService(const Authenticator& authenticator, AlertEngine& engine, Store& store,
                                                StreamRegistry& streams);
std::unique_ptr<grpc::Service> MakeLiveService(const Authenticator& authenticator, Hub& hub, StreamRegistry& streams);

}  // namespace pulseboard

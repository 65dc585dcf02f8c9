// grpc.health.v1.Health over ServingState, as a service with a linked descriptor so that tools can describe it.
#pragma once

#include <memory>

namespace grpc {
class Service;
}

namespace pulseboard {

class ServingState;
class StreamRegistry;

// Needs no authentication. Both arguments must outlive the service.
std::unique_ptr<grpc::Service> MakeHealthService(ServingState& state, StreamRegistry& streams);

}  // namespace pulseboard

// grpc.reflection.v1 and v1alpha from the linked descriptors: lets grpcurl and `buf curl` list, describe and call
// everything.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace grpc {
class Service;
}

namespace pulseboard {

class StreamRegistry;

// Need no authentication: the contract is public. `services`: full names of what the server serves. `streams` must
// outlive the service.
std::unique_ptr<grpc::Service> MakeReflectionService(const std::vector<std::string>& services, StreamRegistry& streams);
// The same under the older name, which most tools still ask for.
std::unique_ptr<grpc::Service> MakeReflectionAlphaService(const std::vector<std::string>& services,
                                                          StreamRegistry& streams);

}  // namespace pulseboard

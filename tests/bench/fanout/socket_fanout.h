// Fan-out of other servers (Redis pub/sub, NATS core) over raw sockets: one publisher, many subscribers.
#pragma once

#include <sys/types.h>

#include "absl/status/statusor.h"

namespace pulseboard::bench {

enum class SocketProtocol { kRedis, kNats };

struct SocketFanoutResult {
  double deliveries_per_second = 0;
  double server_us_per_delivery = 0;  // CPU
  double p50_ms = 0;                  // from before the publisher's write to the complete message; paced runs only
  double p99_ms = 0;
};

// Messages of 64 bytes to `subscribers` connections for `seconds`: `rate` per second, or with 0 as fast as 64 messages
// under way allow. The server listens on 127.0.0.1:`port`.
absl::StatusOr<SocketFanoutResult> RunSocketFanout(SocketProtocol protocol, int port, pid_t server, int subscribers,
                                                   int rate, double seconds);

}  // namespace pulseboard::bench

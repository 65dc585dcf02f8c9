// Resume tokens: a position in a store's commits, bound to the queries it was given for. Opaque to clients.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/labels.h"

namespace pulseboard {

struct LiveEventQuerySpec;
struct LiveQuerySpec;

// Equal for requests that select and reduce equally, in whatever order.
uint64_t HashLiveQueries(TenantId tenant, const std::vector<LiveQuerySpec>& queries,
                         const std::vector<LiveEventQuerySpec>& event_queries);

// How far a subscription has come. Late samples of a frame of commits are sent after its other ones, and a stream may
// end in between: then the two numbers differ.
struct ResumePosition {
  int64_t commit_sequence = 0;   // all of the commits up to this one was sent
  int64_t samples_sequence = 0;  // and up to this one all but late samples; not smaller
  uint64_t epoch = 0;            // Store::epoch() that these numbers are of
  int64_t time_unix_nanos = 0;   // by the server's clock, not later than when the last of them was committed
  int64_t event_id = 0;          // all events up to this one were sent
  bool operator==(const ResumePosition&) const = default;
};

std::string MakeResumeToken(std::string_view store_id, uint64_t queries_hash, const ResumePosition& position);

// The position, or BAD_RESUME_TOKEN when the token is damaged, of another format, store or set of queries.
absl::StatusOr<ResumePosition> ParseResumeToken(std::string_view token, std::string_view store_id,
                                                uint64_t queries_hash);

}  // namespace pulseboard

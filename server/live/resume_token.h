// Resume tokens: a position in a store's commits, bound to the queries it was given for. Opaque to clients.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/labels.h"

namespace pulseboard {

struct LiveQuerySpec;

// Equal for requests that select and reduce equally.
uint64_t HashLiveQueries(TenantId tenant, const std::vector<LiveQuerySpec>& queries);

// All commits up to `commit_sequence` of store `store_id` were sent.
std::string MakeResumeToken(std::string_view store_id, uint64_t queries_hash, int64_t commit_sequence);

// The commit sequence, or BAD_RESUME_TOKEN when the token is damaged, of another format, store or set of queries.
absl::StatusOr<int64_t> ParseResumeToken(std::string_view token, std::string_view store_id, uint64_t queries_hash);

}  // namespace pulseboard

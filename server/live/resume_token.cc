#include "server/live/resume_token.h"

#include <algorithm>

#include "common/base/checksum.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "server/live/hub.h"

namespace pulseboard {
namespace {

// Format 3: version u8 | queries hash u64 | commit up to which all was sent u64 | the same without late samples u64 |
// epoch u64 | time i64 | event id i64 | store id … | CRC-32 of all before, u32; little-endian.
constexpr char kVersion = 3;
constexpr size_t kHashAt = 1;
constexpr size_t kAllAt = kHashAt + sizeof(uint64_t);
constexpr size_t kSamplesAt = kAllAt + sizeof(uint64_t);
constexpr size_t kEpochAt = kSamplesAt + sizeof(uint64_t);
constexpr size_t kTimeAt = kEpochAt + sizeof(uint64_t);
constexpr size_t kEventAt = kTimeAt + sizeof(int64_t);
constexpr size_t kStoreAt = kEventAt + sizeof(int64_t);
constexpr size_t kCrcBytes = sizeof(uint32_t);

void HashBytes(std::string_view bytes, uint64_t* hash) {  // FNV-1a
  for (const char c : bytes) {
    *hash ^= static_cast<unsigned char>(c);
    *hash *= 1099511628211ULL;
  }
}

void HashField(std::string_view bytes, uint64_t* hash) {
  std::string length;
  PutLittleEndian(&length, static_cast<uint64_t>(bytes.size()));
  HashBytes(length, hash);
  HashBytes(bytes, hash);
}

absl::Status Refuse(std::string_view why) {
  return MakeError(ErrorReason::kBadResumeToken,
                   "resume_token " + std::string(why) +
                       "; the last token of this server's stream, with `queries` unchanged, would be accepted",
                   {{"problem", std::string(why)}});
}

}  // namespace

uint64_t HashLiveQueries(TenantId tenant, const std::vector<LiveQuerySpec>& queries,
                         const std::vector<LiveEventQuerySpec>& event_queries) {
  uint64_t hash = 14695981039346656037ULL;
  HashField(std::to_string(tenant), &hash);
  std::vector<const LiveQuerySpec*> sorted;
  for (const LiveQuerySpec& query : queries) sorted.push_back(&query);
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->query_id < b->query_id; });
  for (const LiveQuerySpec* query : sorted) {
    HashField(query->query_id, &hash);
    HashField(query->selector, &hash);
    HashField(std::to_string(query->backfill_ns), &hash);
    HashField(std::to_string(query->max_points), &hash);
    if (!query->aggregate) continue;
    HashField(AggregateQuery::MakeKey(tenant, 0, Selector(), *query->aggregate), &hash);
  }
  std::vector<const LiveEventQuerySpec*> events;
  for (const LiveEventQuerySpec& query : event_queries) events.push_back(&query);
  std::sort(events.begin(), events.end(), [](const auto* a, const auto* b) { return a->query_id < b->query_id; });
  for (const LiveEventQuerySpec* query : events) {
    HashField("event", &hash);
    HashField(query->query_id, &hash);
    HashField(query->selector, &hash);
    HashField(std::to_string(static_cast<int>(query->min_severity)), &hash);
    HashField(query->text_contains, &hash);
    HashField(std::to_string(query->backfill_ns), &hash);
  }
  return hash;
}

std::string MakeResumeToken(std::string_view store_id, uint64_t queries_hash, const ResumePosition& position) {
  std::string token(1, kVersion);
  PutLittleEndian(&token, queries_hash);
  PutLittleEndian(&token, position.commit_sequence);
  PutLittleEndian(&token, position.samples_sequence);
  PutLittleEndian(&token, position.epoch);
  PutLittleEndian(&token, position.time_unix_nanos);
  PutLittleEndian(&token, position.event_id);
  token += store_id;
  PutLittleEndian(&token, Crc32(token));
  return token;
}

absl::StatusOr<ResumePosition> ParseResumeToken(std::string_view token, std::string_view store_id,
                                                uint64_t queries_hash) {
  if (token.size() < kStoreAt + kCrcBytes) return Refuse("is too short");
  const std::string_view body = token.substr(0, token.size() - kCrcBytes);
  if (GetLittleEndian<uint32_t>(token.substr(body.size())) != Crc32(body)) return Refuse("is damaged");
  if (body[0] != kVersion) return Refuse("has another format");
  if (body.substr(kStoreAt) != store_id) return Refuse("is from another store");
  if (GetLittleEndian<uint64_t>(body.substr(kHashAt)) != queries_hash) return Refuse("is for other queries");
  ResumePosition position;
  position.commit_sequence = GetLittleEndian<int64_t>(body.substr(kAllAt));
  position.samples_sequence = GetLittleEndian<int64_t>(body.substr(kSamplesAt));
  position.epoch = GetLittleEndian<uint64_t>(body.substr(kEpochAt));
  position.time_unix_nanos = GetLittleEndian<int64_t>(body.substr(kTimeAt));
  position.event_id = GetLittleEndian<int64_t>(body.substr(kEventAt));
  if (position.commit_sequence < 0 || position.samples_sequence < position.commit_sequence) return Refuse("is damaged");
  return position;
}

}  // namespace pulseboard

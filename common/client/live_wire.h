// How a subscription looks as messages.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "common/client/subscriber.h"
#include "pulseboard/v1/live.pb.h"

namespace pulseboard::client {

// Series of the refs of one call.
using RefMap = std::unordered_map<uint32_t, SeriesId>;

// All queries of a subscription at one moment.
struct SubscriptionQueries {
  std::vector<SubscriptionQuery> samples;  // aggregated ones, too
  std::vector<EventSubscription> events;
  bool operator==(const SubscriptionQueries&) const = default;
};

// Numbers of the lines of aggregated queries. A value; not thread-safe.
class LineTable {
 public:
  // The refs of the call before mean nothing in the next one.
  void BeginCall() { by_ref_.clear(); }
  // All lines so far are forgotten.
  void Reset() { *this = {}; }
  // The number of a line, which is new when it was not seen since the last Reset.
  LineNumber Define(uint32_t ref, const SeriesInfo& series, std::vector<std::string> query_ids);
  // 0: not defined in this call.
  LineNumber Of(uint32_t ref) const;

 private:
  std::unordered_map<uint32_t, LineNumber> by_ref_;
  std::map<std::tuple<std::vector<std::string>, SeriesId, SeriesKey>, LineNumber> known_;
  LineNumber last_ = 0;
};

// Without resume token.
v1::SubscribeRequest BuildRequest(const SubscriberOptions& options, const SubscriptionQueries& queries);
// What makes `wanted` of `current`; when they are equal, all of it anew.
v1::UpdateQueries BuildUpdate(const SubscriptionQueries& current, const SubscriptionQueries& wanted);
OccurrencesEvent DecodeEvents(const v1::LiveEvents& in);
// Adds the defined refs to `refs` and `lines`.
DefinitionsEvent DecodeDefinitions(const v1::SeriesDefinitions& in, RefMap* refs, LineTable* lines);
// INTERNAL as DecodeFrame. The times are left to the caller.
absl::StatusOr<AggregatesEvent> DecodeAggregates(const v1::SampleFrame& in, const LineTable& lines);
// INTERNAL when the server broke the contract: a ref without definition, columns of unequal length.
absl::StatusOr<std::vector<SeriesSamples>> DecodeFrame(const v1::SampleFrame& in, const RefMap& refs);
int64_t CountSamples(const std::vector<SeriesSamples>& series);
FrameTimes DecodeTimes(const v1::FrameTimes& in, int64_t now);

}  // namespace pulseboard::client

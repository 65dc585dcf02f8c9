// How a subscription looks as messages.
#pragma once

#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "common/client/subscriber.h"
#include "pulseboard/v1/live.pb.h"

namespace pulseboard::client {

// Series of the refs of one call.
using RefMap = std::unordered_map<uint32_t, SeriesId>;

// Without resume token.
v1::SubscribeRequest BuildRequest(const SubscriberOptions& options, const std::vector<SubscriptionQuery>& queries);
// What makes `wanted` of `current`; when they are equal, all of it anew.
v1::UpdateQueries BuildUpdate(const std::vector<SubscriptionQuery>& current,
                              const std::vector<SubscriptionQuery>& wanted);
OccurrencesEvent DecodeEvents(const v1::LiveEvents& in);
// Adds the defined refs to `refs`.
DefinitionsEvent DecodeDefinitions(const v1::SeriesDefinitions& in, RefMap* refs);
// INTERNAL when the server broke the contract: a ref without definition, columns of unequal length.
absl::StatusOr<std::vector<SeriesSamples>> DecodeFrame(const v1::SampleFrame& in, const RefMap& refs);
int64_t CountSamples(const std::vector<SeriesSamples>& series);
FrameTimes DecodeTimes(const v1::FrameTimes& in, int64_t now);

}  // namespace pulseboard::client

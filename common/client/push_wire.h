// How a Pusher's series and batches look as messages.
#pragma once

#include <string>

#include "common/client/spool.h"
#include "common/model/labels.h"
#include "pulseboard/v1/ingest.pb.h"

namespace pulseboard::client {

struct DefinedSeries {
  SeriesKey key;
  SeriesMetadata metadata;
};

v1::AckMode ToProto(PushAckMode mode);
// `out` must be empty.
void FillDefinition(uint32_t ref, const DefinedSeries& series, v1::PushSeriesDefinition* out);
// Appends the columns of `batch`, which must not be empty, and sets their base time.
void FillColumns(const SpooledBatch& batch, v1::PushStreamRequest* out);
// TOO_OLD for REFUSAL_REASON_TOO_OLD; the number for one that this client does not know.
std::string RefusalName(v1::RefusalReason reason);

}  // namespace pulseboard::client

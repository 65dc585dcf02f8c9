// common/model <-> pulseboard.v1 messages.
#pragma once

#include "common/model/labels.h"
#include "common/model/samples.h"
#include "pulseboard/v1/types.pb.h"

namespace pulseboard {

void ToProto(const SeriesInfo& info, v1::Series* out);
SeriesInfo FromProto(const v1::Series& in);
v1::MetricKind ToProto(MetricKind kind);
// An unknown number is taken as gauge.
MetricKind FromProto(v1::MetricKind kind);

// Sorted columns with the deltas of SeriesColumns. `first`, `count`: the part of `samples` to take.
void ToProto(const SampleColumns& samples, size_t first, size_t count, uint32_t ref, v1::SeriesColumns* out);
// Appends to `out`. False when the columns are of unequal length (nothing is appended).
bool FromProto(const v1::SeriesColumns& in, SampleColumns* out);

}  // namespace pulseboard

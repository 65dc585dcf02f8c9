// OTLP messages turned into points.
#pragma once

#include "opentelemetry/proto/collector/metrics/v1/metrics_service.pb.h"
#include "server/ingest/otlp.h"
#include "server/ingest/otlp_attributes.h"

namespace pulseboard {

namespace otlp = opentelemetry::proto::collector::metrics::v1;

// The request must outlive `out`.
void FromProto(const otlp::ExportMetricsServiceRequest& request, const OtlpAttributeRules& resource_labels,
               OtlpPoints* out);

}  // namespace pulseboard

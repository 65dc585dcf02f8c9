// The series of the model's runs, by name.
#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include "common/model/labels.h"

namespace pulseboard {

inline constexpr int kNames = 8;

inline SeriesKey KeyOf(int name) { return {"m" + std::to_string(name), {{"host", std::to_string(name % 3)}}}; }
inline bool IsCounter(int name) { return name % 2 == 1; }
inline SeriesMetadata MetadataOf(int name) {
  SeriesMetadata metadata;
  metadata.kind = IsCounter(name) ? MetricKind::kCounter : MetricKind::kGauge;
  return metadata;
}
inline bool SameBits(double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b); }

}  // namespace pulseboard

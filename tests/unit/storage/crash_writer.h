// What the killed writer (crash_writer.cc) pushes, so that the test can tell it from the sequence number alone.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "server/storage/store.h"

namespace pulseboard {

inline constexpr char kCrashProducer[] = "crash-writer";
inline constexpr int kCrashSeries = 5;

inline SeriesKey CrashSeriesKey(int s) { return {"crash", {{"series", std::to_string(s)}}}; }
inline int64_t CrashTime(int64_t sequence) { return 1'700'000'000 * kNanosPerSecond + sequence * 60 * kNanosPerSecond; }
inline double CrashValue(int64_t sequence, int s) { return static_cast<double>(sequence * 10 + s); }

// One sample per series.
inline AppendBatch CrashBatch(int64_t sequence, std::vector<SeriesId> series) {
  AppendBatch batch;
  batch.tenant = kDefaultTenant;
  batch.producer_id = kCrashProducer;
  batch.sequence = sequence;
  batch.series = std::move(series);
  for (int s = 0; s < kCrashSeries; ++s) {
    batch.times.push_back(CrashTime(sequence));
    batch.values.push_back(CrashValue(sequence, s));
  }
  return batch;
}

// Small and hasty, so that sealing, checkpoints and new segments happen between any two kills. The log is kept whole.
inline StoreOptions CrashWriterOptions(std::string directory) {
  StoreOptions options;
  options.directory = std::move(directory);
  options.block_samples = 16;
  options.seal_age_ns = 20 * kNanosPerMilli;
  options.checkpoint_interval_ns = 10 * kNanosPerMilli;
  options.wal_segment_bytes = 16 << 10;
  options.raw_retention_ns = 10'000 * kNanosPerDay;
  return options;
}

}  // namespace pulseboard

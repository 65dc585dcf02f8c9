// The sections of `peers_bench`. Each returns Markdown; each prints a line to stderr per step, so that one sees it
// move.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "tests/bench/peers/peer.h"

namespace pulseboard::bench {

struct BenchSettings {
  PeerPrograms programs;
  std::string data_folder;  // real streams and columns; empty or absent: left out, and said so
  int runs = 3;
  bool quick = false;
};

// One table: every server, every way to load it, every data set; and what a kill -9 right after the acks leaves.
absl::StatusOr<std::string> RunIngest(const BenchSettings& settings);
// Bytes per sample of each real stream in Pulseboard and VictoriaMetrics.
absl::StatusOr<std::string> RunStreams(const BenchSettings& settings);
// Unary Push, 64 callers.
absl::StatusOr<std::string> RunUnary(const BenchSettings& settings);
// The store's reads, and a year against an hour through the query engine.
absl::StatusOr<std::string> RunReads(const BenchSettings& settings);
// codec_bench over the columns.
absl::StatusOr<std::string> RunCodec(const BenchSettings& settings);

}  // namespace pulseboard::bench

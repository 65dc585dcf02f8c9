// The sections of `peers_bench`. Each returns Markdown and what it says of the targets; each prints a line to stderr
// per step, so that one sees it move.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/peers/peer.h"
#include "tests/bench/peers/report.h"

namespace pulseboard::bench {

struct BenchSettings {
  PeerPrograms programs;
  std::string data_folder;  // real streams and columns; empty or absent: left out, and said so
  int runs = 3;
  bool quick = false;
};

struct SectionResult {
  std::string text;
  std::vector<Verdict> verdicts;
};

// One table: every server, every way to load it, every data set; and what a kill -9 right after the acks leaves.
absl::StatusOr<SectionResult> RunIngest(const BenchSettings& settings);
// How long a start takes after a kill -9 with ten million samples in the log.
absl::StatusOr<SectionResult> RunRecovery(const BenchSettings& settings);
// Bytes per sample of each real stream in Pulseboard and VictoriaMetrics.
absl::StatusOr<SectionResult> RunStreams(const BenchSettings& settings);
// Unary Push, 64 callers.
absl::StatusOr<SectionResult> RunUnary(const BenchSettings& settings);
// The store's reads, and a year against an hour through the query engine.
absl::StatusOr<SectionResult> RunReads(const BenchSettings& settings);
// codec_bench over the columns.
absl::StatusOr<SectionResult> RunCodec(const BenchSettings& settings);

}  // namespace pulseboard::bench

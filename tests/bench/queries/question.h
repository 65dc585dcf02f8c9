// The questions of `queries_bench`: TSBS cpu-only's fifteen kinds and the six of ../shared/bench/peers, as plain values
// that each server's asker spells in its own language. All are about the data of tests/bench/peers/workload.h.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/samples.h"
#include "tests/bench/peers/workload.h"

namespace pulseboard::bench {

enum class Shape {
  kPing,     // nothing: the cheapest call that asks who is asking; of the others their health page
  kLatest,   // the newest sample of each series
  kSamples,  // samples as they are
  kColumns,  // columns of time, folded
  kRows,     // samples of all fields at the times at which the first field is above `threshold`
};
enum class Fold { kMean, kMax, kMinAndMax };
// What is told apart in the answer; all else is folded together.
enum class Apart { kNothing, kFields, kSeries };

struct Question {
  Shape shape = Shape::kColumns;
  std::vector<int> fields;  // numbers of kCpuMetrics
  std::vector<int> hosts;   // empty: all
  TimeRange range;          // on the grid of the columns
  int64_t step_ns = 0;      // length of a column
  Fold fold = Fold::kMax;
  Apart apart = Apart::kFields;
  double threshold = 0;
};

struct QuestionKind {
  std::string_view name;
  std::string_view what;
  int times = 0;  // asked of each server
  // Faster than every peer by this factor is what the project wants.
  double factor = 1;
  std::function<Question(const Workload&, std::mt19937_64&)> make;
};

// The 15 of TSBS. Its windows begin anywhere; here at multiples of the column, so that all servers see the same samples
// in each column and the answers can be compared.
const std::vector<QuestionKind>& AllQuestionKinds();

// `a|b|c`.
std::string Alternatives(const std::vector<int>& numbers, const std::function<std::string(int)>& name);

}  // namespace pulseboard::bench

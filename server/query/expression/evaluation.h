// What evaluating an expression is made of: a grid of instants, series of one value per instant, and streams of them.
//
// A vector is evaluated series by series: a stream gives one series at a time with its values at all instants, so that
// memory holds one series per operator and not the vector, wherever the operator allows (all but matching two vectors,
// topk, quantile, count_values, sort and histogram_quantile).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/model/labels.h"
#include "common/model/samples.h"
#include "common/model/selector.h"
#include "server/query/expression/windows.h"

namespace pulseboard::expression {

// Stands in a column of values where the series has none. A NaN by its bits, told apart from all NaNs that arithmetic
// makes; compare with IsAbsent only, and never compute with it.
inline constexpr uint64_t kNoValueBits = 0x7ff8'0000'dead'0001;
inline constexpr double kNoValue = std::bit_cast<double>(kNoValueBits);
inline bool IsAbsent(double value) { return std::bit_cast<uint64_t>(value) == kNoValueBits; }

struct EvaluatedSeries {
  SeriesKey key;
  SeriesId id = 0;             // of the stored series when the values are its own, else 0
  SeriesMetadata metadata;     // the same
  std::vector<double> values;  // one per instant of the grid, some kNoValue

  // The values are no longer those of a stored series.
  void ForgetSource() {
    id = 0;
    metadata = {};
  }
};

// Not thread-safe.
class VectorStream {
 public:
  virtual ~VectorStream() = default;
  // The next series, or false at the end. Labels of a vector may repeat; see LANGUAGE.md. After an error none may be
  // asked for.
  virtual absl::StatusOr<bool> Next(EvaluatedSeries* out) = 0;
};
using VectorStreamPtr = std::unique_ptr<VectorStream>;

// One value per instant of the grid.
using ScalarSource = std::function<absl::StatusOr<std::vector<double>>()>;

// Where samples come from. All selections are registered before the first is read: they are read from one state of the
// store. Not thread-safe.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  // Announces a selection and what its samples are for. Its number.
  virtual size_t Register(const Selector& selector, const Windows& windows) = 0;
  // The series of a selection, none twice.
  virtual absl::StatusOr<std::vector<std::shared_ptr<const SeriesInfo>>> Series(size_t selection) = 0;
  // Hands over what the announced windows hold of one of its series, piece by piece.
  virtual absl::Status Read(size_t selection, const SeriesInfo& series, WindowInput* input) = 0;
  // CANCELLED, or QUERY_TOO_BROAD when the time is up. To be called every few thousand steps of work.
  virtual absl::Status CheckAlive() = 0;
  // Accounts for values held until the end of the query; QUERY_TOO_BROAD when there are too many.
  virtual absl::Status Hold(size_t values) = 0;
};

struct EvaluationContext {
  SampleSource* source = nullptr;
  std::string_view text;  // of the expression, for errors
  Grid grid;              // of the query: `@ start()`, `@ end()`
  int64_t lookback_ns = 0;
};

// Longest grid of a query or subquery.
inline constexpr size_t kMaxInstants = 100'000;

}  // namespace pulseboard::expression

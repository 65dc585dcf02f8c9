// The shipped forecaster over a file of series as the M4 competition's.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace pulseboard {

struct M4Files {
  std::string train;  // rows of id, value, value, ..., plain or .gz
  std::string out;    // rows of id, forecast, ...
  std::string lower;  // and their 95 % bounds
  std::string upper;
};

// Forecasts `horizon` values of every series and prints what one cost. No period is given: the forecaster finds it.
absl::Status RunM4(const M4Files& files, int horizon);

}  // namespace pulseboard

// The periods of a series, found by themselves: "every 24 samples, and every 168".
#pragma once

#include <span>
#include <vector>

namespace pulseboard {

// At most two periods in samples, ascending, the second close to a multiple of the first; none when nothing repeats at
// least three times in what is there, or not strongly enough. `values` are evenly spaced and finite.
//
// The first is the shortest strong peak of the autocorrelation of the series' differences (of which the greatest are
// cut, so that an outlier repeats with nothing). The second is the strongest peak, at a multiple of the first, of what
// remains after the first is differenced away; without one, seven of the first when that is known three times: a day's
// load nearly always has a week's around it, and asking for it costs a regression next to nothing.
std::vector<int> FindPeriods(std::span<const double> values);

}  // namespace pulseboard

#include "client-qt/chart/plot_scale.h"

#include <algorithm>

namespace pulseboard::qt {

TimeRange PlotScale::onPixels(TimeRange wanted, int pixel_width) {
  const int64_t length = wanted.end - wanted.start;
  if (length <= 0 || pixel_width <= 0) return wanted;
  const int64_t pixel = std::max<int64_t>(1, (length + pixel_width - 1) / pixel_width);
  const int64_t end = (wanted.end / pixel + (wanted.end % pixel > 0 ? 1 : 0)) * pixel;
  return {end - pixel * pixel_width, end};
}

}  // namespace pulseboard::qt

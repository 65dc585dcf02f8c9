#include "server/query/series_reader.h"

#include <algorithm>

#include "common/base/clock.h"
#include "common/base/errors.h"

namespace pulseboard {

SeriesReader::SeriesReader(ReadView& view, SeriesId series, TimeRange readable, TimeRange columns, int32_t max_points,
                           int64_t sparse_from)
    : view_(view),
      series_(series),
      readable_(readable),
      sparse_from_(sparse_from),
      read_up_to_(readable.start),
      done_(readable.empty()),
      reducer_(max_points > 0 && !columns.empty() ? std::make_unique<M4Reducer>(columns, max_points) : nullptr) {}

absl::StatusOr<SampleColumns> SeriesReader::Next() {
  TimeRange piece{read_up_to_, readable_.end};
  const bool rest_is_short = read_up_to_ >= sparse_from_ || read_up_to_ >= readable_.end - kNanosPerDay;
  if (!rest_is_short) piece.end = read_up_to_ + kNanosPerDay;

  const int64_t scanned_before = view_.stats().scanned_samples;
  PB_ASSIGN_OR_RETURN(SampleColumns samples, view_.Read(series_, piece));
  scanned_samples_ += std::max(view_.stats().scanned_samples - scanned_before, static_cast<int64_t>(samples.size()));
  read_up_to_ = piece.end;
  done_ = piece.end >= readable_.end;
  if (reducer_ == nullptr) return samples;
  reducer_->Add(samples);
  return done_ ? reducer_->Finish() : SampleColumns{};
}

}  // namespace pulseboard

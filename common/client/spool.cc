#include "common/client/spool.h"

#include <algorithm>
#include <utility>

namespace pulseboard::client {

int64_t Spool::DropOldest(int64_t count) {
  int64_t dropped = 0;
  const auto first = closed_.begin() + static_cast<std::ptrdiff_t>(in_flight_);
  auto last = first;
  while (room() + dropped < count && last != closed_.end()) dropped += (last++)->size();
  closed_.erase(first, last);
  if (room() + dropped < count) {
    dropped += open_.size();
    open_ = {};
  }
  samples_ -= dropped;
  return dropped;
}

void Spool::Add(std::span<const PushSample> samples) {
  samples_ += static_cast<int64_t>(samples.size());
  while (!samples.empty()) {
    const size_t count = std::min(samples.size(), static_cast<size_t>(max_batch_samples_) - open_.series.size());
    for (const PushSample& sample : samples.first(count)) {
      open_.series.push_back(sample.series);
      open_.times.push_back(sample.time_unix_nanos);
      open_.values.push_back(sample.value);
    }
    samples = samples.subspan(count);
    if (open_.size() >= max_batch_samples_) CloseOpen();
  }
}

void Spool::CloseOpen() {
  if (!has_open()) return;
  open_.sequence = next_sequence_++;
  const size_t size_before = open_.series.size();
  closed_.push_back(std::exchange(open_, {}));
  // Batches of a steady pusher are of like size.
  open_.series.reserve(size_before);
  open_.times.reserve(size_before);
  open_.values.reserve(size_before);
}

void Spool::MarkSent() {
  SpooledBatch& batch = closed_[in_flight_++];
  ++batch.send_count;
  max_sent_sequence_ = std::max(max_sent_sequence_, batch.sequence);
}

Spool::Acked Spool::Ack(int64_t sequence) {
  Acked acked;
  while (!closed_.empty() && closed_.front().sequence <= sequence) {
    ++acked.batches;
    acked.samples += closed_.front().size();
    closed_.pop_front();
    if (in_flight_ > 0) --in_flight_;
  }
  samples_ -= acked.samples;
  return acked;
}

void Spool::Renumber(int64_t first) {
  for (SpooledBatch& batch : closed_) batch.sequence = first++;
  next_sequence_ = first;
}

}  // namespace pulseboard::client

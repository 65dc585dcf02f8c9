// Spool: batches between Push() and the ack, in order of their sequence. In flight at the front, waiting behind, open
// last.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "common/client/pusher.h"

namespace pulseboard::client {

struct SpooledBatch {
  int64_t sequence = 0;
  int32_t send_count = 0;  // how often it was written to a stream
  std::vector<uint32_t> series;
  std::vector<int64_t> times;
  std::vector<double> values;
  int64_t size() const { return static_cast<int64_t>(series.size()); }
};

// Not thread-safe.
class Spool {
 public:
  Spool(int64_t max_samples, int32_t max_batch_samples, int64_t first_sequence)
      : max_samples_(max_samples), max_batch_samples_(max_batch_samples), next_sequence_(first_sequence) {}

  // Samples that Add() could take right now.
  int64_t room() const { return max_samples_ - samples_; }
  // Drops the oldest batches that are not in flight until there is room for `count` samples or none is left to drop.
  // Returns how many samples went.
  int64_t DropOldest(int64_t count);
  // REQUIRES: samples.size() <= room(). Closes batches that become full.
  void Add(std::span<const PushSample> samples);
  // Gives the open batch its sequence; nothing to do when it is empty.
  void CloseOpen();
  bool has_open() const { return !open_.series.empty(); }

  // The next batch to write, or null. MarkSent() takes it in flight.
  SpooledBatch* NextUnsent() { return in_flight_ < closed_.size() ? &closed_[in_flight_] : nullptr; }
  void MarkSent();
  int64_t in_flight() const { return static_cast<int64_t>(in_flight_); }
  // A new stream: all is to be sent again.
  void Rewind() { in_flight_ = 0; }

  struct Acked {
    int64_t batches = 0;
    int64_t samples = 0;
  };
  // Forgets the batches up to and including `sequence`.
  Acked Ack(int64_t sequence);
  // Gives all batches sequences from `first` on, in the same order.
  void Renumber(int64_t first);
  // The largest sequence ever written to a stream; 0 for none.
  int64_t max_sent_sequence() const { return max_sent_sequence_; }
  int64_t samples() const { return samples_; }

 private:
  const int64_t max_samples_;
  const int32_t max_batch_samples_;
  int64_t next_sequence_;
  int64_t max_sent_sequence_ = 0;
  int64_t samples_ = 0;
  size_t in_flight_ = 0;  // so many at the front of closed_
  std::deque<SpooledBatch> closed_;
  SpooledBatch open_;
};

}  // namespace pulseboard::client

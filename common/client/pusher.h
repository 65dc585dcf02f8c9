// Pusher: gets samples to the server exactly once, through restarts and lost connections.
//
// Push() puts samples into the open batch; a batch is closed when it is full or has lingered, gets the next sequence
// and waits in the spool (memory) until the server has acknowledged it as durable (see PushAckMode). The stream
// reconnects with jittered backoff and sends again what was not acknowledged; the server knows (producer_id, sequence)
// and applies each batch once.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/client/backoff.h"
#include "common/model/labels.h"

namespace grpc {
class Channel;
}

namespace pulseboard::client {

class TokenSource;

// What to do when the spool is full.
enum class SpoolPolicy {
  kDropOldest,  // the oldest batch not in flight goes, and is counted: the present matters most
  kRefuse,      // Push() says RESOURCE_EXHAUSTED: the caller slows down
};

// How safe batches are to be before the server acknowledges them.
enum class PushAckMode {
  kServerDefault,
  kFsynced,   // on the disk: survives a power cut
  kBuffered,  // with the operating system: survives the server's end, not a power cut within the next moment
};

enum class PusherState {
  kConnecting,  // first attempt under way
  kConnected,   // the server has answered on the stream
  kWaiting,     // lost; the next attempt comes after a pause
  kFailed,      // the server will never take this (INVALID_ARGUMENT, session over); nothing is sent any more
};

// A sample the server refused: the others of its batch are kept.
struct PushRefusal {
  std::string reason;   // as in the contract, e.g. TOO_OLD
  std::string message;  // empty beyond the first 100 of a batch
  int64_t count = 1;
};

struct PusherOptions {
  // Unique per process. Empty: made up at random, which is right for every program that keeps no spool on disk.
  std::string producer_id;
  // A batch is closed at this many samples …
  int32_t max_batch_samples = 5'000;
  // … or this long after its first sample. Longer is cheaper, shorter is fresher.
  std::chrono::milliseconds linger{100};
  // Most samples in memory that are not acknowledged (24 B each): enough for ten minutes of a 300-series agent and a
  // half.
  int64_t max_spool_samples = 1'000'000;
  SpoolPolicy spool_policy = SpoolPolicy::kDropOldest;
  // Most series Define() accepts (the contract allows 16,777,215 refs per stream).
  int32_t max_series = 1'000'000;
  PushAckMode ack_mode = PushAckMode::kServerDefault;
  // A stream without any ack for this long, though some are due, is given up and opened anew.
  std::chrono::milliseconds ack_timeout{30'000};
  BackoffOptions backoff;
  const Clock* clock = &SystemClock();
  // Callbacks: on a gRPC thread, one at a time, quick. `status` says why for kWaiting and kFailed.
  std::function<void(PusherState state, const absl::Status& status)> on_state;
  std::function<void(const PushRefusal&)> on_refusal;
  // Every batch up to this many samples ago is as safe as `ack_mode` asks: called after each ack with
  // stats().acked_samples.
  std::function<void(int64_t acked_samples)> on_ack;
};

struct PusherStats {
  PusherState state = PusherState::kConnecting;
  absl::Status last_error;
  int64_t pushed_samples = 0;   // taken by Push()
  int64_t acked_samples = 0;    // in acknowledged batches, refused ones included
  int64_t refused_samples = 0;  // by the server, one by one
  int64_t dropped_samples = 0;  // by kDropOldest
  int64_t spooled_samples = 0;  // now in memory
  int64_t sent_batches = 0;     // resends included
  int64_t resent_batches = 0;
  int64_t acked_batches = 0;
  int64_t buffered_batches = 0;   // of them, in acks that said BUFFERED
  int64_t duplicate_batches = 0;  // the server had them already
  int64_t connects = 0;           // streams on which the server answered
  int64_t acked_sequence = 0;
  std::map<std::string, int64_t> refusals_by_reason;
};

// A sample of a defined series.
struct PushSample {
  uint32_t series = 0;  // from Define()
  int64_t time_unix_nanos = 0;
  double value = 0;
};

// Thread-safe. Destructible while connected: cancels, drops what is not acknowledged (call Flush and WaitUntilAcked
// before); no callback runs after the destructor has returned.
class Pusher {
 public:
  // Starts connecting. `tokens` and `channel` are shared.
  Pusher(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<TokenSource> tokens, PusherOptions options);
  ~Pusher();
  Pusher(const Pusher&) = delete;
  Pusher& operator=(const Pusher&) = delete;

  // Number of a series, the same for the same key, good for the Pusher's life. Names are checked by the server: samples
  // of a bad one come back as refusals. RESOURCE_EXHAUSTED above max_series.
  absl::StatusOr<uint32_t> Define(const SeriesKey& key, const SeriesMetadata& metadata);
  // All or nothing. INVALID_ARGUMENT for an undefined series, RESOURCE_EXHAUSTED under kRefuse (or when the samples
  // alone exceed the spool), the failure in state kFailed.
  absl::Status Push(std::span<const PushSample> samples);
  absl::Status Push(uint32_t series, int64_t time_unix_nanos, double value);
  // Closes the open batch now.
  void Flush();
  // Flushes, then waits until all that was pushed before is acknowledged (or dropped). DEADLINE_EXCEEDED, or the
  // failure.
  absl::Status WaitUntilAcked(std::chrono::milliseconds timeout);
  PusherStats stats() const;
  const std::string& producer_id() const;

 private:
  class Core;
  const std::shared_ptr<Core> core_;
};

}  // namespace pulseboard::client

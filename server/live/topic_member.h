// TopicMember: what gets the frames of a topic: a subscription, or the aggregation that makes values of them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "server/live/frame_pump.h"
#include "server/live/live_frame.h"

namespace pulseboard {

class LiveTopic;

// Thread-safe. See the lock order in hub.h.
class TopicMember : public Pumped {
 public:
  // A frame of the topic, under its seal_mu_. True when it can be sent at once: the caller then calls Pump() without
  // locks. With `pump_follows` false it is scheduled instead. `tick_ns`: when the frame's tick began.
  virtual bool AppendFrame(const LiveTopic* topic, const LiveFramePtr& frame, int64_t tick_ns, bool pump_follows) = 0;
  // Series of the topic that have fallen silent, under its seal_mu_.
  virtual void NoteStale(const LiveTopic* topic, const std::vector<uint32_t>& refs) = 0;
  // The topic picks more series than are allowed. Under the index's mutex.
  virtual void FailTooManySeries() = 0;
  virtual std::shared_ptr<Pumped> pumped() = 0;
};

}  // namespace pulseboard

// Refusals: which samples of a batch were not taken, and why. The first ones in detail, all of them counted.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace pulseboard {

// Numbers equal pulseboard.v1.RefusalReason.
enum class RefusalReason : uint8_t {
  kUnspecified = 0,
  kBadMetric = 1,
  kBadLabels = 2,
  kTooOld = 3,
  kInFuture = 4,
  kUnknownRef = 5,
  kSeriesLimit = 6,
  kBadTime = 7,
};
inline constexpr size_t kRefusalReasonCount = 8;

// Refused samples described per batch.
inline constexpr size_t kMaxDetailedRefusals = 100;
// Limits that are named per batch.
inline constexpr size_t kMaxRefusalLimits = 8;

struct SampleRefusal {
  int64_t sample_index = 0;
  RefusalReason reason = RefusalReason::kUnspecified;
  std::string message;  // what was wrong and what would be accepted
};

// A limit that refused samples of a batch.
struct RefusalLimit {
  RefusalReason reason = RefusalReason::kUnspecified;
  std::string setting;  // its key, and whose it is where that matters
  absl::Status status;  // as a call ends that is refused as a whole
};

// A value. Not thread-safe.
class Refusals {
 public:
  Refusals() = default;
  // `max_detailed`: how many are described.
  explicit Refusals(size_t max_detailed) : max_detailed_(max_detailed) {}

  // `make_message` is only called while detail is still kept: refusing a million samples costs no million strings.
  template <typename MakeMessage>
  void Add(int64_t sample_index, RefusalReason reason, MakeMessage&& make_message) {
    ++counts_[static_cast<size_t>(reason)];
    ++total_;
    if (detailed_.size() < max_detailed_) detailed_.push_back({sample_index, reason, make_message()});
  }

  // Names a limit that refused a sample of the batch; once each, by `reason` and `setting`.
  template <typename MakeStatus>
  void AddLimit(RefusalReason reason, std::string_view setting, MakeStatus&& make_status) {
    const bool known = std::any_of(limits_.begin(), limits_.end(), [&](const RefusalLimit& limit) {
      return limit.reason == reason && limit.setting == setting;
    });
    if (!known && limits_.size() < kMaxRefusalLimits) limits_.push_back({reason, std::string(setting), make_status()});
  }

  const std::vector<RefusalLimit>& limits() const { return limits_; }
  const std::vector<SampleRefusal>& detailed() const { return detailed_; }
  int64_t count(RefusalReason reason) const { return counts_[static_cast<size_t>(reason)]; }
  int64_t total() const { return total_; }

 private:
  std::vector<SampleRefusal> detailed_;
  std::vector<RefusalLimit> limits_;
  std::array<int64_t, kRefusalReasonCount> counts_{};
  int64_t total_ = 0;
  size_t max_detailed_ = kMaxDetailedRefusals;
};

}  // namespace pulseboard

#include "server/storage/tiers.h"

#include <algorithm>
#include <array>
#include <optional>

#include "common/base/units.h"
#include "server/storage/window.h"

namespace pulseboard {
namespace {

constexpr int64_t kMaxRetentionNanos = 36'500 * kNanosPerDay;
// Buckets of one span: long enough for columns to compress, short enough to be rewritten for one late sample.
constexpr int64_t kMaxSpanBuckets = 480;
constexpr int64_t kStepsPerShortSpan = 4;  // of less than a day
constexpr int64_t kStepsPerLongSpan = 8;

// Units of the families' names on disk.
constexpr std::array<Unit, 4> kUnits = {
    {{"d", kNanosPerDay}, {"h", kNanosPerHour}, {"m", kNanosPerMinute}, {"s", kNanosPerSecond}}};

std::string FormatLength(int64_t nanos) {
  for (const Unit& unit : kUnits) {
    if (nanos % unit.factor == 0) return std::to_string(nanos / unit.factor) + std::string(unit.name);
  }
  return std::to_string(nanos) + "ns";
}

bool IsBucketLength(int64_t nanos) {
  if (nanos < kNanosPerSecond || nanos % kNanosPerSecond != 0) return false;
  if (nanos <= kNanosPerHour) return kNanosPerHour % nanos == 0;
  return nanos % kNanosPerHour == 0 && nanos <= kNanosPerDay && kNanosPerDay % nanos == 0;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// The longest of the lengths below that holds whole buckets and not too many of them. Each length divides the next, so
// that spans nest in windows, and steps in spans.
int64_t SpanLength(int64_t bucket_ns) {
  constexpr std::array<int64_t, 8> kShort = {5, 15, 30, 60, 120, 240, 480, 1440};  // minutes
  int64_t best = 0;
  for (const int64_t minutes : kShort) {
    const int64_t span = minutes * kNanosPerMinute;
    if (span % bucket_ns == 0 && (best == 0 || span / bucket_ns <= kMaxSpanBuckets)) best = span;
  }
  if (best < kNanosPerDay) return best;
  while (best * 2 / bucket_ns <= kMaxSpanBuckets) best *= 2;
  return best;
}

int64_t StepLength(int64_t bucket_ns, int64_t span_ns) {
  const int64_t steps = span_ns < kNanosPerDay ? kStepsPerShortSpan : kStepsPerLongSpan;
  const int64_t step = span_ns / steps;
  return step % bucket_ns == 0 ? step : span_ns;
}

}  // namespace

absl::Status CheckTiers(std::span<const TierOptions> tiers, int64_t raw_retention_ns) {
  const auto bad = [](const std::string& what) { return absl::InvalidArgumentError(what); };
  if (tiers.size() > kMaxRollupTiers) {
    return bad("got " + std::to_string(tiers.size()) + " tiers; at most " + std::to_string(kMaxRollupTiers) +
               " would be accepted");
  }
  int64_t finer_retention = raw_retention_ns;
  for (size_t i = 0; i < tiers.size(); ++i) {
    const TierOptions& tier = tiers[i];
    const std::string name = FormatLength(tier.bucket_ns);
    if (!IsBucketLength(tier.bucket_ns)) {
      return bad("got a bucket of " + name +
                 "; whole seconds that divide an hour, or whole hours that divide a day, would be accepted");
    }
    if (i > 0 && (tier.bucket_ns <= tiers[i - 1].bucket_ns || tier.bucket_ns % tiers[i - 1].bucket_ns != 0)) {
      return bad("got " + name + " after " + FormatLength(tiers[i - 1].bucket_ns) +
                 "; tiers in ascending order, each bucket a multiple of the one before, would be accepted");
    }
    if (tier.retention_ns < finer_retention) {
      return bad("got " + name + ":" + FormatLength(tier.retention_ns) +
                 "; at least the retention of the finer tier, " + FormatLength(finer_retention) +
                 ", would be accepted");
    }
    if (tier.retention_ns > kMaxRetentionNanos) {
      return bad("got " + name + ":" + FormatLength(tier.retention_ns) + "; at most " +
                 FormatLength(kMaxRetentionNanos) + " would be accepted");
    }
    finer_retention = tier.retention_ns;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TierOptions>> ParseTiers(std::string_view text, int64_t raw_retention_ns) {
  std::vector<TierOptions> tiers;
  std::string_view rest = Trim(text);
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    const std::string_view part = Trim(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    const size_t colon = part.find(':');
    const std::optional<int64_t> bucket = ParseDuration(part.substr(0, colon));
    const std::optional<int64_t> retention =
        colon == std::string_view::npos ? std::nullopt : ParseDuration(part.substr(colon + 1));
    if (!bucket || !retention) {
      return absl::InvalidArgumentError("got \"" + std::string(part) +
                                        "\"; BUCKET:RETENTION as in 1m:180d, durations such as 1h, would be "
                                        "accepted");
    }
    tiers.push_back({*bucket, *retention});
  }
  if (absl::Status status = CheckTiers(tiers, raw_retention_ns); !status.ok()) return status;
  return tiers;
}

std::string FormatTiers(std::span<const TierOptions> tiers) {
  std::string out;
  for (const TierOptions& tier : tiers) {
    if (!out.empty()) out += ',';
    out += FormatLength(tier.bucket_ns) + ":" + FormatLength(tier.retention_ns);
  }
  return out;
}

std::vector<TierOptions> DefaultTiers() {
  return {{kNanosPerMinute, 180 * kNanosPerDay},
          {kNanosPerHour, 1'825 * kNanosPerDay},
          {kNanosPerDay, 7'300 * kNanosPerDay}};
}

std::vector<TierOptions> RaiseRetentions(std::vector<TierOptions> tiers, int64_t raw_retention_ns) {
  for (TierOptions& tier : tiers) {
    raw_retention_ns = std::max(raw_retention_ns, tier.retention_ns);
    tier.retention_ns = raw_retention_ns;
  }
  return tiers;
}

std::string TierName(int64_t bucket_ns) { return bucket_ns == kRawBucket ? "raw" : FormatLength(bucket_ns); }

std::vector<Tier> LayOutTiers(int64_t raw_retention_ns, std::span<const TierOptions> tiers,
                              std::span<const int64_t> on_disk) {
  std::vector<Tier> out;
  out.push_back({.bucket_ns = kRawBucket, .retention_ns = raw_retention_ns});
  for (const TierOptions& tier : tiers) out.push_back({.bucket_ns = tier.bucket_ns, .retention_ns = tier.retention_ns});
  for (const int64_t bucket : on_disk) {
    const auto at = std::lower_bound(out.begin(), out.end(), bucket,
                                     [](const Tier& tier, int64_t b) { return tier.bucket_ns < b; });
    if (at != out.end() && at->bucket_ns == bucket) continue;
    // Nobody asks for it any more: it goes with what it can be derived from.
    out.insert(at, {.bucket_ns = bucket, .retention_ns = std::prev(at)->retention_ns, .filled = false});
  }
  for (size_t i = 0; i < out.size(); ++i) {
    Tier& tier = out[i];
    tier.window_days = WindowDays(tier.retention_ns);
    if (i == 0) continue;
    tier.span_ns = SpanLength(tier.bucket_ns);
    tier.step_ns = StepLength(tier.bucket_ns, tier.span_ns);
    tier.source = i - 1;
    const auto fits = [&](const Tier& finer) {
      return finer.bucket_ns == kRawBucket || (finer.filled && tier.bucket_ns % finer.bucket_ns == 0);
    };
    while (!fits(out[tier.source])) --tier.source;
  }
  return out;
}

}  // namespace pulseboard

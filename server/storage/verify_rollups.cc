#include <bit>
#include <map>
#include <memory>
#include <optional>
#include <tuple>

#include "common/base/errors.h"
#include "common/codec/rollup_block.h"
#include "server/storage/tier_reader.h"
#include "server/storage/tiers.h"
#include "server/storage/verify_pass.h"

namespace pulseboard {
namespace {

auto Bits(const Rollup& r) {
  const auto bits = [](double value) { return std::bit_cast<uint64_t>(value); };
  return std::make_tuple(r.count, r.nan_count, bits(r.sum), bits(r.min), bits(r.max), bits(r.first), bits(r.last),
                         bits(r.resets), r.first_time, r.last_time, r.min_time, r.max_time);
}

// Start of the first bucket in which the two differ.
std::optional<int64_t> FirstDifference(const RollupColumns& a, const RollupColumns& b) {
  for (size_t i = 0; i < a.size() || i < b.size(); ++i) {
    if (i >= b.size()) return a.starts[i];
    if (i >= a.size()) return b.starts[i];
    if (a.starts[i] != b.starts[i]) return std::min(a.starts[i], b.starts[i]);
    if (Bits(a.Get(i)) != Bits(b.Get(i))) return a.starts[i];
  }
  return std::nullopt;
}

class RollupPass {
 public:
  explicit RollupPass(VerifyPass* pass) : pass_(pass) {}

  absl::Status Run() {
    for (const int64_t bucket :
         pass_->source().partitions->Buckets()) {  // ascending: sources before what is made of them
      if (bucket == kRawBucket) continue;
      for (const PartitionPtr& partition : pass_->source().partitions->Overlapping(bucket, kAllTime)) {
        const std::string family = FamilyName(partition->window);
        previous_.clear();
        PB_RETURN_IF_ERROR(pass_->EachRow(
            family, partition->family.get(),
            [&](std::string_view key, std::string_view block) { Check(*partition, family, key, block); }));
      }
    }
    return absl::OkStatus();
  }

 private:
  struct Layout {
    std::vector<Tier> tiers;
    std::unique_ptr<TierReader> reader;
  };

  void Check(const Partition& partition, const std::string& family, std::string_view key, std::string_view block) {
    ++pass_->summary().rollup_blocks;
    RollupSpan span;
    RollupColumns stored;
    if (const absl::Status decoded = DecodeRollupBlock(block, kAllRollupFields, &span, &stored); !decoded.ok()) {
      return pass_->Find(FindingAt(family, key, StatusMessage(decoded)));
    }
    const Window& window = partition.window;
    if (key.size() != kBlockKeyBytes || span.start != BlockKeyTime(key) || span.bucket_ns != window.bucket_ns ||
        span.start < window.start() || span.end() > window.end()) {
      return pass_->Find(FindingAt(family, key, "the span does not belong here"));
    }
    const auto [tenant, id] = BlockKeySeries(key);
    const VerifyPass::KnownSeries* series = pass_->FindSeries(id);
    if (series == nullptr || series->tenant != tenant) {
      return pass_->Find(FindingAt(family, key, "the tenant has no such series"));
    }
    const std::string_view of_series = key.substr(0, kBlockKeyBytes - sizeof(int64_t));
    if (of_series == previous_ && span.start < previous_end_) {
      pass_->Find(FindingAt(family, key, "it overlaps with the span before"));
    }
    previous_ = of_series;
    previous_end_ = span.end();
    Compare({id, tenant, series->is_counter}, family, key, span, stored);
  }

  // What the block says (buckets to be derived are not in `stored`) beside what its source says.
  void Compare(const StoredSeries& series, const std::string& family, std::string_view key, const RollupSpan& span,
               const RollupColumns& stored) {
    source_of_[span.bucket_ns] = span.source_bucket_ns;
    const std::vector<TimeRange> ranges = Checkable(span);
    RollupColumns comparable;
    for (size_t i = 0; i < stored.size(); ++i) {
      const bool checkable = std::any_of(ranges.begin(), ranges.end(),
                                         [&](const TimeRange& range) { return range.Contains(stored.starts[i]); });
      if (checkable) comparable.push_back(stored.starts[i], stored.Get(i));
    }
    Layout& layout = LayoutFor(span);
    RollupColumns derived;
    const absl::Status read =
        layout.reader->Derive(series, {}, layout.tiers.size() - 1, ranges, kAllRollupFields, &derived);
    if (!read.ok()) {  // the damage is a finding of its own
      pass_->summary().unchecked_rollups += static_cast<int64_t>(stored.size());
      return;
    }
    pass_->summary().rollups += static_cast<int64_t>(comparable.size());
    pass_->summary().unchecked_rollups += static_cast<int64_t>(stored.size() - comparable.size());
    if (const std::optional<int64_t> at = FirstDifference(comparable, derived)) {
      pass_->Find(
          FindingAt(family, key,
                    "the bucket at " + std::to_string(*at) + " is not the fold of " + TierName(span.source_bucket_ns)));
    }
  }

  // The stretches of which the block speaks and something finer is still there.
  std::vector<TimeRange> Checkable(const RollupSpan& span) const {
    std::vector<TimeRange> ranges;
    auto derive = span.derive.begin();
    for (uint32_t slot = 0; slot < span.slots; ++slot) {
      while (derive != span.derive.end() && derive->end <= slot) ++derive;
      if (derive != span.derive.end() && derive->first <= slot) continue;
      const int64_t start = span.SlotStart(slot);
      if (!HasFiner(span.bucket_ns, start)) continue;
      if (!ranges.empty() && ranges.back().end == start) {
        ranges.back().end += span.bucket_ns;
      } else {
        ranges.push_back({start, start + span.bucket_ns});
      }
    }
    return ranges;
  }

  bool HasFiner(int64_t bucket_ns, int64_t time) const {
    const PartitionSet& partitions = *pass_->source().partitions;
    for (const int64_t finer : partitions.Buckets()) {
      if (finer < bucket_ns && partitions.Find(finer, time) != nullptr) return true;
    }
    return false;
  }

  // The tiers from raw to the block's, each folded from the one before, as the blocks say.
  Layout& LayoutFor(const RollupSpan& span) {
    std::unique_ptr<Layout>& layout = layouts_[{span.bucket_ns, span.source_bucket_ns}];
    if (layout != nullptr) return *layout;
    layout = std::make_unique<Layout>();
    std::vector<TierOptions> chain;
    for (int64_t bucket = span.bucket_ns; bucket != kRawBucket;) {
      chain.insert(chain.begin(), {.bucket_ns = bucket, .retention_ns = kNanosPerDay});
      const auto source = source_of_.find(bucket);
      const int64_t next =
          bucket == span.bucket_ns ? span.source_bucket_ns : (source == source_of_.end() ? kRawBucket : source->second);
      bucket = next < bucket ? next : kRawBucket;
    }
    layout->tiers = LayOutTiers(kNanosPerDay, chain, {});
    layout->reader = std::make_unique<TierReader>(pass_->snapshot(), pass_->source().partitions, &layout->tiers);
    return *layout;
  }

  VerifyPass* const pass_;
  std::string previous_;  // tenant and series of the block before
  int64_t previous_end_ = 0;
  std::map<int64_t, int64_t> source_of_;  // bucket -> what its blocks are folded from
  std::map<std::pair<int64_t, int64_t>, std::unique_ptr<Layout>> layouts_;
};

}  // namespace

absl::Status VerifyRollups(VerifyPass* pass) { return RollupPass(pass).Run(); }

}  // namespace pulseboard

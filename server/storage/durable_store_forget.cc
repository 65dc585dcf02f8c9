// Series without data are forgotten: in memory first (retired: hidden, but whoever has the id can bring the series
// back), then on disk, and at last for good (purged) once nobody can have the id any more.
#include <algorithm>
#include <vector>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/durable_store.h"

namespace pulseboard {
namespace {

// Bounds how long commits wait.
constexpr size_t kSeriesPerLock = 4'096;
// A series gets this long from its creation to its first sample.
constexpr int64_t kYoungNanos = 3600 * kNanosPerSecond;

}  // namespace

absl::Status DurableStore::ForgetSeries() {
  if (!forget_due_) return absl::OkStatus();
  PB_RETURN_IF_ERROR(blocks_->FindPresence());
  SeriesId young = 0;
  {
    MutexLock lock(&ages_mu_);
    young = series_ages_.FirstIdSince(options_.clock->NowUnixNanos() - kYoungNanos);
  }
  SeriesSet without_blocks = index_->AllIds();
  without_blocks -= blocks_->presence().All();
  std::vector<SeriesId> candidates = without_blocks.ToVector();
  const auto first_young = std::lower_bound(candidates.begin(), candidates.end(), young);
  forget_due_ = first_young != candidates.end();  // they are looked at again
  candidates.erase(first_young, candidates.end());
  for (size_t at = 0; at < candidates.size(); at += kSeriesPerLock) {
    RetireSeries(std::span(candidates).subspan(at, std::min(kSeriesPerLock, candidates.size() - at)));
  }
  return absl::OkStatus();
}

void DurableStore::RetireSeries(std::span<const SeriesId> candidates) {
  std::vector<SeriesId> retired;
  // No group is between log and head, so what is in neither head nor blocks is in no batch that was written.
  MutexLock group_lock(&group_mu_);
  MutexLock lock(&commit_mu_);
  for (const SeriesId id : candidates) {
    if (head_.HasSamples(id)) {
      forget_due_ = true;  // they may turn out too old to be kept
      continue;
    }
    head_.Erase(id);
    newest_.Forget(id);
    sealer_->ForgetTail(id);
    if (id < defined_.size()) defined_[static_cast<size_t>(id)] = false;
    forgotten_.emplace(id, last_commit_);
    retired.push_back(id);
  }
  index_->Retire(retired);
  counters_.forgotten_series += static_cast<int64_t>(retired.size());
  if (!retired.empty()) PB_LOG(Info, "storage", "forgot series without data count={}", retired.size());
}

void DurableStore::PurgeSeries() {
  SeriesSet keep;  // with a row on disk: a new series of the same key would contradict it
  {
    MutexLock lock(&commit_mu_);
    std::vector<SeriesId> ids;
    for (const auto& [id, last_commit] : forgotten_) ids.push_back(id);
    keep = SeriesSet(ids);
  }
  index_->PurgeRetired(keep);
}

}  // namespace pulseboard

// What a run compares with the model.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "common/analysis/rollup.h"
#include "common/base/errors.h"
#include "server/storage/families.h"
#include "server/storage/operations.h"
#include "server/storage/window.h"
#include "tests/unit/storage/store_model.h"
#include "tests/unit/storage/store_model_series.h"

namespace pulseboard {
namespace {

template <typename T>
bool SameColumn(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

bool SameColumns(const RollupColumns& a, const RollupColumns& b) {
  return SameColumn(a.starts, b.starts) && SameColumn(a.counts, b.counts) && SameColumn(a.nan_counts, b.nan_counts) &&
         SameColumn(a.sums, b.sums) && SameColumn(a.mins, b.mins) && SameColumn(a.maxs, b.maxs) &&
         SameColumn(a.firsts, b.firsts) && SameColumn(a.lasts, b.lasts) && SameColumn(a.resets, b.resets) &&
         SameColumn(a.first_times, b.first_times) && SameColumn(a.last_times, b.last_times) &&
         SameColumn(a.min_times, b.min_times) && SameColumn(a.max_times, b.max_times);
}

}  // namespace

int64_t ModelRun::OldestKept() const { return DayOf(clock_.NowUnixNanos() - options_.raw_retention_ns); }

absl::Status ModelRun::Wrong(const std::string& what) const { return absl::InternalError(what); }

absl::StatusOr<SampleColumns> ModelRun::ReadAll(int name, TimeRange range) {
  const std::optional<SeriesId> id = store_->FindSeries(kDefaultTenant, KeyOf(name));
  if (!id) return SampleColumns();
  const SeriesId ids[] = {*id};
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<ReadView> view, store_->OpenView(ids, range, nullptr));
  return view->Read(*id, range);
}

absl::Status ModelRun::CheckSeries(int name, TimeRange range) {
  PB_ASSIGN_OR_RETURN(const SampleColumns read, ReadAll(name, range));
  const Samples& samples = model_[name];
  const int64_t oldest = OldestKept();
  auto expected = samples.lower_bound(range.start);
  const auto end = samples.lower_bound(range.end);
  for (size_t i = 0; i < read.size(); ++i) {
    // What the retention has taken or is about to take may be missing.
    while (expected != end && expected->first < read.times[i] && DayOf(expected->first) < oldest) ++expected;
    if (expected == end || expected->first > read.times[i]) {
      return Wrong(fmt::format("m{}: a sample too many at {}", name, read.times[i]));
    }
    if (expected->first < read.times[i]) {
      return Wrong(fmt::format("m{}: the sample at {} is missing", name, expected->first));
    }
    if (!SameBits(expected->second, read.values[i]) && DayOf(expected->first) >= oldest) {
      return Wrong(fmt::format("m{}: another value at {}: {} instead of {}", name, read.times[i], read.values[i],
                               expected->second));
    }
    ++expected;
  }
  while (expected != end && DayOf(expected->first) < oldest) ++expected;
  if (expected != end) return Wrong(fmt::format("m{}: the sample at {} is missing", name, expected->first));
  return absl::OkStatus();
}

absl::Status ModelRun::CheckLatest(int name) {
  const std::optional<SeriesId> id = store_->FindSeries(kDefaultTenant, KeyOf(name));
  const Samples& samples = model_[name];
  const bool expected = !samples.empty() && DayOf(samples.rbegin()->first) >= OldestKept();
  // A series without samples may have been forgotten.
  if (!id) return expected ? Wrong(fmt::format("m{} is unknown", name)) : absl::OkStatus();
  PB_ASSIGN_OR_RETURN(const std::optional<Sample> latest, store_->Latest(*id));
  // Of samples that are gone the rollups may know the last.
  if (latest && !expected && samples.contains(latest->time_unix_nanos)) return absl::OkStatus();
  if (latest.has_value() != expected)
    return Wrong(fmt::format("m{}: latest is {}", name, expected ? "missing" : "there"));
  if (!expected) return absl::OkStatus();
  const auto& [time, value] = *samples.rbegin();
  if (latest->time_unix_nanos == time && SameBits(latest->value, value)) return absl::OkStatus();
  return Wrong(fmt::format("m{}: latest is of {} instead of {}", name, latest->time_unix_nanos, time));
}

// Every tier against the fold of the samples, bit for bit, as far back as there are samples for certain.
absl::Status ModelRun::CheckRollups(int name) {
  const std::optional<SeriesId> id = store_->FindSeries(kDefaultTenant, KeyOf(name));
  if (!id) return absl::OkStatus();
  const TimeRange range = {(OldestKept() + 1) * kNanosPerDay, kAllTime.end};
  PB_ASSIGN_OR_RETURN(const SampleColumns samples, ReadAll(name, range));
  const SeriesId ids[] = {*id};
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<ReadView> view, store_->OpenView(ids, range, nullptr));
  RollupColumns finer;
  for (size_t i = 0; i < options_.tiers.size(); ++i) {
    const int64_t bucket = options_.tiers[i].bucket_ns;
    RollupColumns expected;
    if (i == 0) {
      FoldSamples(samples.times, samples.values, bucket, IsCounter(name), &expected);
    } else {
      FoldRollups(finer, bucket, IsCounter(name), &expected);
    }
    PB_ASSIGN_OR_RETURN(const RollupColumns read, view->ReadRollups(*id, bucket, range, kAllRollupFields));
    if (!SameColumns(read, expected)) return Wrong(fmt::format("m{}: tier {} differs", name, TierName(bucket)));
    finer = std::move(expected);
  }
  return absl::OkStatus();
}

absl::Status ModelRun::CheckCommits() {
  const auto total = static_cast<int64_t>(commits_.size());
  auto after = static_cast<int64_t>(Pick(commits_.size() + 1));
  bool same = true;
  const auto visit = [&](const CommittedBatch& batch) {
    same = same && batch.commit_sequence == after + 1;
    if (!same) return absl::OkStatus();
    const Batch& expected = commits_[static_cast<size_t>(after++)];
    size_t at = 0;  // in the batch that was read
    for (size_t i = 0; i < expected.times.size() && same; ++i) {
      const bool found = at < batch.times.size() && batch.times[at] == expected.times[i] &&
                         SameBits(batch.values[at], expected.values[i]);
      if (found) ++at;
      same = found || expected.IsOptional(i);
    }
    same = same && at == batch.times.size();
    return absl::OkStatus();
  };
  absl::Status status = store_->ReadCommits(after, total, visit);
  // The store frees its log when it likes: also between two of these calls.
  while (HasReason(status, ErrorReason::kResumeTokenExpired)) {
    const int64_t before = after;
    after = std::stoll(GetErrorDetail(status)->metadata.at("oldestCommitSequence")) - 1;
    if (after <= before) return Wrong(fmt::format("the log reaches back to {}, but not from {}", after, before));
    status = store_->ReadCommits(after, total, visit);
  }
  PB_RETURN_IF_ERROR(status);
  return same && after == total ? absl::OkStatus() : Wrong(fmt::format("the log differs at commit {}", after));
}

absl::Status ModelRun::Verify() {
  std::string findings;
  VerifyWatcher watch;
  watch.on_finding = [&findings](const VerifyFinding& found) {
    findings += fmt::format("{} series {} block {} {} at {}: {}\n", found.family, found.series, found.block_start,
                            found.file, found.offset, found.description);
  };
  PB_RETURN_IF_ERROR(store_->operations().Verify(watch).status());
  return findings.empty() ? absl::OkStatus() : Wrong("verification says: " + findings);
}

absl::Status ModelRun::CheckAll() {
  for (int name = 0; name < kNames; ++name) {
    PB_RETURN_IF_ERROR(CheckSeries(name, kAllTime));
    PB_RETURN_IF_ERROR(CheckLatest(name));
    PB_RETURN_IF_ERROR(CheckRollups(name));
  }
  for (const auto& [producer, position] : positions_) {
    const int64_t found = store_->ProducerPosition(kDefaultTenant, producer);
    if (found != position)
      return Wrong(fmt::format("producer {} stands at {} instead of {}", producer, found, position));
  }
  return CheckCommits();
}

}  // namespace pulseboard

#include "server/app/wal_command.h"

#include <fmt/format.h>

#include <cstdio>

#include "common/base/errors.h"
#include "server/app/exit_code.h"
#include "server/storage/wal_repair.h"

namespace pulseboard {
namespace {

constexpr int kDamaged = 2;

void Print(const std::string& line) { std::fputs((line + "\n").c_str(), stdout); }

std::string Commits(int64_t first, int64_t last) {
  if (last < first) return "no commits";
  return first == last ? fmt::format("commit {}", first) : fmt::format("commits {}-{}", first, last);
}

void PrintSegments(const WalReport& report) {
  for (const WalSegmentReport& segment : report.segments) {
    Print(fmt::format("{}: {} bytes, {}, {} records, {} samples", segment.file, segment.file_bytes,
                      Commits(segment.first_commit, segment.last_commit), segment.records, segment.samples));
  }
  for (const CommitRange& gap : report.declared) {
    Print(fmt::format("gap: {}, lost before an earlier repair", Commits(gap.first, gap.last)));
  }
  if (report.torn_bytes > 0) {
    Print(fmt::format(
        "torn tail: {} bytes behind the last record; nothing of it was acknowledged, the next start cuts it",
        report.torn_bytes));
  }
}

void PrintDamage(const WalReport& report) {
  for (const WalDamage& damage : report.damage) {
    Print(fmt::format("damage: {} bytes {}-{}: {}", damage.file, damage.offset, damage.end, damage.what));
    if (!damage.quarantine.empty()) Print("  copied to " + damage.quarantine);
  }
  for (const CommitRange& missing : report.missing) {
    // Its part up to the checkpoint is missing in the log, but not in the store.
    const int64_t first_lost = std::max(missing.first, report.checkpoint + 1);
    if (missing.first < first_lost) {
      Print(fmt::format("missing: {}, sealed already: no sample is lost",
                        Commits(missing.first, std::min(missing.last, report.checkpoint))));
    }
    if (first_lost <= missing.last) Print("lost: " + Commits(first_lost, missing.last));
  }
  if (report.orphan_samples > 0) {
    std::string ids;
    for (const SeriesId id : report.orphan_series) ids += fmt::format(" {}", id);
    Print(fmt::format("lost: {} samples of series that were defined in damaged records; ids:{}", report.orphan_samples,
                      ids));
  }
}

}  // namespace

int RunWalCommand(const WalCommandOptions& options) {
  WalRepairOptions repair_options;
  repair_options.directory = options.directory;
  const bool changes = options.repair && !options.dry_run;
  const absl::StatusOr<WalReport> report = changes ? RepairWal(repair_options) : InspectWal(repair_options);
  if (!report.ok()) return ExitCodeOf(report.status());
  Print(fmt::format("checkpoint: commits up to {} are sealed", report->checkpoint));
  PrintSegments(*report);
  PrintDamage(*report);
  if (report->is_whole()) {
    Print("the log is whole");
    return 0;
  }
  if (report->repaired) {
    Print("repaired: all other records are kept, commits keep their numbers, the store opens again");
    return 0;
  }
  Print(options.repair
            ? "dry run: nothing was changed; a repair leaves out what is listed and keeps all the rest"
            : "the log is damaged; `pulseboardd wal repair` leaves out what is listed and keeps all the rest");
  return kDamaged;
}

}  // namespace pulseboard

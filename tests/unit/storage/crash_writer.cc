// Appends for ever and prints each acknowledged sequence; store_kill_test.cc kills it. Usage: crash_writer DIRECTORY
#include "tests/unit/storage/crash_writer.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>

#include "common/base/errors.h"
#include "common/base/log.h"

namespace {

constexpr int64_t kInFlight = 16;

int Run(const std::string& directory) {
  using namespace pulseboard;
  auto store = Store::Open(CrashWriterOptions(directory), nullptr);
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", StatusMessage(store.status()).c_str());
    return 2;
  }
  std::vector<SeriesId> series;
  for (int s = 0; s < kCrashSeries; ++s) {
    series.push_back((*store)->FindOrCreateSeries(kDefaultTenant, CrashSeriesKey(s), {}, nullptr).value());
  }
  const int64_t position = (*store)->ProducerPosition(kDefaultTenant, kCrashProducer);
  std::atomic<int64_t> outstanding = 0;
  std::atomic<bool> wrong = false;
  // A pusher that does not know what arrived sends its last batches again.
  for (int64_t sequence = std::max<int64_t>(1, position - kInFlight); !wrong; ++sequence) {
    while (outstanding >= kInFlight) std::this_thread::yield();
    ++outstanding;
    const absl::Status queued =
        (*store)->Append(CrashBatch(sequence, series), [&, sequence](const absl::StatusOr<CommitReceipt>& receipt) {
          if (!receipt.ok() || receipt->duplicate != (sequence <= position)) wrong = true;
          const std::string line = std::to_string(sequence) + "\n";
          if (write(STDOUT_FILENO, line.data(), line.size()) < 0) wrong = true;
          --outstanding;
        });
    if (!queued.ok()) return 3;
  }
  return 4;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  pulseboard::InitLogging("error");
  return Run(argv[1]);
}

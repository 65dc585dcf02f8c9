// kill -9 in the middle of writing, many times: every acknowledged batch is there afterwards, exactly once.
//   PULSEBOARD_KILLS=N  how many times
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <random>
#include <sstream>

#include "tests/support/environment.h"
#include "tests/unit/storage/crash_writer.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

// The writer in a process of its own (a fork of this one would inherit threads' locks).
struct Writer {
  pid_t pid = -1;
  int output = -1;
};

Writer StartWriter(const std::string& directory) {
  int pipe_ends[2];
  EXPECT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(pipe_ends[1], STDOUT_FILENO);
    execl(PULSEBOARD_CRASH_WRITER, PULSEBOARD_CRASH_WRITER, directory.c_str(), nullptr);
    _exit(127);
  }
  close(pipe_ends[1]);
  return {pid, pipe_ends[0]};
}

// Reads acknowledgements until `wanted` have come, kills, reads the rest. Returns the last acknowledged sequence seen.
int64_t KillAfter(const Writer& writer, size_t wanted, int64_t last) {
  std::string text;
  char buffer[4096];
  bool killed = false;
  while (true) {
    if (!killed && static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) >= wanted) {
      kill(writer.pid, SIGKILL);
      killed = true;
    }
    const ssize_t got = read(writer.output, buffer, sizeof(buffer));
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  close(writer.output);
  int status = 0;
  waitpid(writer.pid, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the writer ended by itself: " << status << "\n"
                                                                  << text;
  text.resize(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);  // a line cut by the kill says nothing
  std::istringstream lines(text);
  for (int64_t sequence = 0; lines >> sequence;) last = std::max(last, sequence);
  return last;
}

class StoreKillTest : public StoreTest {};

TEST_F(StoreKillTest, LosesNoAcknowledgedSampleAndDoublesNone) {
  std::mt19937_64 random(std::random_device{}());
  options_ = CrashWriterOptions(dir_.path() + "/store");
  int64_t acknowledged = 0;
  const uint64_t rounds = testing::FromEnvironment("PULSEBOARD_KILLS", 20);
  for (uint64_t round = 0; round < rounds; ++round) {
    acknowledged = KillAfter(StartWriter(options_.directory), 1 + random() % 60, acknowledged);
    if (HasFailure()) return;
    Open();
    const int64_t position = store_->ProducerPosition(kDefaultTenant, kCrashProducer);
    ASSERT_GE(position, acknowledged) << "round " << round;
    // Once in the log …
    int64_t next = 1;
    ASSERT_TRUE(
        store_
            ->ReadCommits(0, position,
                          [&](const CommittedBatch& batch) {
                            EXPECT_EQ(batch.commit_sequence, next);
                            const AppendBatch expected = CrashBatch(next++, {batch.series.begin(), batch.series.end()});
                            EXPECT_TRUE(std::equal(batch.values.begin(), batch.values.end(), expected.values.begin(),
                                                   expected.values.end()));
                            return absl::OkStatus();
                          })
            .ok());
    ASSERT_EQ(next, position + 1) << "round " << round;
    ASSERT_EQ(store_->Stats().commit_sequence, position);
    // … and each sample once in its series.
    for (int s = 0; s < kCrashSeries; ++s) {
      const auto id = store_->FindSeries(kDefaultTenant, CrashSeriesKey(s));
      ASSERT_TRUE(id.has_value());
      const Points points = Read(*id);
      ASSERT_EQ(points.size(), static_cast<size_t>(position)) << "round " << round << " series " << s;
      for (int64_t i = 0; i < position; ++i) {
        ASSERT_EQ(points[static_cast<size_t>(i)].first, CrashTime(i + 1));
        ASSERT_EQ(points[static_cast<size_t>(i)].second, CrashValue(i + 1, s));
      }
    }
    Close();
  }
  EXPECT_GE(acknowledged, static_cast<int64_t>(rounds));
}

}  // namespace
}  // namespace pulseboard

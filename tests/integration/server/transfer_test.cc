// import and export against the real server: the commands over TLS, and imports that go on through kill -9.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/client/import_text.h"
#include "tests/support/client.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard::testing {
namespace {

std::vector<std::string> Command(const ServerProcess& server, const std::string& name,
                                 std::vector<std::string> arguments) {
  std::vector<std::string> argv = {BinaryPath("pulseboardd"),
                                   name,
                                   "--server",
                                   server.address(),
                                   "--user",
                                   "admin",
                                   "--password-file",
                                   server.password_file(),
                                   "--pins",
                                   server.dir().File("pins")};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return argv;
}

void WriteFile(const std::string& name, std::string_view text) { std::ofstream(name, std::ios::binary) << text; }

TEST(TransferCommands, ImportAndExportOverTls) {
  ServerProcess server({.set = {"server.tls=on"}});
  ASSERT_TRUE(server.Start().ok());
  const std::string file = PULSEBOARD_GOLDEN_DIR "/transfer/node_exporter.om";
  const Output imported = RunToEnd(Command(server, "import", {"--format", "openmetrics", file}));
  EXPECT_EQ(imported.exit_code, 0) << imported.err;
  EXPECT_NE(imported.err.find("50 samples; 0 refused"), std::string::npos) << imported.err;
  EXPECT_NE(imported.err.find("1 exemplars were dropped"), std::string::npos) << imported.err;

  // Once more: nothing is applied again, though its samples carry no time.
  const Output again = RunToEnd(Command(server, "import", {"--format", "openmetrics", file}));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.err.find("were imported before and skipped"), std::string::npos) << again.err;

  const std::string out = server.dir().File("out.om");
  const Output exported =
      RunToEnd(Command(server, "export",
                       {"--format", "openmetrics", "--selector", "{__name__=~\"(node|go|process|promhttp)_.+\"}",
                        "--from", "1h", "-o", out}));
  EXPECT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_NE(exported.err.find("exported 50 samples of 50 series"), std::string::npos) << exported.err;
  const std::string text = ReadFile(out);
  EXPECT_TRUE(text.ends_with("# EOF\n"));
  EXPECT_NE(text.find("# TYPE node_cpu_seconds counter\n# UNIT node_cpu_seconds seconds\n"
                      "# HELP node_cpu_seconds Seconds the CPUs spent in each mode.\n"
                      "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 10243.71 "),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("mountpoint=\"/mnt/with \\\"quotes\\\"\"} 1e+09 "), std::string::npos) << text;

  // What was exported goes into another server as it is.
  ServerProcess other;
  ASSERT_TRUE(other.Start().ok());
  EXPECT_EQ(RunToEnd(Command(other, "import", {"--format", "openmetrics", out})).exit_code, 0);
  const Output back = RunToEnd(Command(other, "export",
                                       {"--format", "csv", "--layout", "wide", "--selector",
                                        "{__name__=~\"node_load1|node_os_info\"}", "--from", "1h"}));
  EXPECT_EQ(back.exit_code, 0) << back.err;
  EXPECT_NE(back.out.find("time,node_load1,\"node_os_info{id=\"\"debian\"\",name=\"\"Debian GNU/Linux\"\""),
            std::string::npos)
      << back.out;
}

TEST(TransferCommands, SayWhatWasRefused) {
  ServerProcess server;
  ASSERT_TRUE(server.Start().ok());
  const int64_t now = SystemClock().NowUnixNanos() / kNanosPerSecond;
  const std::string file = server.dir().File("some.csv");
  WriteFile(file, "when;room;reading\n" + std::to_string(now) + ";kitchen;21.5\nnever;kitchen;21\n1000;kitchen;21\n");
  const std::string receipts = server.dir().File("receipts");
  const Output some = RunToEnd(Command(server, "import",
                                       {"--format", "csv", "--time-column", "when", "--value-column", "reading",
                                        "--metric", "temperature", "--receipts", receipts, file}));
  EXPECT_EQ(some.exit_code, 3) << some.err;
  EXPECT_NE(some.err.find("refused 1 BAD_TIME"), std::string::npos) << some.err;
  EXPECT_NE(some.err.find("refused 1 TOO_OLD"), std::string::npos) << some.err;
  const std::string lines = ReadFile(receipts);
  EXPECT_NE(lines.find("3:1: BAD_TIME: "), std::string::npos) << lines;
  EXPECT_NE(lines.find(": never;kitchen;21\n"), std::string::npos) << lines;
  EXPECT_NE(lines.find("4:0: TOO_OLD: "), std::string::npos) << lines;

  const Output bad = RunToEnd(Command(server, "import", {"--format", "csv", "--metric", "x", file}));
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_NE(bad.err.find("csv.time_column"), std::string::npos) << bad.err;
  const Output missing = RunToEnd(Command(server, "import", {"--format", "csv", file + ".not"}));
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_NE(missing.err.find("No such file"), std::string::npos) << missing.err;

  const std::string out = server.dir().File("out.csv");
  const Output selector =
      RunToEnd(Command(server, "export", {"--format", "csv", "--selector", "a{", "--from", "1h", "-o", out}));
  EXPECT_EQ(selector.exit_code, 1);
  EXPECT_EQ(ReadFile(out), "") << "no half file";
  EXPECT_EQ(ReadFile(out + ".partial"), "");
}

// One sample without time per series: applied twice, it would be there at two times.
constexpr int kLines = 60'000;

std::string TextWithoutTimes() {
  std::string text = "# TYPE resumed counter\n";
  for (int i = 0; i < kLines; ++i) {
    text += "resumed_total{i=\"" + std::to_string(i) + "\"} " + std::to_string(i) + "\n";
  }
  return text + "# EOF\n";
}

// A text that runs `at_offset` whenever one of its offsets is about to be read.
class EventfulText final : public client::TextSource {
 public:
  EventfulText(std::string_view text, std::vector<size_t> offsets, std::function<absl::Status()> at_offset)
      : text_(text), offsets_(std::move(offsets)), at_offset_(std::move(at_offset)) {}
  absl::Status Read(size_t most, std::string* out) override {
    if (!offsets_.empty() && at_ >= offsets_.front()) {
      offsets_.erase(offsets_.begin());
      PB_RETURN_IF_ERROR(at_offset_());
    }
    out->assign(text_.substr(at_, most));
    at_ += out->size();
    return absl::OkStatus();
  }

 private:
  const std::string_view text_;
  size_t at_ = 0;
  std::vector<size_t> offsets_;
  const std::function<absl::Status()> at_offset_;
};

client::ImportTextOptions ResumableImport() {
  client::ImportTextOptions options;
  options.spec.set_producer_id("resumed");
  options.spec.set_format(v1::TEXT_FORMAT_OPENMETRICS);
  options.chunk_bytes = 16 << 10;
  options.backoff = {std::chrono::milliseconds(10), std::chrono::milliseconds(200)};
  return options;
}

void ExpectEverySampleOnce(const Login& login) {
  const auto stored = QueryRaw(login, "resumed_total");
  ASSERT_TRUE(stored.ok()) << stored.status();
  ASSERT_EQ(stored->size(), static_cast<size_t>(kLines));
  for (int i = 0; i < kLines; ++i) {
    const SampleColumns& samples = stored->at("resumed_total{i=\"" + std::to_string(i) + "\"}");
    ASSERT_EQ(samples.values, std::vector<double>{static_cast<double>(i)}) << "line " << i + 2;
  }
}

TEST(ImportThroughACrash, LosesNoLineAndDoublesNone) {
  ServerProcess server({.set = {"query.max_series=1000000"}});
  ASSERT_TRUE(server.Start().ok());
  const auto login = LogInAsAdmin(server);
  ASSERT_TRUE(login.ok()) << login.status();
  const std::string text = TextWithoutTimes();
  client::ImportTextOptions options = ResumableImport();
  std::atomic<int> retries{0};
  std::atomic<int64_t> committed{0};
  options.on_retry = [&](const absl::Status&) { ++retries; };
  options.on_progress = [&](const v1::ImportProgress& progress) { committed = progress.committed_offset(); };
  const std::vector<size_t> kills = {text.size() / 5, text.size() / 2, text.size() * 4 / 5};
  EventfulText source(text, kills, [&] {
    server.Kill();
    return server.Start();
  });
  const auto summary = client::ImportText(login->channel, *login->session, source, options);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_GE(retries, 3) << "the crashes must have hit the import";
  EXPECT_EQ(summary->totals().committed_offset(), static_cast<int64_t>(text.size()));
  EXPECT_EQ(summary->totals().refused_count(), 0);
  ExpectEverySampleOnce(*login);
}

TEST(ImportThroughACrash, GoesOnInAnotherProcessOfTheClient) {
  ServerProcess server({.set = {"query.max_series=1000000"}});
  ASSERT_TRUE(server.Start().ok());
  const auto login = LogInAsAdmin(server);
  ASSERT_TRUE(login.ok()) << login.status();
  const std::string text = TextWithoutTimes();
  client::ImportTextOptions options = ResumableImport();
  EventfulText broken(text, {text.size() * 3 / 4}, [] { return absl::AbortedError("the client dies here"); });
  const auto first = client::ImportText(login->channel, *login->session, broken, options);
  EXPECT_EQ(first.status().code(), absl::StatusCode::kAborted) << first.status();

  EventfulText whole(text, {}, nullptr);
  const auto second = client::ImportText(login->channel, *login->session, whole, options);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->totals().refused_count(), 0) << second->ShortDebugString();
  EXPECT_EQ(second->totals().committed_offset(), static_cast<int64_t>(text.size()));
  ExpectEverySampleOnce(*login);

  EventfulText shorter(std::string_view(text).substr(0, 1'000), {}, nullptr);
  const auto third = client::ImportText(login->channel, *login->session, shorter, options);
  EXPECT_EQ(third.status().code(), absl::StatusCode::kFailedPrecondition) << third.status();
}

}  // namespace
}  // namespace pulseboard::testing

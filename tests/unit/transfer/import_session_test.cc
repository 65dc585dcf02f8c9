#include "server/transfer/import_session.h"

#include <gtest/gtest.h>

#include <future>
#include <set>

#include "common/base/errors.h"
#include "server/transfer/importer.h"
#include "tests/support/forwarding_store.h"
#include "tests/support/test_store.h"

namespace pulseboard {
namespace {

using testing::TestStore;

constexpr int64_t kNow = 1'800'000'000 * kNanosPerSecond;

class ImportSessionTest : public ::testing::Test {
 protected:
  static ImportSpec Spec(TextFormat format = TextFormat::kCsv) {
    ImportSpec spec;
    spec.producer_id = "file";
    spec.format = format;
    return spec;
  }
  std::unique_ptr<ImportSession> Open(const ImportSpec& spec) {
    auto session = importer_.Open(kDefaultTenant, spec);
    EXPECT_TRUE(session.ok()) << StatusMessage(session.status());
    return session.ok() ? *std::move(session) : nullptr;
  }
  // Commits every batch that is ready.
  absl::Status Commit(ImportSession* session, bool flush, ImportTally* tally) {
    while (true) {
      PB_ASSIGN_OR_RETURN(std::shared_ptr<ImportBatch> batch, session->NextBatch(flush));
      session->Count(tally);
      if (batch == nullptr) return absl::OkStatus();
      std::promise<absl::StatusOr<PushReceipt>> done;
      PB_RETURN_IF_ERROR(session->Submit(batch, [&](const absl::StatusOr<PushReceipt>& r) { done.set_value(r); }));
      PB_ASSIGN_OR_RETURN(const PushReceipt receipt, done.get_future().get());
      tally->Add(receipt, batch.get());
      session->Recycle(std::move(batch));
    }
  }
  // A whole import, `piece` bytes at a time, from `offset` on.
  absl::StatusOr<ImportTally> Import(const ImportSpec& spec, std::string_view text, size_t piece = 1 << 20,
                                     int64_t offset = 0, std::string_view context = "") {
    const auto session = Open(spec);
    ImportTally tally(session->max_refused_lines());
    if (!context.empty()) PB_RETURN_IF_ERROR(session->AddContext(context));
    for (auto at = static_cast<size_t>(offset); at < text.size(); at += piece) {
      PB_RETURN_IF_ERROR(session->Feed(static_cast<int64_t>(at), text.substr(at, piece), 1));
      PB_RETURN_IF_ERROR(Commit(session.get(), /*flush=*/true, &tally));
    }
    PB_RETURN_IF_ERROR(session->Finish());
    PB_RETURN_IF_ERROR(Commit(session.get(), true, &tally));
    return tally;
  }
  SampleColumns Read(const std::string& metric) {
    const auto id = store_->FindSeries(kDefaultTenant, {metric, {}});
    return id ? store_.Read(*id) : SampleColumns{};
  }

  ManualClock clock_{kNow};
  TestStore store_{nullptr, clock_};
  Intake intake_{*store_, clock_, {}};
  Importer importer_{intake_, clock_, {}};
};

std::string Lines(int count) {
  std::string text = "time,metric,value\n";
  for (int i = 0; i < count; ++i) text += std::to_string(1'799'000'000 + i) + ",m," + std::to_string(i) + "\n";
  return text;
}

TEST_F(ImportSessionTest, CommitsAllLinesAndTellsTheRefusedOnes) {
  const std::string text = "time,metric,value\n1799999999,m,1\n1600000000,m,2\n1900000000,m,3\nx,m,4\n1799999998,m,5\n";
  for (const size_t piece : {1'000, 1, 7}) {
    ImportSpec spec = Spec();
    spec.producer_id = "piece" + std::to_string(piece);
    auto tally = Import(spec, text, piece);
    ASSERT_TRUE(tally.ok()) << tally.status();
    EXPECT_EQ(tally->accepted_count, 2);
    EXPECT_EQ(tally->refused_count, 3);
    EXPECT_EQ(tally->line_count, 6);
    EXPECT_EQ(tally->committed_offset, static_cast<int64_t>(text.size()));
    EXPECT_EQ(tally->refused_by_reason[static_cast<size_t>(LineReason::kTooOld)], 1);
    EXPECT_EQ(tally->refused_by_reason[static_cast<size_t>(LineReason::kInFuture)], 1);
    EXPECT_EQ(tally->refused_by_reason[static_cast<size_t>(LineReason::kBadTime)], 1);
    std::map<int64_t, LineRefusal> by_line;
    for (const LineRefusal& line : tally->TakeRefusedLines(100)) by_line[line.line] = line;
    ASSERT_EQ(by_line.size(), 3U);
    EXPECT_EQ(by_line[3].reason, LineReason::kTooOld);
    EXPECT_EQ(by_line[3].text, "1600000000,m,2");
    EXPECT_EQ(by_line[4].text, "1900000000,m,3");
    EXPECT_EQ(by_line[5].reason, LineReason::kBadTime);
  }
  EXPECT_EQ(Read("m").values, (std::vector<double>{5, 1}));
}

// Notes how safe each batch was to be.
class ModeStore final : public testing::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  absl::Status Append(AppendBatch batch, AppendDone done) override {
    modes.insert(batch.ack_mode);
    return ForwardingStore::Append(std::move(batch), std::move(done));
  }
  std::set<AckMode> modes;
};

TEST_F(ImportSessionTest, CommitsInTheAckModeThatWasAskedFor) {
  for (const std::optional<AckMode> mode : {std::optional<AckMode>(), std::optional(AckMode::kBuffered)}) {
    ModeStore store(*store_);
    Intake intake(store, clock_, {});
    Importer importer(intake, clock_, {});
    ImportSpec spec = Spec();
    spec.producer_id = mode ? "buffered" : "default";
    spec.ack_mode = mode;
    const auto session = importer.Open(kDefaultTenant, spec);
    ASSERT_TRUE(session.ok()) << session.status();
    ImportTally tally(10);
    ASSERT_TRUE((*session)->Feed(0, Lines(3), 1).ok());
    ASSERT_TRUE((*session)->Finish().ok());
    ASSERT_TRUE(Commit(session->get(), true, &tally).ok());
    EXPECT_EQ(tally.accepted_count, 3);
    EXPECT_EQ(store.modes, std::set<AckMode>{mode.value_or(AckMode::kFsynced)});
  }
}

TEST_F(ImportSessionTest, AppliesARepeatedImportOnce) {
  const std::string text = Lines(25'000);
  ASSERT_EQ(Import(Spec(), text)->accepted_count, 25'000);
  const int64_t commits = store_->Stats().committed_samples;
  auto again = Import(Spec(), text);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->accepted_count, 0);
  EXPECT_EQ(again->skipped_byte_count, static_cast<int64_t>(text.size()));
  EXPECT_EQ(store_->Stats().committed_samples, commits);
}

TEST_F(ImportSessionTest, GoesOnWhereABrokenOneStopped) {
  const std::string text = Lines(30'000);
  ImportTally first(10);
  int64_t resume = 0;
  {
    const auto session = Open(Spec());
    ASSERT_TRUE(session->Feed(0, std::string_view(text).substr(0, text.size() / 2 + 3), 1).ok());
    ASSERT_TRUE(Commit(session.get(), false, &first).ok());
  }
  {
    const auto session = Open(Spec());
    resume = session->resume_offset();
    EXPECT_EQ(resume, first.committed_offset);
    EXPECT_GT(resume, 0);
    EXPECT_LT(resume, static_cast<int64_t>(text.size() / 2));
    EXPECT_EQ(text[static_cast<size_t>(resume) - 1], '\n');
    EXPECT_TRUE(HasReason(session->Feed(resume - 1, "x", 1), ErrorReason::kBadField)) << "neither 0 nor resume_offset";
  }
  const auto no_context = Import(Spec(), text, 1'000'000, resume);
  EXPECT_TRUE(HasReason(no_context.status(), ErrorReason::kBadField)) << "the header is not known";
  const auto second = Import(Spec(), text, 1'000'000, resume, "time,metric,value\n");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first.accepted_count + second->accepted_count, 30'000);
  EXPECT_EQ(Read("m").size(), 30'000U);
}

TEST_F(ImportSessionTest, RefusesAnotherTextUnderTheSameName) {
  ASSERT_TRUE(Import(Spec(), "time,metric,value\n1799999999,m,1").ok());
  const auto other = Import(Spec(), "time,metric,value\n1799999999,m,1222\n");
  EXPECT_TRUE(HasReason(other.status(), ErrorReason::kBadField)) << other.status();
}

TEST_F(ImportSessionTest, GivesSamplesWithoutTimeTheGivenOneOrThatOfReceipt) {
  ImportSpec spec = Spec(TextFormat::kOpenMetrics);
  ASSERT_EQ(Import(spec, "a 1\n# EOF\n")->accepted_count, 1);
  EXPECT_EQ(Read("a").times, std::vector<int64_t>{kNow});
  spec.producer_id = "other";
  spec.default_time_unix_nanos = kNow - 5;
  ASSERT_EQ(Import(spec, "b 1\n# EOF\n")->accepted_count, 1);
  EXPECT_EQ(Read("b").times, std::vector<int64_t>{kNow - 5});
}

TEST_F(ImportSessionTest, TellsAMissingEndEvenWhenAllIsCommitted) {
  const auto tally = Import(Spec(TextFormat::kOpenMetrics), "a 1\n");
  ASSERT_TRUE(tally.ok());
  EXPECT_EQ(tally->accepted_count, 1);
  EXPECT_EQ(tally->refused_by_reason[static_cast<size_t>(LineReason::kMissingEof)], 1);
  EXPECT_EQ(tally->committed_offset, 4);
  EXPECT_EQ(Import(Spec(TextFormat::kPrometheus), "")->line_count, 0);
}

TEST_F(ImportSessionTest, NamesTheSeriesOfARefusedSampleOfTheWideForm) {
  auto tally = Import(Spec(), "time,a,b\n1600000000,1,2\n");
  ASSERT_TRUE(tally.ok());
  const auto lines = tally->TakeRefusedLines(10);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].series, "a");
  EXPECT_EQ(lines[1].series, "b");
  EXPECT_EQ(lines[1].line, 2);
}

TEST_F(ImportSessionTest, DescribesAsManyLinesAsAskedForAndCountsAll) {
  std::string text = "time,metric,value\n";
  for (int i = 0; i < 1'000; ++i) text += i % 2 == 0 ? "1600000000,m,1\n" : "x,m,1\n";
  ImportSpec spec = Spec();
  spec.max_refused_lines = 750;
  auto tally = Import(spec, text);
  ASSERT_TRUE(tally.ok());
  EXPECT_EQ(tally->refused_count, 1'000);
  EXPECT_EQ(tally->TakeRefusedLines(10'000).size(), 750U);
}

TEST_F(ImportSessionTest, RefusesChunksOutOfOrder) {
  const auto session = Open(Spec());
  EXPECT_TRUE(session->Feed(0, "time,", 1).ok());
  EXPECT_TRUE(HasReason(session->Feed(4, "x", 1), ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(session->Feed(6, "x", 1), ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(session->Feed(5, "", 1), ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(session->AddContext("x"), ErrorReason::kBadField));
  EXPECT_TRUE(session->Feed(5, "a\n", 1).ok());
}

TEST_F(ImportSessionTest, AdmitsOneImportPerProducerAndSoManyInAll) {
  Importer importer(intake_, clock_, {.max_imports = 2});
  auto first = importer.Open(kDefaultTenant, Spec());
  ASSERT_TRUE(first.ok());
  const auto same = importer.Open(kDefaultTenant, Spec());
  EXPECT_TRUE(HasReason(same.status(), ErrorReason::kTransferBusy));
  EXPECT_TRUE(GetErrorDetail(same.status())->retry_after_ms.has_value());
  ImportSpec spec = Spec();
  spec.producer_id = "second";
  auto second = importer.Open(kDefaultTenant, spec);
  EXPECT_TRUE(second.ok());
  spec.producer_id = "third";
  EXPECT_TRUE(HasReason(importer.Open(kDefaultTenant, spec).status(), ErrorReason::kTransferBusy));
  first->reset();
  EXPECT_TRUE(importer.Open(kDefaultTenant, spec).ok());
  spec.producer_id = "";
  EXPECT_TRUE(HasReason(importer.Open(kDefaultTenant, spec).status(), ErrorReason::kBadField));
}

}  // namespace
}  // namespace pulseboard

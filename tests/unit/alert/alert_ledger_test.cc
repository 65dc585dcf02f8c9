#include "server/alert/alert_ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "common/base/errors.h"
#include "tests/support/memory_table.h"

namespace pulseboard {
namespace {

using testing::MemoryTable;

constexpr int64_t kStart = 1'800'000'000 * kNanosPerSecond;
constexpr TenantId kOther = 7;

class AlertLedgerTest : public ::testing::Test {
 protected:
  AlertLedgerTest() { Open(); }
  void Open() {
    ledger_ = std::make_unique<AlertLedger>(table_, clock_, options_);
    const auto progress = ledger_->Load();
    ASSERT_TRUE(progress.ok()) << progress.status();
    progress_ = *progress;
  }
  // Some transitions of random alerts, a second after each other; kept in `all_` too.
  void Fill(int count) {
    for (int i = 0; i < count; ++i) {
      AlertTransition t;
      t.tenant = random_() % 4 == 0 ? kOther : kDefaultTenant;
      t.rule_id = "rule_" + std::to_string(random_() % 3);  // rule_1 is the beginning of no other
      t.rule_name = "busy";
      t.rule_revision = 2;
      t.series = {"cpu", {{"host", std::string(1, static_cast<char>('a' + random_() % 3))}}};
      t.from = static_cast<AlertState>(1 + random_() % 5);
      t.to = static_cast<AlertState>(1 + random_() % 5);
      t.from_severity = static_cast<AlertSeverity>(random_() % 3);
      t.severity = static_cast<AlertSeverity>(random_() % 3);
      t.cause = static_cast<AlertCause>(1 + random_() % 4);
      t.value = static_cast<double>(i);
      t.time_unix_nanos = clock_.NowUnixNanos();
      t.since_unix_nanos = t.time_unix_nanos - 5;
      t.sample_unix_nanos = t.time_unix_nanos - 3;
      t.committed_unix_nanos = t.time_unix_nanos - 1;
      std::vector<AlertTransition> one = {t};
      ASSERT_TRUE(ledger_->Append(&one, {}, {.alert_time = 1, .epoch = 2, .commit_sequence = i}).ok());
      all_.push_back(one[0]);
      clock_.Advance(kNanosPerSecond);
    }
  }
  std::vector<AlertTransition> ListAll(TenantId tenant, LedgerRequest request) {
    std::vector<AlertTransition> out;
    do {
      const auto page = ledger_->List(tenant, request);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      EXPECT_LE(page->transitions.size(), static_cast<size_t>(request.page_size));
      out.insert(out.end(), page->transitions.begin(), page->transitions.end());
      request.page_token = page->next_page_token;
    } while (!request.page_token.empty());
    return out;
  }

  ManualClock clock_{kStart};
  MemoryTable table_;
  AlertLedgerOptions options_;
  std::unique_ptr<AlertLedger> ledger_;
  std::optional<alert_rows::Progress> progress_;
  std::vector<AlertTransition> all_;
  std::mt19937_64 random_{11};
};

TEST_F(AlertLedgerTest, ListsWhatALoopOverAllTransitionsFindsNewestFirst) {
  options_.max_scanned = 40;  // pages end early, too
  Open();
  Fill(300);
  for (int run = 0; run < 300; ++run) {
    const TenantId tenant = run % 3 == 0 ? kOther : kDefaultTenant;
    LedgerRequest request;
    request.page_size = static_cast<int32_t>(1 + random_() % 50);
    request.filter_text = std::to_string(run);
    LedgerFilter& filter = request.filter;
    if (random_() % 2 == 0) filter.rule_id = "rule_" + std::to_string(random_() % 4);
    if (random_() % 2 == 0) filter.series = *Selector::Parse("cpu{host=\"a\"}");
    if (random_() % 2 == 0) filter.to = {AlertState::kFiring, AlertState::kOk};
    filter.min_severity = static_cast<AlertSeverity>(random_() % 3);
    if (random_() % 2 == 0) request.range.start = kStart + static_cast<int64_t>(random_() % 310) * kNanosPerSecond;
    if (random_() % 2 == 0) request.range.end = kStart + static_cast<int64_t>(random_() % 310) * kNanosPerSecond;
    std::vector<AlertTransition> expected;
    for (const AlertTransition& t : all_) {
      const bool fits = t.time_unix_nanos >= request.range.start && t.time_unix_nanos < request.range.end;
      if (t.tenant == tenant && fits && filter.Matches(t)) expected.push_back(t);
    }
    std::reverse(expected.begin(), expected.end());
    ASSERT_EQ(ListAll(tenant, request), expected) << run;
  }
}

TEST_F(AlertLedgerTest, IsReadOnInOrderOverARestart) {
  Fill(50);
  std::vector<AlertTransition> got;
  int64_t position = 0;
  for (bool more = true; more || position < ledger_->last_sequence();) {
    const auto some = ledger_->ReadAfter(kOther, {}, 3, &position, &more);
    ASSERT_TRUE(some.ok()) << some.status();
    got.insert(got.end(), some->begin(), some->end());
    if (got.size() < 7) Open();
  }
  std::vector<AlertTransition> expected;
  std::copy_if(all_.begin(), all_.end(), std::back_inserter(expected),
               [](const AlertTransition& t) { return t.tenant == kOther; });
  EXPECT_EQ(got, expected);
  Open();
  EXPECT_EQ(ledger_->last_sequence(), 50);
  EXPECT_EQ(progress_->commit_sequence, 49);
  bool more = true;
  position = 0;
  EXPECT_EQ(ledger_->ReadAfter(std::nullopt, {}, 1'000, &position, &more)->size(), 50U);
  EXPECT_FALSE(more);
}

TEST_F(AlertLedgerTest, GivesNoSequenceTwiceWhenTheDiskRefuses) {
  Fill(3);
  table_.FailWrites(absl::InternalError("disk"));
  std::vector<AlertTransition> one = {all_[0]};
  EXPECT_FALSE(ledger_->Append(&one, {}, {}).ok());
  EXPECT_EQ(ledger_->last_sequence(), 3);
  table_.FailWrites(absl::OkStatus());
  ASSERT_TRUE(ledger_->Append(&one, {}, {}).ok());
  EXPECT_EQ(one[0].sequence, 4);
}

TEST_F(AlertLedgerTest, DropsWhatRetentionDoesNotKeepWithAllItsRows) {
  Fill(60);
  const size_t rows = table_.size();
  ledger_->SetRetention(20 * kNanosPerSecond);
  ASSERT_TRUE(ledger_->Sweep().ok());
  const auto kept = ListAll(kDefaultTenant, {.filter = {}, .filter_text = "", .page_size = 100}).size() +
                    ListAll(kOther, {.filter = {}, .filter_text = "", .page_size = 100}).size();
  EXPECT_EQ(kept, 20U);
  EXPECT_EQ(table_.size(), rows - 3 * 40);
  EXPECT_TRUE(
      ListAll(kDefaultTenant,
              {.filter = {}, .filter_text = "", .range = {kStart, kStart + 10 * kNanosPerSecond}, .page_size = 10})
          .empty());
  Open();
  EXPECT_EQ(ledger_->last_sequence(), 60);
}

TEST_F(AlertLedgerTest, RefusesTokensOfAnotherList) {
  Fill(20);
  const LedgerPage page = *ledger_->List(kDefaultTenant, {.filter = {}, .filter_text = "a", .page_size = 2});
  ASSERT_FALSE(page.next_page_token.empty());
  for (const LedgerRequest& other :
       {LedgerRequest{.filter = {}, .filter_text = "b", .page_size = 2, .page_token = page.next_page_token},
        LedgerRequest{.filter = {}, .filter_text = "a", .range = {1, 2}, .page_token = page.next_page_token}}) {
    EXPECT_TRUE(HasReason(ledger_->List(kDefaultTenant, other).status(), ErrorReason::kBadPageToken));
  }
  EXPECT_TRUE(HasReason(
      ledger_->List(kOther, {.filter = {}, .filter_text = "a", .page_size = 2, .page_token = page.next_page_token})
          .status(),
      ErrorReason::kBadPageToken));
}

}  // namespace
}  // namespace pulseboard

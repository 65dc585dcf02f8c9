#include "server/alert/rule_book.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "tests/support/memory_table.h"

namespace pulseboard {
namespace {

using testing::MemoryTable;

AlertRule Named(const std::string& name) {
  AlertRule rule;
  rule.name = name;
  rule.condition.selector = "cpu";
  rule.condition.comparison = AlertComparison::kAbove;
  rule.condition.critical = AlertBounds{.high = 90};
  return rule;
}

class RuleBookTest : public ::testing::Test {
 protected:
  RuleBookTest() { Open(); }
  void Open() {
    book_.reset();
    auto opened = RuleBook::Open(table_, clock_, 3);
    ASSERT_TRUE(opened.ok()) << opened.status();
    book_ = *std::move(opened);
  }

  MemoryTable table_;
  ManualClock clock_{1'000};
  std::unique_ptr<RuleBook> book_;
};

TEST_F(RuleBookTest, KeepsRulesOverARestart) {
  const RulePtr made = *book_->Create(kDefaultTenant, Named("a"), "anna");
  EXPECT_EQ(made->revision, 1);
  EXPECT_EQ(made->changed_by, "anna");
  Open();
  EXPECT_EQ(**book_->Get(kDefaultTenant, made->id), *made);
  EXPECT_TRUE(HasReason(book_->Get(kSystemTenant, made->id).status(), ErrorReason::kRuleNotFound));
}

TEST_F(RuleBookTest, LetsOnlyOneOfTwoChangesToARevisionIn) {
  const RulePtr made = *book_->Create(kDefaultTenant, Named("a"), "anna");
  AlertRule first = *made;
  first.name = "b";
  AlertRule second = *made;
  second.condition.critical->high = 99;
  ASSERT_TRUE(book_->Update(kDefaultTenant, first, "ben").ok());
  EXPECT_TRUE(HasReason(book_->Update(kDefaultTenant, second, "cleo").status(), ErrorReason::kRevisionMismatch));
  EXPECT_TRUE(HasReason(book_->Delete(kDefaultTenant, made->id, 1), ErrorReason::kRevisionMismatch));
  EXPECT_EQ((*book_->Get(kDefaultTenant, made->id))->name, "b");
  EXPECT_EQ((*book_->Get(kDefaultTenant, made->id))->judged_since_revision, 1);
  second.revision = 2;
  EXPECT_EQ((*book_->Update(kDefaultTenant, second, "cleo"))->judged_since_revision, 3);
  EXPECT_TRUE(book_->Delete(kDefaultTenant, made->id, 3).ok());
  Open();
  EXPECT_TRUE(book_->All().empty());
}

TEST_F(RuleBookTest, HoldsNoMoreRulesThanItMayAndListsThemByPage) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(book_->Create(kDefaultTenant, Named("a"), "anna").ok());
  EXPECT_TRUE(HasReason(book_->Create(kSystemTenant, Named("a"), "anna").status(), ErrorReason::kTooManyRules));
  const RulePage first = *book_->List(kDefaultTenant, 2, "");
  ASSERT_EQ(first.rules.size(), 2U);
  const RulePage second = *book_->List(kDefaultTenant, 2, first.next_page_token);
  EXPECT_EQ(second.rules.size(), 1U);
  EXPECT_TRUE(second.next_page_token.empty());
  EXPECT_TRUE(book_->List(kSystemTenant, 2, "")->rules.empty());
  EXPECT_TRUE(HasReason(book_->List(kSystemTenant, 2, first.next_page_token).status(), ErrorReason::kBadPageToken));
}

TEST_F(RuleBookTest, TellsOfEachChangeAndChangesNothingWhenTheDiskRefuses) {
  int told = 0;
  book_->SetOnChange([&] { ++told; });
  const RulePtr made = *book_->Create(kDefaultTenant, Named("a"), "anna");
  EXPECT_EQ(told, 1);
  table_.FailWrites(absl::InternalError("disk"));
  AlertRule changed = *made;
  changed.name = "b";
  EXPECT_FALSE(book_->Update(kDefaultTenant, changed, "ben").ok());
  EXPECT_FALSE(book_->Delete(kDefaultTenant, made->id, 0).ok());
  EXPECT_EQ(told, 1);
  EXPECT_EQ(*book_->All().begin()->second, *made);
}

}  // namespace
}  // namespace pulseboard

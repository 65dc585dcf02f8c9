#include "client-qt/net/error_texts.h"

#include <gtest/gtest.h>

#include <set>

#include "common/base/errors.h"

namespace pulseboard::qt {
namespace {

TEST(ErrorTexts, SayEveryReasonOfTheServerOnce) {
  std::set<std::string> reasons;
  for (const ErrorText& text : errorTexts()) {
    EXPECT_TRUE(reasons.insert(text.reason).second) << text.reason;
    EXPECT_GT(std::string(text.title).size(), 5u) << text.reason;
    EXPECT_GT(std::string(text.detail).size(), 10u) << text.reason;
    EXPECT_NE(std::string(text.title).back(), '.') << text.reason;
  }
  for (const ErrorReasonInfo& info : AllErrorReasons()) {
    EXPECT_TRUE(reasons.contains(std::string(info.name))) << info.name << " has no text for people";
  }
}

TEST(ErrorTexts, NameTheServer) {
  const UserError error = userError(absl::UnavailableError("connection refused"), "db-1:7443");
  EXPECT_EQ(error.title, "Server not reachable");
  EXPECT_TRUE(error.detail.contains("db-1:7443"));
  EXPECT_EQ(error.reason, "UNREACHABLE");
  EXPECT_FALSE(error.detail.contains("connection refused")) << "jargon";
}

TEST(ErrorTexts, NeverTellWhetherTheUserExists) {
  const UserError error = userError(MakeError(ErrorReason::kBadCredentials, "x"), "s:1");
  EXPECT_EQ(error.title, "User name or password is wrong");
}

TEST(ErrorTexts, PassOnWhatIsWrongWithASelectorAndWhenToTryAgain) {
  const UserError selector = userError(MakeError(ErrorReason::kBadSelector, "column 7: missing }"), "s:1");
  EXPECT_TRUE(selector.detail.contains("column 7"));
  const UserError busy = userError(WithRetryAfterMs(MakeError(ErrorReason::kLoginBusy, "busy"), 3'500), "s:1");
  EXPECT_TRUE(busy.detail.contains("4 s")) << busy.detail.toStdString();
}

TEST(ErrorTexts, FallBackToTheCode) {
  EXPECT_EQ(userError(absl::DeadlineExceededError(""), "s:1").reason, "TIMEOUT");
  EXPECT_EQ(userError(absl::UnauthenticatedError(""), "s:1").title, "You were logged out");
  EXPECT_EQ(userError("NO_SUCH_REASON", "s:1").title, "The server made a mistake");
}

}  // namespace
}  // namespace pulseboard::qt

#include "server/identity/session_registry.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "common/base/errors.h"
#include "tests/support/identity_world.h"

namespace pulseboard {
namespace {

using testing::IdentityWorld;
using testing::kTestStart;

constexpr int64_t kMinute = 60 * kNanosPerSecond;

class SessionRegistryTest : public ::testing::Test {
 protected:
  explicit SessionRegistryTest(SessionOptions options = {}) : world_(options) {
    NewUser ada;
    ada.tenant = kDefaultTenant;
    ada.user_name = "ada";
    ada.role = Role::kEditor;
    ada_ = world_.users->Create(ada).value();
    NewUser bob = ada;
    bob.user_name = "bob";
    bob_ = world_.users->Create(bob).value();
  }
  SessionTokens Start() { return world_.sessions->Create(*world_.users->Find(ada_->user_id)).value(); }
  bool Good(const std::string& access_token) { return world_.sessions->Authenticate(access_token).ok(); }
  ErrorReason Refusal(const std::string& access_token) {
    return GetErrorDetail(world_.sessions->Authenticate(access_token).status())->reason;
  }
  ErrorReason RefreshRefusal(const std::string& refresh_token) {
    return GetErrorDetail(world_.sessions->Refresh(refresh_token).status())->reason;
  }

  IdentityWorld world_;
  UserPtr ada_;
  UserPtr bob_;
};

TEST_F(SessionRegistryTest, SaysWhoATokenBelongsTo) {
  const SessionTokens tokens = Start();
  const Principal who = world_.sessions->Authenticate(tokens.access_token).value();
  EXPECT_EQ(who.user_id, ada_->user_id);
  EXPECT_EQ(who.user_name, "ada");
  EXPECT_EQ(who.tenant, kDefaultTenant);
  EXPECT_EQ(who.tenant_name, "default");
  EXPECT_EQ(who.role, Role::kEditor);
  EXPECT_EQ(who.expire_unix_nanos, kTestStart + 15 * kMinute);
  EXPECT_EQ(tokens.access_expire_unix_nanos, who.expire_unix_nanos);
  EXPECT_EQ(tokens.refresh_expire_unix_nanos, kTestStart + 30 * kNanosPerDay);
}

TEST_F(SessionRegistryTest, RefusesForgedAndForeignTokens) {
  const SessionTokens tokens = Start();
  std::string flipped = tokens.access_token;
  flipped[10] = flipped[10] == 'A' ? 'B' : 'A';
  for (const std::string& token :
       {std::string(), std::string("pba_"), std::string("x"), flipped, tokens.access_token + "A", tokens.refresh_token,
        "pbr_" + tokens.access_token.substr(4), tokens.access_token.substr(4), std::string(100'000, 'A')}) {
    EXPECT_EQ(Refusal(token), ErrorReason::kTokenInvalid) << token.substr(0, 80);
    EXPECT_EQ(RefreshRefusal(token == tokens.refresh_token ? "" : token), ErrorReason::kTokenInvalid);
  }
  EXPECT_TRUE(Good(tokens.access_token));
}

TEST_F(SessionRegistryTest, StoresNoTokens) {
  const SessionTokens tokens = Start();
  const std::string stored = world_.session_table.Dump();
  EXPECT_EQ(stored.find(tokens.access_token.substr(4)), std::string::npos);
  EXPECT_EQ(stored.find(tokens.refresh_token.substr(4, 20)), std::string::npos);
}

TEST_F(SessionRegistryTest, LetsAccessTokensExpire) {
  const SessionTokens tokens = Start();
  world_.clock.Advance(15 * kMinute - 1);
  EXPECT_TRUE(Good(tokens.access_token));
  world_.clock.Advance(1);
  EXPECT_EQ(Refusal(tokens.access_token), ErrorReason::kTokenExpired);
  const auto renewal = world_.sessions->Refresh(tokens.refresh_token);
  ASSERT_TRUE(renewal.ok());
  EXPECT_TRUE(Good(renewal->tokens.access_token));
  EXPECT_EQ(renewal->user->user_name, "ada");
}

TEST_F(SessionRegistryTest, KeepsTheAccessTokenBeforeARenewalUntilItsOwnEnd) {
  const SessionTokens first = Start();
  world_.clock.Advance(kMinute);
  const SessionTokens second = world_.sessions->Refresh(first.refresh_token)->tokens;
  EXPECT_TRUE(Good(first.access_token));
  EXPECT_TRUE(Good(second.access_token));
  const SessionTokens third = world_.sessions->Refresh(second.refresh_token)->tokens;
  EXPECT_EQ(Refusal(first.access_token), ErrorReason::kTokenInvalid);
  EXPECT_TRUE(Good(second.access_token));
  EXPECT_TRUE(Good(third.access_token));
}

TEST_F(SessionRegistryTest, EndsTheSessionWhenARefreshTokenIsUsedTwice) {
  const SessionTokens first = Start();
  const SessionTokens bystander = Start();
  SessionTokens last = first;
  for (int i = 0; i < 5; ++i) last = world_.sessions->Refresh(last.refresh_token)->tokens;
  EXPECT_TRUE(Good(last.access_token));
  EXPECT_EQ(RefreshRefusal(first.refresh_token), ErrorReason::kTokenInvalid) << "spent long ago";
  EXPECT_EQ(Refusal(last.access_token), ErrorReason::kTokenInvalid);
  EXPECT_EQ(RefreshRefusal(last.refresh_token), ErrorReason::kTokenInvalid);
  EXPECT_TRUE(Good(bystander.access_token));
  EXPECT_EQ(world_.session_table.size(), 1u);
}

TEST_F(SessionRegistryTest, SpendsARefreshTokenOnceHoweverManyAskAtOnce) {
  const SessionTokens tokens = Start();
  std::atomic<int> renewed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      if (world_.sessions->Refresh(tokens.refresh_token).ok()) ++renewed;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(renewed, 1);
  EXPECT_EQ(world_.sessions->size(), 0) << "the second use ended the session";
}

TEST_F(SessionRegistryTest, SurvivesRestarts) {
  const SessionTokens first = Start();
  const SessionTokens second = world_.sessions->Refresh(first.refresh_token)->tokens;
  const SessionTokens ended = Start();
  ASSERT_TRUE(world_.sessions->End(world_.sessions->Authenticate(ended.access_token)->session_id).ok());
  world_.Restart();
  EXPECT_TRUE(Good(first.access_token));
  EXPECT_TRUE(Good(second.access_token));
  EXPECT_EQ(Refusal(ended.access_token), ErrorReason::kTokenInvalid);
  const auto third = world_.sessions->Refresh(second.refresh_token);
  ASSERT_TRUE(third.ok());
  world_.Restart();
  EXPECT_EQ(RefreshRefusal(second.refresh_token), ErrorReason::kTokenInvalid) << "spent before the restart";
  EXPECT_EQ(Refusal(third->tokens.access_token), ErrorReason::kTokenInvalid);
}

TEST_F(SessionRegistryTest, DropsDamagedRecordsInsteadOfRefusingToStart) {
  const SessionTokens tokens = Start();
  ASSERT_TRUE(world_.session_table.Put("ses_broken", "garbage").ok());
  world_.Restart();
  EXPECT_TRUE(Good(tokens.access_token));
  EXPECT_EQ(world_.session_table.size(), 1u);
}

TEST_F(SessionRegistryTest, TakesRoleChangesAtOnce) {
  const SessionTokens tokens = Start();
  ASSERT_TRUE(world_.users->SetRole(kDefaultTenant, ada_->user_id, Role::kViewer).ok());
  EXPECT_EQ(world_.sessions->Authenticate(tokens.access_token)->role, Role::kViewer);
}

TEST_F(SessionRegistryTest, IsWorthNothingAfterDeactivationEvenAfterReactivation) {
  const SessionTokens tokens = Start();
  ASSERT_TRUE(world_.users->SetActive(kDefaultTenant, ada_->user_id, false).ok());
  EXPECT_EQ(Refusal(tokens.access_token), ErrorReason::kTokenInvalid);
  ASSERT_TRUE(world_.users->SetActive(kDefaultTenant, ada_->user_id, true).ok());
  EXPECT_EQ(Refusal(tokens.access_token), ErrorReason::kTokenInvalid);
  EXPECT_EQ(RefreshRefusal(tokens.refresh_token), ErrorReason::kTokenInvalid);
  EXPECT_TRUE(Good(Start().access_token));
}

TEST_F(SessionRegistryTest, KeepsOneSessionOverANewPassword) {
  const SessionTokens mine = Start();
  const SessionTokens other = Start();
  const SessionTokens bobs = world_.sessions->Create(*bob_).value();
  const Principal me = world_.sessions->Authenticate(mine.access_token).value();
  const UserPtr stale = world_.users->Find(ada_->user_id);
  const UserPtr changed = world_.users->SetPasswordHash(kDefaultTenant, ada_->user_id, "new").value();
  ASSERT_TRUE(world_.sessions->EndOthers(*changed, me.session_id).ok());
  EXPECT_TRUE(Good(mine.access_token));
  EXPECT_EQ(Refusal(other.access_token), ErrorReason::kTokenInvalid);
  EXPECT_TRUE(Good(bobs.access_token));
  // A login that checked the old password while it was being changed.
  const SessionTokens late = world_.sessions->Create(*stale).value();
  EXPECT_EQ(Refusal(late.access_token), ErrorReason::kTokenInvalid);
  world_.Restart();
  EXPECT_TRUE(Good(mine.access_token));
  EXPECT_TRUE(world_.sessions->Refresh(mine.refresh_token).ok());
}

TEST_F(SessionRegistryTest, EndsIdempotently) {
  const SessionTokens tokens = Start();
  const std::string id = world_.sessions->Authenticate(tokens.access_token)->session_id;
  EXPECT_TRUE(world_.sessions->End(id).ok());
  EXPECT_TRUE(world_.sessions->End(id).ok());
  EXPECT_EQ(RefreshRefusal(tokens.refresh_token), ErrorReason::kTokenInvalid);
  EXPECT_EQ(world_.sessions->size(), 0);
}

TEST_F(SessionRegistryTest, SweepsWhatHasExpired) {
  const SessionTokens old = Start();
  world_.clock.Advance(29 * kNanosPerDay);
  const SessionTokens young = Start();
  EXPECT_EQ(world_.sessions->Sweep().value(), 0);
  world_.clock.Advance(kNanosPerDay);
  EXPECT_EQ(world_.sessions->Sweep().value(), 1);
  EXPECT_EQ(world_.session_table.size(), 1u);
  EXPECT_EQ(RefreshRefusal(old.refresh_token), ErrorReason::kTokenInvalid);
  EXPECT_TRUE(world_.sessions->Refresh(young.refresh_token).ok());
}

TEST_F(SessionRegistryTest, SaysExpiredBeforeTheSweep) {
  const SessionTokens tokens = Start();
  world_.clock.Advance(30 * kNanosPerDay);
  EXPECT_EQ(RefreshRefusal(tokens.refresh_token), ErrorReason::kTokenExpired);
}

TEST_F(SessionRegistryTest, GivesNewLivesToNewTokens) {
  const SessionTokens before = Start();
  world_.sessions->SetLives(kMinute, kNanosPerDay);
  const SessionTokens after = Start();
  EXPECT_EQ(after.access_expire_unix_nanos, kTestStart + kMinute);
  EXPECT_EQ(after.refresh_expire_unix_nanos, kTestStart + kNanosPerDay);
  world_.clock.Advance(2 * kMinute);
  EXPECT_TRUE(Good(before.access_token));
  EXPECT_FALSE(Good(after.access_token));
}

TEST_F(SessionRegistryTest, KeepsTheOldTokensWhenTheTableFails) {
  const SessionTokens tokens = Start();
  world_.session_table.FailWrites(absl::DataLossError("disk"));
  EXPECT_FALSE(world_.sessions->Refresh(tokens.refresh_token).ok());
  world_.session_table.FailWrites(absl::OkStatus());
  EXPECT_TRUE(world_.sessions->Refresh(tokens.refresh_token).ok());
}

class FewSessionsTest : public SessionRegistryTest {
 protected:
  FewSessionsTest() : SessionRegistryTest({.max_sessions_per_user = 3}) {}
};

TEST_F(FewSessionsTest, EndsTheOneLongestWithoutRenewal) {
  std::vector<SessionTokens> tokens;
  for (int i = 0; i < 3; ++i) {
    tokens.push_back(Start());
    world_.clock.Advance(kNanosPerSecond);
  }
  tokens[0] = world_.sessions->Refresh(tokens[0].refresh_token)->tokens;
  world_.clock.Advance(kNanosPerSecond);
  const SessionTokens bobs = world_.sessions->Create(*bob_).value();
  tokens.push_back(Start());
  EXPECT_TRUE(Good(tokens[0].access_token));
  EXPECT_FALSE(Good(tokens[1].access_token));
  EXPECT_TRUE(Good(tokens[2].access_token));
  EXPECT_TRUE(Good(tokens[3].access_token));
  EXPECT_TRUE(Good(bobs.access_token));
  EXPECT_EQ(world_.session_table.size(), 4u);
}

TEST_F(SessionRegistryTest, AnswersWhileSessionsComeAndGo) {
  const SessionTokens steady = Start();
  std::atomic<bool> stop = false;
  std::atomic<int64_t> refused = 0;
  std::atomic<int64_t> asked = 0;
  std::thread reader([&] {
    while (!stop) {
      if (!Good(steady.access_token)) ++refused;
      ++asked;
    }
  });
  std::vector<std::thread> writers;
  for (int t = 0; t < 3; ++t) {
    writers.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        const SessionTokens tokens = world_.sessions->Create(*bob_).value();
        const auto renewed = world_.sessions->Refresh(tokens.refresh_token);
        ASSERT_TRUE(renewed.ok());
        const auto who = world_.sessions->Authenticate(renewed->tokens.access_token);
        ASSERT_TRUE(who.ok());
        ASSERT_TRUE(world_.sessions->End(who->session_id).ok());
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  while (asked == 0) std::this_thread::yield();
  stop = true;
  reader.join();
  EXPECT_EQ(refused, 0);
  EXPECT_EQ(world_.sessions->size(), 1);
}

}  // namespace
}  // namespace pulseboard

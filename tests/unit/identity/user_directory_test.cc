#include "server/identity/user_directory.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

#include "common/base/errors.h"
#include "tests/support/memory_table.h"

namespace pulseboard {
namespace {

using testing::MemoryTable;

constexpr TenantId kOther = 7;

class UserDirectoryTest : public ::testing::Test {
 protected:
  UserDirectoryTest() { Open(); }

  void Open(UserDirectoryOptions options = {}) { users_ = UserDirectory::Open(table_, clock_, options).value(); }
  absl::StatusOr<UserPtr> Add(const std::string& name, Role role = Role::kViewer, const std::string& email = "",
                              TenantId tenant = kDefaultTenant) {
    NewUser user;
    user.tenant = tenant;
    user.user_name = name;
    user.email = email;
    user.role = role;
    user.password_hash = "hash";
    return users_->Create(user);
  }
  std::vector<std::string> Names(const UserQuery& query) {
    std::vector<std::string> names;
    const UserPage page = users_->List(kDefaultTenant, query).value();
    for (const UserPtr& user : page.users) names.push_back(user->user_name);
    return names;
  }

  MemoryTable table_;
  ManualClock clock_{1000};
  std::unique_ptr<UserDirectory> users_;
};
using Strings = std::vector<std::string>;

TEST_F(UserDirectoryTest, FindsByNameAndEmailWithoutRegardToCase) {
  const UserPtr ada = Add("Ada", Role::kEditor, "Ada@Example.org").value();
  for (const char* login : {"Ada", "ada", "ADA", "ada@example.org", "ADA@EXAMPLE.ORG"}) {
    ASSERT_NE(users_->FindByLogin(kDefaultTenant, login), nullptr) << login;
    EXPECT_EQ(users_->FindByLogin(kDefaultTenant, login)->user_id, ada->user_id);
  }
  EXPECT_EQ(users_->FindByLogin(kDefaultTenant, "bob"), nullptr);
  EXPECT_EQ(users_->FindByLogin(kDefaultTenant, ""), nullptr);
  EXPECT_EQ(users_->FindByLogin(kOther, "ada"), nullptr);
  EXPECT_EQ(ada->user_name, "Ada");  // the case given is kept
}

TEST_F(UserDirectoryTest, RefusesTakenNamesAndEmails) {
  ASSERT_TRUE(Add("ada", Role::kViewer, "a@x").ok());
  const auto same_name = Add("ADA");
  ASSERT_TRUE(HasReason(same_name.status(), ErrorReason::kUserExists));
  EXPECT_EQ(GetErrorDetail(same_name.status())->metadata.at("field"), "user_name");
  const auto same_email = Add("bob", Role::kViewer, "A@X");
  ASSERT_TRUE(HasReason(same_email.status(), ErrorReason::kUserExists));
  EXPECT_EQ(GetErrorDetail(same_email.status())->metadata.at("field"), "email");
  EXPECT_TRUE(Add("ada", Role::kViewer, "a@x", kOther).ok()) << "another tenant has its own names";
  EXPECT_TRUE(Add("carl").ok());
  EXPECT_TRUE(Add("dora").ok()) << "two accounts may go without e-mail";
}

TEST_F(UserDirectoryTest, FreesAnEmailWhenItChanges) {
  const UserPtr ada = Add("ada", Role::kViewer, "a@x").value();
  const UserPtr bob = Add("bob").value();
  EXPECT_TRUE(
      HasReason(users_->UpdateProfile(kDefaultTenant, bob->user_id, {"a@x", {}}).status(), ErrorReason::kUserExists));
  ASSERT_TRUE(users_->UpdateProfile(kDefaultTenant, ada->user_id, {"new@x", {}}).ok());
  EXPECT_EQ(users_->FindByLogin(kDefaultTenant, "a@x"), nullptr);
  ASSERT_TRUE(users_->UpdateProfile(kDefaultTenant, bob->user_id, {"a@x", {}}).ok());
  EXPECT_EQ(users_->FindByLogin(kDefaultTenant, "a@x")->user_id, bob->user_id);
  EXPECT_TRUE(users_->UpdateProfile(kDefaultTenant, bob->user_id, {"A@x", "Bob"}).ok())
      << "one's own e-mail, respelled";
  ASSERT_TRUE(users_->UpdateProfile(kDefaultTenant, bob->user_id, {"", {}}).ok());
  EXPECT_EQ(users_->FindByLogin(kDefaultTenant, "a@x"), nullptr);
  EXPECT_EQ(users_->Find(bob->user_id)->display_name, "Bob");
}

TEST_F(UserDirectoryTest, KeepsEverythingOverARestart) {
  const UserPtr ada = Add("Ada", Role::kAdmin, "a@x").value();
  const UserPtr bob = Add("bob").value();
  clock_.Advance(5);
  ASSERT_TRUE(users_->SetRole(kDefaultTenant, bob->user_id, Role::kIngest).ok());
  ASSERT_TRUE(users_->SetActive(kDefaultTenant, bob->user_id, false).ok());
  ASSERT_TRUE(users_->SetPasswordHash(kDefaultTenant, ada->user_id, "new hash").ok());
  ASSERT_TRUE(users_->UpdatePreferences(kDefaultTenant, ada->user_id, {R"({"a":1})", 0}).ok());
  Open();
  EXPECT_EQ(users_->Count(kDefaultTenant), 2);
  const UserPtr again = users_->FindByLogin(kDefaultTenant, "a@x");
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->password_hash, "new hash");
  EXPECT_EQ(again->credential_version, 2);
  EXPECT_EQ(again->create_unix_nanos, 1000);
  EXPECT_EQ(again->update_unix_nanos, 1005);
  EXPECT_EQ(users_->Find(bob->user_id)->role, Role::kIngest);
  EXPECT_FALSE(users_->Find(bob->user_id)->active);
  EXPECT_EQ(users_->GetPreferences(kDefaultTenant, ada->user_id)->json, R"({"a":1})");
}

TEST_F(UserDirectoryTest, NeverLeavesATenantWithoutActiveAdmin) {
  const UserPtr admin = Add("admin", Role::kAdmin).value();
  ASSERT_TRUE(Add("foreign", Role::kAdmin, "", kOther).ok());
  for (const absl::Status& status : {users_->SetRole(kDefaultTenant, admin->user_id, Role::kEditor).status(),
                                     users_->SetActive(kDefaultTenant, admin->user_id, false).status()}) {
    EXPECT_TRUE(HasReason(status, ErrorReason::kLastAdmin));
  }
  EXPECT_TRUE(users_->SetRole(kDefaultTenant, admin->user_id, Role::kAdmin).ok());
  const UserPtr second = Add("second", Role::kAdmin).value();
  EXPECT_TRUE(users_->SetActive(kDefaultTenant, second->user_id, false).ok());
  EXPECT_TRUE(
      HasReason(users_->SetRole(kDefaultTenant, admin->user_id, Role::kViewer).status(), ErrorReason::kLastAdmin))
      << "a deactivated admin does not count";
  EXPECT_TRUE(users_->SetActive(kDefaultTenant, second->user_id, true).ok());
  EXPECT_TRUE(users_->SetRole(kDefaultTenant, admin->user_id, Role::kViewer).ok());
}

TEST_F(UserDirectoryTest, KeepsAnActiveAdminWhenAllResignAtOnce) {
  constexpr int kAdmins = 8;
  std::vector<std::string> ids;
  for (int i = 0; i < kAdmins; ++i) ids.push_back(Add("a" + std::to_string(i), Role::kAdmin).value()->user_id);
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (const std::string& id : ids) {
    threads.emplace_back([&, id] {
      if (!users_->SetRole(kDefaultTenant, id, Role::kViewer).ok()) ++refused;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused, 1);
}

TEST_F(UserDirectoryTest, GivesOneNameToOneOfManyThatAskAtOnce) {
  std::atomic<int> created = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      if (Add("same").ok()) ++created;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(created, 1);
  EXPECT_EQ(users_->Count(kDefaultTenant), 1);
}

TEST_F(UserDirectoryTest, HidesAccountsOfOtherTenants) {
  const UserPtr foreign = Add("f", Role::kViewer, "", kOther).value();
  for (const absl::Status& status : {users_->Get(kDefaultTenant, foreign->user_id).status(),
                                     users_->SetRole(kDefaultTenant, foreign->user_id, Role::kAdmin).status(),
                                     users_->GetPreferences(kDefaultTenant, foreign->user_id).status(),
                                     users_->Get(kDefaultTenant, "usr_nobody").status()}) {
    EXPECT_TRUE(HasReason(status, ErrorReason::kUserNotFound));
  }
  EXPECT_TRUE(Names({}).empty());
}

TEST_F(UserDirectoryTest, BoundsTheAccountsOfATenant) {
  Open({.max_users_per_tenant = 2});
  ASSERT_TRUE(Add("a").ok());
  ASSERT_TRUE(Add("b").ok());
  EXPECT_TRUE(HasReason(Add("c").status(), ErrorReason::kTooManyUsers));
  EXPECT_TRUE(Add("c", Role::kViewer, "", kOther).ok());
}

TEST_F(UserDirectoryTest, ChangesNothingWhenTheTableFails) {
  const UserPtr ada = Add("ada", Role::kViewer, "a@x").value();
  table_.FailWrites(absl::DataLossError("disk"));
  EXPECT_FALSE(Add("bob").ok());
  EXPECT_FALSE(users_->UpdateProfile(kDefaultTenant, ada->user_id, {"b@x", {}}).ok());
  EXPECT_EQ(users_->FindByLogin(kDefaultTenant, "bob"), nullptr);
  EXPECT_EQ(users_->FindByLogin(kDefaultTenant, "a@x")->user_id, ada->user_id);
  table_.FailWrites(absl::OkStatus());
  EXPECT_TRUE(Add("bob").ok());
}

TEST_F(UserDirectoryTest, RefusesToOpenADamagedTable) {
  ASSERT_TRUE(table_.Put("u\0\0\0\1usr_x", "{not json").ok());
  const auto opened = UserDirectory::Open(table_, clock_, {});
  EXPECT_TRUE(HasReason(opened.status(), ErrorReason::kBlockCorrupt));
}

TEST_F(UserDirectoryTest, ListsAscendingFilteredAndPaged) {
  for (const char* name : {"carl", "Ada", "bob", "Dora"}) ASSERT_TRUE(Add(name).ok());
  const UserPtr eve = Add("eve", Role::kIngest, "Eve@Robots.org").value();
  ASSERT_TRUE(users_->UpdateProfile(kDefaultTenant, eve->user_id, {{}, "Evelyn Machine"}).ok());
  ASSERT_TRUE(users_->SetActive(kDefaultTenant, users_->FindByLogin(kDefaultTenant, "bob")->user_id, false).ok());

  EXPECT_EQ(Names({}), (Strings{"Ada", "carl", "Dora", "eve"}));
  EXPECT_EQ(Names({.include_inactive = true}), (Strings{"Ada", "bob", "carl", "Dora", "eve"}));
  EXPECT_EQ(Names({.search = "A", .include_inactive = true}), (Strings{"Ada", "carl", "Dora", "eve"}));
  EXPECT_EQ(Names({.search = "robots"}), (Strings{"eve"}));
  EXPECT_EQ(Names({.search = "machine"}), (Strings{"eve"}));
  EXPECT_EQ(Names({.search = "zzz"}), (Strings{}));
  EXPECT_EQ(Names({.role = Role::kIngest}), (Strings{"eve"}));

  Strings all;
  UserQuery query{.include_inactive = true, .page_size = 2};
  int pages = 0;
  do {
    const UserPage page = users_->List(kDefaultTenant, query).value();
    EXPECT_LE(page.users.size(), 2u);
    for (const UserPtr& user : page.users) all.push_back(user->user_name);
    query.page_token = page.next_page_token;
    ++pages;
  } while (!query.page_token.empty());
  EXPECT_EQ(all, (Strings{"Ada", "bob", "carl", "Dora", "eve"}));
  EXPECT_EQ(pages, 3);
}

TEST_F(UserDirectoryTest, RefusesPageTokensOfOtherQuestions) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Add("u" + std::to_string(i)).ok());
  const std::string token = users_->List(kDefaultTenant, {.page_size = 2})->next_page_token;
  ASSERT_FALSE(token.empty());
  EXPECT_TRUE(users_->List(kDefaultTenant, {.page_size = 2, .page_token = token}).ok());
  for (const UserQuery& query :
       {UserQuery{.search = "u", .page_size = 2, .page_token = token},
        UserQuery{.role = Role::kAdmin, .page_size = 2, .page_token = token},
        UserQuery{.include_inactive = true, .page_size = 2, .page_token = token},
        UserQuery{.page_size = 3, .page_token = token}, UserQuery{.page_size = 2, .page_token = "x"},
        UserQuery{.page_size = 2, .page_token = token.substr(1)},
        UserQuery{.page_size = 2, .page_token = "!" + token}}) {
    EXPECT_TRUE(HasReason(users_->List(kDefaultTenant, query).status(), ErrorReason::kBadPageToken));
  }
  EXPECT_TRUE(
      HasReason(users_->List(kOther, {.page_size = 2, .page_token = token}).status(), ErrorReason::kBadPageToken));
  EXPECT_TRUE(HasReason(users_->List(kDefaultTenant, {.page_size = -1}).status(), ErrorReason::kBadField));
}

TEST_F(UserDirectoryTest, CoercesLargePages) {
  Open({.max_users_per_tenant = 2000});
  for (int i = 0; i < 1005; ++i) ASSERT_TRUE(Add("u" + std::to_string(i)).ok());
  EXPECT_EQ(Names({.page_size = 5000}).size(), 1000u);
  EXPECT_EQ(Names({}).size(), 100u);
}

TEST_F(UserDirectoryTest, GuardsPreferencesByRevision) {
  const std::string id = Add("ada").value()->user_id;
  EXPECT_EQ(users_->GetPreferences(kDefaultTenant, id)->json, "{}");
  EXPECT_EQ(users_->GetPreferences(kDefaultTenant, id)->revision, 0);
  EXPECT_EQ(users_->UpdatePreferences(kDefaultTenant, id, {"{\"a\":1}", 0}).value(), 1);
  const auto stale = users_->UpdatePreferences(kDefaultTenant, id, {"{\"b\":1}", 0});
  ASSERT_TRUE(HasReason(stale.status(), ErrorReason::kRevisionMismatch));
  EXPECT_EQ(GetErrorDetail(stale.status())->metadata.at("storedRevision"), "1");
  EXPECT_EQ(users_->UpdatePreferences(kDefaultTenant, id, {"{\"b\":1}", 1}).value(), 2);
  EXPECT_EQ(users_->GetPreferences(kDefaultTenant, id)->json, "{\"b\":1}");
}

}  // namespace
}  // namespace pulseboard

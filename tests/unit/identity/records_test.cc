#include "server/identity/records.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "server/identity/tokens.h"

namespace pulseboard {
namespace {

TEST(Records, KeepEveryMemberOfAUser) {
  const User user{"usr_1", 7, "Ada", "ada@x.org", "Ada \"L\" \\ ü", Role::kEditor, false, 1, 2, 3, "$argon2id$...", 42};
  const auto back = DecodeUser(EncodeUser(user));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(EncodeUser(*back), EncodeUser(user));
  EXPECT_EQ(back->display_name, user.display_name);
  EXPECT_EQ(back->role, Role::kEditor);
  EXPECT_FALSE(back->active);
  EXPECT_EQ(back->credential_version, 42);
}

TEST(Records, KeepEveryMemberOfASession) {
  SessionRecord session;
  session.session_id = "ses_1";
  session.user_id = "usr_1";
  session.credential_version = 3;
  session.family_hash = RandomBytes(32);
  session.refresh_hash = RandomBytes(32);
  session.refresh_expire_unix_nanos = 99;
  session.access = {{RandomBytes(32), 5}, {RandomBytes(32), 4}};
  const auto back = DecodeSession(EncodeSession(session));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->family_hash, session.family_hash);
  EXPECT_EQ(back->refresh_hash, session.refresh_hash);
  ASSERT_EQ(back->access.size(), 2u);
  EXPECT_EQ(back->access[1].hash, session.access[1].hash);
  EXPECT_EQ(back->access[1].expire_unix_nanos, 4);
}

// A record as the first version of this program wrote it. It must be readable for ever.
TEST(Records, ReadTheFirstFormat) {
  const auto user = DecodeUser(
      R"({"active":true,"created":1,"credentialVersion":1,"display":"Administrator","email":"","id":"usr_a",)"
      R"("lastLogin":0,"name":"admin","passwordHash":"$argon2id$x","role":1,"tenant":1,"updated":1,"v":1})");
  ASSERT_TRUE(user.ok()) << user.status();
  EXPECT_EQ(user->user_name, "admin");
  EXPECT_EQ(user->role, Role::kAdmin);
}

TEST(Records, RefuseDamageAndTheFuture) {
  for (const char* bytes : {"", "{", "[]", "{\"v\":1}", "{\"v\":1,\"id\":\"x\"}", "\xff\xfe"}) {
    EXPECT_TRUE(HasReason(DecodeTenant(bytes).status(), ErrorReason::kBlockCorrupt)) << bytes;
    EXPECT_TRUE(HasReason(DecodeUser(bytes).status(), ErrorReason::kBlockCorrupt)) << bytes;
    EXPECT_TRUE(HasReason(DecodeSession(bytes).status(), ErrorReason::kBlockCorrupt)) << bytes;
    EXPECT_TRUE(HasReason(DecodePreferences(bytes).status(), ErrorReason::kBlockCorrupt)) << bytes;
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(DecodeTenant("{\"v\":2,\"id\":1}").status()));
}

TEST(Tokens, AreRandomAndEncodeWithoutPadding) {
  EXPECT_NE(NewId("usr_"), NewId("usr_"));
  EXPECT_EQ(NewId("usr_").size(), 4 + 22u);
  for (size_t n = 0; n < 50; ++n) {
    const std::string bytes = RandomBytes(n);
    const std::string text = EncodeBase64Url(bytes);
    EXPECT_EQ(text.find_first_of("=+/"), std::string::npos);
    EXPECT_EQ(DecodeBase64Url(text), bytes);
  }
  EXPECT_EQ(DecodeBase64Url("ab c"), std::nullopt);
  EXPECT_EQ(DecodeBase64Url("AAA="), std::nullopt);
  EXPECT_EQ(NewReadablePassword().size(), 27u);
  EXPECT_TRUE(EqualSecrets("abc", "abc"));
  EXPECT_FALSE(EqualSecrets("abc", "abd"));
  EXPECT_FALSE(EqualSecrets("abc", "ab"));
}

}  // namespace
}  // namespace pulseboard

#include "server/identity/user_rules.h"

#include <gtest/gtest.h>

namespace pulseboard {
namespace {

template <typename Check>
bool Accepts(const Check& check) {
  FieldCheck fields;
  check(&fields);
  return fields.Result().ok();
}

TEST(FieldCheck, KnowsUserNames) {
  const auto ok = [](std::string_view v) { return Accepts([&](FieldCheck* c) { c->UserName("f", v); }); };
  for (const char* name : {"a", "9lives", "Ada.Lovelace_1-x", "a..b"}) EXPECT_TRUE(ok(name)) << name;
  EXPECT_TRUE(ok(std::string(64, 'x')));
  for (const char* name : {"", ".a", "-a", "_a", "a b", "a@b", "ä", "a\n", "a/b"}) EXPECT_FALSE(ok(name)) << name;
  EXPECT_FALSE(ok(std::string(65, 'x')));
  EXPECT_FALSE(ok(std::string_view("a\0b", 3)));
}

TEST(FieldCheck, KnowsEmails) {
  const auto ok = [](std::string_view v) { return Accepts([&](FieldCheck* c) { c->Email("f", v); }); };
  for (const char* email : {"", "a@b", "ada+x@example.org", "jürgen@exämple.de"}) EXPECT_TRUE(ok(email)) << email;
  for (const char* email : {"a", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "a@\xff"}) EXPECT_FALSE(ok(email)) << email;
  EXPECT_TRUE(ok(std::string(250, 'x') + "@b.c"));
  EXPECT_FALSE(ok(std::string(251, 'x') + "@b.c"));
}

TEST(FieldCheck, KnowsDisplayNames) {
  const auto ok = [](std::string_view v) { return Accepts([&](FieldCheck* c) { c->DisplayName("f", v); }); };
  EXPECT_TRUE(ok(""));
  EXPECT_TRUE(ok("Ada, Gräfin von 🦋"));
  EXPECT_TRUE(ok(std::string(128, 'x')));
  EXPECT_FALSE(ok(std::string(129, 'x')));
  EXPECT_FALSE(ok("two\nlines"));
  EXPECT_FALSE(ok("\xc3"));
}

TEST(FieldCheck, CountsPasswordsInBytesAndNeverRepeatsThem) {
  const auto status = [](std::string_view v) {
    FieldCheck check;
    check.NewPassword("password", v);
    return check.Result();
  };
  EXPECT_TRUE(status("0123456789").ok());
  EXPECT_TRUE(status("ééééé").ok());  // 10 bytes
  EXPECT_TRUE(status(std::string_view("\0\0\0\0\0\0\0\0\0\0", 10)).ok());
  EXPECT_TRUE(status(std::string(1024, 'x')).ok());
  EXPECT_FALSE(status(std::string(1025, 'x')).ok());
  const absl::Status too_short = status("hunter2");
  EXPECT_EQ(StatusMessage(too_short), "password: got 7 bytes; 10 to 1024 bytes would be accepted");
}

TEST(FieldCheck, NamesAllWrongFieldsAtOnce) {
  FieldCheck check;
  check.UserName("user_name", "");
  check.Email("email", "nobody");
  check.AnyRole("role", Role::kUnspecified);
  const auto detail = GetErrorDetail(check.Result());
  ASSERT_TRUE(detail);
  EXPECT_EQ(detail->reason, ErrorReason::kBadField);
  ASSERT_EQ(detail->field_violations.size(), 3u);
  EXPECT_EQ(detail->field_violations[1].field, "email");
}

TEST(FoldCase, FoldsAsciiOnly) { EXPECT_EQ(FoldCase("AdA@ÄZ"), "ada@Äz"); }

}  // namespace
}  // namespace pulseboard

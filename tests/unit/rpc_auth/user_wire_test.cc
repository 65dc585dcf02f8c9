#include "server/rpc/user_wire.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "server/identity/user_rules.h"

namespace pulseboard {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

TEST(UserWire, KeepsTimesOnBothSidesOfTheEpoch) {
  for (const auto& [unix_nanos, seconds, nanos] : {std::tuple{int64_t{0}, int64_t{0}, 0},
                                                   {int64_t{1'500'000'001}, int64_t{1}, 500'000'001},
                                                   {int64_t{-1}, int64_t{-1}, 999'999'999},
                                                   {-2 * kNanosPerSecond, int64_t{-2}, 0}}) {
    google::protobuf::Timestamp time;
    ToProto(unix_nanos, &time);
    EXPECT_EQ(time.seconds(), seconds);
    EXPECT_EQ(time.nanos(), nanos);
  }
}

TEST(UserWire, LeavesOutSecrets) {
  User user;
  user.user_name = "ada";
  user.password_hash = "$argon2id$secret";
  v1::User out;
  ToProto(user, "default", &out);
  EXPECT_EQ(out.SerializeAsString().find("argon2id"), std::string::npos);
  EXPECT_FALSE(out.has_last_login_time());
}

// `levels` objects inside one another.
Struct Nested(int levels) {
  Struct out;
  if (levels > 1) *(*out.mutable_fields())["a"].mutable_struct_value() = Nested(levels - 1);
  return out;
}

TEST(Preferences, MayBe32LevelsDeep) {
  EXPECT_TRUE(PreferencesToJson(Nested(kMaxPreferencesDepth)).ok());
  const auto deeper = PreferencesToJson(Nested(kMaxPreferencesDepth + 1));
  EXPECT_TRUE(HasReason(deeper.status(), ErrorReason::kBadField));

  Struct list;
  Value* value = &(*list.mutable_fields())["a"];
  for (int i = 1; i < kMaxPreferencesDepth; ++i) value = value->mutable_list_value()->add_values();
  value->set_bool_value(true);
  EXPECT_TRUE(PreferencesToJson(list).ok());
  value->mutable_list_value()->add_values()->set_bool_value(true);
  EXPECT_TRUE(HasReason(PreferencesToJson(list).status(), ErrorReason::kBadField));
}

TEST(Preferences, MustBeFiniteAndHaveAKind) {
  for (const double number : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                              -std::numeric_limits<double>::infinity()}) {
    Struct preferences;
    (*preferences.mutable_fields())["list"].mutable_list_value()->add_values()->set_number_value(number);
    const auto json = PreferencesToJson(preferences);
    ASSERT_TRUE(HasReason(json.status(), ErrorReason::kBadField));
    EXPECT_EQ(GetErrorDetail(json.status())->field_violations[0].field, "preferences.list[0]");
  }
  Struct preferences;
  (*preferences.mutable_fields())["empty"];
  EXPECT_TRUE(HasReason(PreferencesToJson(preferences).status(), ErrorReason::kBadField));
}

TEST(Preferences, MayFill64KiBOfJson) {
  const auto with_bytes = [](size_t bytes) {
    Struct preferences;
    (*preferences.mutable_fields())["k"].set_string_value(std::string(bytes - 8, 'x'));  // {"k":""} is 8 bytes
    return PreferencesToJson(preferences);
  };
  ASSERT_TRUE(with_bytes(kMaxPreferencesBytes).ok());
  EXPECT_EQ(with_bytes(kMaxPreferencesBytes)->size(), kMaxPreferencesBytes);
  EXPECT_TRUE(HasReason(with_bytes(kMaxPreferencesBytes + 1).status(), ErrorReason::kBadField));
}

TEST(Preferences, KeepNumbersExactly) {
  Struct preferences;
  (*preferences.mutable_fields())["tiny"].set_number_value(5e-324);
  (*preferences.mutable_fields())["third"].set_number_value(1.0 / 3);
  (*preferences.mutable_fields())["large"].set_number_value(9007199254740993.0);
  Struct back;
  ASSERT_TRUE(JsonToPreferences(PreferencesToJson(preferences).value(), &back).ok());
  for (const auto& [key, value] : preferences.fields()) {
    EXPECT_EQ(back.fields().at(key).number_value(), value.number_value()) << key;
  }
  EXPECT_TRUE(HasReason(JsonToPreferences("not json", &back), ErrorReason::kBlockCorrupt));
}

}  // namespace
}  // namespace pulseboard

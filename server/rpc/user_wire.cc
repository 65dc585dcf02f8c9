#include "server/rpc/user_wire.h"

#include <google/protobuf/util/json_util.h>

#include <cmath>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "server/identity/user_rules.h"

namespace pulseboard {
namespace {

using google::protobuf::ListValue;
using google::protobuf::Struct;
using google::protobuf::Value;

absl::Status CheckStruct(const Struct& object, const std::string& path, int depth);

absl::Status CheckValue(const Value& value, const std::string& path, int depth) {
  switch (value.kind_case()) {
    case Value::kNumberValue:
      if (!std::isfinite(value.number_value())) {
        return BadField(path, std::to_string(value.number_value()), "a finite number");
      }
      return absl::OkStatus();
    case Value::kStructValue:
      return CheckStruct(value.struct_value(), path, depth + 1);
    case Value::kListValue: {
      if (depth + 1 > kMaxPreferencesDepth) return BadField(path, "a deeper level", "at most 32 levels");
      int i = 0;
      for (const Value& element : value.list_value().values()) {
        PB_RETURN_IF_ERROR(CheckValue(element, path + "[" + std::to_string(i++) + "]", depth + 1));
      }
      return absl::OkStatus();
    }
    case Value::KIND_NOT_SET:
      return BadField(path, "a value without kind", "null, a number, a string, true, false, an object or a list");
    default:
      return absl::OkStatus();
  }
}

absl::Status CheckStruct(const Struct& object, const std::string& path, int depth) {
  if (depth > kMaxPreferencesDepth) return BadField(path, "a deeper level", "at most 32 levels");
  for (const auto& [key, value] : object.fields()) {
    PB_RETURN_IF_ERROR(CheckValue(value, path + "." + Printable(key), depth));
  }
  return absl::OkStatus();
}

}  // namespace

void ToProto(int64_t unix_nanos, google::protobuf::Timestamp* out) {
  // Nanos must not be negative, so times before 1970 round down to the second.
  int64_t seconds = unix_nanos / kNanosPerSecond;
  int64_t nanos = unix_nanos % kNanosPerSecond;
  if (nanos < 0) {
    nanos += kNanosPerSecond;
    --seconds;
  }
  out->set_seconds(seconds);
  out->set_nanos(static_cast<int32_t>(nanos));
}

void ToProto(const User& user, std::string_view tenant_name, v1::User* out) {
  out->set_user_id(user.user_id);
  out->set_user_name(user.user_name);
  out->set_email(user.email);
  out->set_display_name(user.display_name);
  out->set_role(ToProto(user.role));
  out->set_active(user.active);
  ToProto(user.create_unix_nanos, out->mutable_create_time());
  ToProto(user.update_unix_nanos, out->mutable_update_time());
  if (user.last_login_unix_nanos != 0) ToProto(user.last_login_unix_nanos, out->mutable_last_login_time());
  out->set_tenant(std::string(tenant_name));
}

// Both enums have the same numbers, and both are persisted or public: they stay so.
static_assert(static_cast<int>(Role::kAdmin) == v1::ROLE_ADMIN && static_cast<int>(Role::kEditor) == v1::ROLE_EDITOR &&
              static_cast<int>(Role::kViewer) == v1::ROLE_VIEWER && static_cast<int>(Role::kIngest) == v1::ROLE_INGEST);

v1::Role ToProto(Role role) { return static_cast<v1::Role>(role); }

Role FromProto(v1::Role role) {
  // 255 stands for all numbers that do not fit.
  return role < 0 || role > 255 ? static_cast<Role>(255) : static_cast<Role>(role);
}

absl::StatusOr<std::string> PreferencesToJson(const Struct& preferences) {
  PB_RETURN_IF_ERROR(CheckStruct(preferences, "preferences", 1));
  std::string json;
  if (const auto status = google::protobuf::util::MessageToJsonString(preferences, &json); !status.ok()) {
    return BadField("preferences", status.ToString(), "a JSON object");
  }
  if (json.size() > kMaxPreferencesBytes) {
    return BadField("preferences", std::to_string(json.size()) + " bytes as JSON", "at most 65536 bytes");
  }
  return json;
}

absl::Status JsonToPreferences(const std::string& json, Struct* out) {
  const auto status = google::protobuf::util::JsonStringToMessage(json, out);
  if (status.ok()) return absl::OkStatus();
  return MakeError(ErrorReason::kBlockCorrupt, "stored preferences are not JSON: " + status.ToString());
}

}  // namespace pulseboard

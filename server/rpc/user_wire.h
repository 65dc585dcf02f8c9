// identity's values <-> pulseboard.v1 messages.
#pragma once

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pulseboard/v1/user.pb.h"
#include "server/identity/user.h"

namespace pulseboard {

void ToProto(int64_t unix_nanos, google::protobuf::Timestamp* out);
// Leaves out everything secret.
void ToProto(const User& user, std::string_view tenant_name, v1::User* out);
v1::Role ToProto(Role role);
// An unknown number stays unknown: FieldCheck refuses it.
Role FromProto(v1::Role role);

// The JSON text of preferences. INVALID_ARGUMENT/BAD_FIELD naming the path: too deep, not finite, a value without kind,
// or longer than 64 KiB.
absl::StatusOr<std::string> PreferencesToJson(const google::protobuf::Struct& preferences);
// DATA_LOSS/BLOCK_CORRUPT for text that PreferencesToJson did not make.
absl::Status JsonToPreferences(const std::string& json, google::protobuf::Struct* out);

}  // namespace pulseboard

#include "common/base/errors.h"

#include <array>
#include <cstring>
#include <utility>

#include "absl/strings/cord.h"

namespace pulseboard {
namespace {

using absl::StatusCode;

constexpr std::array kReasons = {
    ErrorReasonInfo{ErrorReason::kBadField, "BAD_FIELD", StatusCode::kInvalidArgument, "fix the named fields"},
    ErrorReasonInfo{ErrorReason::kBadSelector, "BAD_SELECTOR", StatusCode::kInvalidArgument,
                    "fix the selector at the named column"},
    ErrorReasonInfo{ErrorReason::kBadExpression, "BAD_EXPRESSION", StatusCode::kInvalidArgument,
                    "fix the expression at the named column"},
    ErrorReasonInfo{ErrorReason::kBadPageToken, "BAD_PAGE_TOKEN", StatusCode::kInvalidArgument,
                    "start again from the first page"},
    ErrorReasonInfo{ErrorReason::kBadResumeToken, "BAD_RESUME_TOKEN", StatusCode::kInvalidArgument,
                    "subscribe anew without token"},
    ErrorReasonInfo{ErrorReason::kBadSequence, "BAD_SEQUENCE", StatusCode::kInvalidArgument,
                    "number batches upwards, one stream per producer"},
    ErrorReasonInfo{ErrorReason::kUserNotFound, "USER_NOT_FOUND", StatusCode::kNotFound, "check the user_id"},
    ErrorReasonInfo{ErrorReason::kUserExists, "USER_EXISTS", StatusCode::kAlreadyExists,
                    "choose another name or e-mail"},
    ErrorReasonInfo{ErrorReason::kTooManyUsers, "TOO_MANY_USERS", StatusCode::kResourceExhausted,
                    "ask the operator to raise identity.max_users_per_tenant"},
    ErrorReasonInfo{ErrorReason::kRegistrationDisabled, "REGISTRATION_DISABLED", StatusCode::kFailedPrecondition,
                    "ask an administrator for an account"},
    ErrorReasonInfo{ErrorReason::kLastAdmin, "LAST_ADMIN", StatusCode::kFailedPrecondition,
                    "make somebody else ADMIN first"},
    ErrorReasonInfo{ErrorReason::kRuleNotFound, "RULE_NOT_FOUND", StatusCode::kNotFound, "list the rules"},
    ErrorReasonInfo{ErrorReason::kTooManyRules, "TOO_MANY_RULES", StatusCode::kResourceExhausted,
                    "delete rules, or ask the operator to raise alert.max_rules"},
    ErrorReasonInfo{ErrorReason::kRevisionMismatch, "REVISION_MISMATCH", StatusCode::kAborted,
                    "read again, apply the change, send again"},
    ErrorReasonInfo{ErrorReason::kBadCredentials, "BAD_CREDENTIALS", StatusCode::kUnauthenticated,
                    "check name and password"},
    ErrorReasonInfo{ErrorReason::kTokenInvalid, "TOKEN_INVALID", StatusCode::kUnauthenticated, "log in"},
    ErrorReasonInfo{ErrorReason::kTokenExpired, "TOKEN_EXPIRED", StatusCode::kUnauthenticated,
                    "call RefreshSession, else log in"},
    ErrorReasonInfo{ErrorReason::kRoleTooLow, "ROLE_TOO_LOW", StatusCode::kPermissionDenied,
                    "ask an administrator for a role that may"},
    ErrorReasonInfo{ErrorReason::kTenantUnknown, "TENANT_UNKNOWN", StatusCode::kPermissionDenied,
                    "use one's own tenant"},
    ErrorReasonInfo{ErrorReason::kLoginBusy, "LOGIN_BUSY", StatusCode::kResourceExhausted, "wait as RetryInfo says"},
    ErrorReasonInfo{ErrorReason::kIngestBacklogFull, "INGEST_BACKLOG_FULL", StatusCode::kResourceExhausted,
                    "wait as RetryInfo says, send again"},
    ErrorReasonInfo{ErrorReason::kSeriesLimit, "SERIES_LIMIT", StatusCode::kResourceExhausted,
                    "push fewer different series: bound the named label, or ask the operator to raise the named limit"},
    ErrorReasonInfo{ErrorReason::kSampleTooOld, "SAMPLE_TOO_OLD", StatusCode::kOutOfRange,
                    "push no samples older than the named time"},
    ErrorReasonInfo{ErrorReason::kQueryTooBroad, "QUERY_TOO_BROAD", StatusCode::kResourceExhausted,
                    "narrow the selector or the time range"},
    ErrorReasonInfo{ErrorReason::kQueryBusy, "QUERY_BUSY", StatusCode::kResourceExhausted, "wait as RetryInfo says"},
    ErrorReasonInfo{ErrorReason::kSlowConsumer, "SLOW_CONSUMER", StatusCode::kResourceExhausted,
                    "resume with the token and ask for less"},
    ErrorReasonInfo{ErrorReason::kTooManySubscriptions, "TOO_MANY_SUBSCRIPTIONS", StatusCode::kResourceExhausted,
                    "close other streams or wait as RetryInfo says"},
    ErrorReasonInfo{ErrorReason::kTooManyStreams, "TOO_MANY_STREAMS", StatusCode::kResourceExhausted,
                    "close other streams or wait as RetryInfo says"},
    ErrorReasonInfo{ErrorReason::kResumeTokenExpired, "RESUME_TOKEN_EXPIRED", StatusCode::kOutOfRange,
                    "subscribe anew without token"},
    ErrorReasonInfo{ErrorReason::kStoreReadOnly, "STORE_READ_ONLY", StatusCode::kFailedPrecondition,
                    "tell the operator: the store met an error and takes no writes"},
    ErrorReasonInfo{ErrorReason::kDiskFull, "DISK_FULL", StatusCode::kResourceExhausted,
                    "tell the operator; wait as RetryInfo says"},
    ErrorReasonInfo{ErrorReason::kWriteStalled, "WRITE_STALLED", StatusCode::kResourceExhausted,
                    "wait as RetryInfo says, send again"},
    ErrorReasonInfo{ErrorReason::kBlockCorrupt, "BLOCK_CORRUPT", StatusCode::kDataLoss,
                    "tell the operator; do not retry"},
    ErrorReasonInfo{ErrorReason::kStorageBusy, "STORAGE_BUSY", StatusCode::kResourceExhausted,
                    "wait as RetryInfo says"},
    ErrorReasonInfo{ErrorReason::kBackupsOff, "BACKUPS_OFF", StatusCode::kFailedPrecondition,
                    "ask the operator to set storage.backup_directory"},
    ErrorReasonInfo{ErrorReason::kBackupExists, "BACKUP_EXISTS", StatusCode::kAlreadyExists, "choose another name"},
    ErrorReasonInfo{ErrorReason::kBackupNotFound, "BACKUP_NOT_FOUND", StatusCode::kNotFound, "list the backups"},
    ErrorReasonInfo{ErrorReason::kBackupDamaged, "BACKUP_DAMAGED", StatusCode::kDataLoss,
                    "use another backup; the named file is damaged"},
    ErrorReasonInfo{ErrorReason::kTransferBusy, "TRANSFER_BUSY", StatusCode::kResourceExhausted,
                    "wait as RetryInfo says, go on where the server says"},
    ErrorReasonInfo{ErrorReason::kShuttingDown, "SHUTTING_DOWN", StatusCode::kUnavailable,
                    "reconnect, resume with the token"},
    ErrorReasonInfo{ErrorReason::kInternal, "INTERNAL", StatusCode::kInternal, "report a bug"},
};

constexpr const char* kPayloadUrl = "pulseboard/error-detail";

// The payload never leaves the process; it is a list of length-prefixed strings.
void Append(std::string* out, std::string_view s) {
  const uint32_t size = static_cast<uint32_t>(s.size());
  out->append(reinterpret_cast<const char*>(&size), sizeof(size));
  out->append(s);
}

std::string Take(std::string_view* in) {
  uint32_t size = 0;
  std::memcpy(&size, in->data(), sizeof(size));
  std::string s(in->substr(sizeof(size), size));
  in->remove_prefix(sizeof(size) + size);
  return s;
}

std::string Encode(const ErrorDetail& detail) {
  std::string out;
  Append(&out, std::to_string(static_cast<int>(detail.reason)));
  Append(&out, detail.retry_after_ms ? std::to_string(*detail.retry_after_ms) : "");
  Append(&out, std::to_string(detail.metadata.size()));
  for (const auto& [key, value] : detail.metadata) {
    Append(&out, key);
    Append(&out, value);
  }
  Append(&out, std::to_string(detail.field_violations.size()));
  for (const FieldViolation& violation : detail.field_violations) {
    Append(&out, violation.field);
    Append(&out, violation.description);
  }
  for (const QuotaViolation& violation : detail.quota_violations) {
    Append(&out, violation.subject);
    Append(&out, violation.description);
  }
  return out;
}

ErrorDetail Decode(std::string_view in) {
  ErrorDetail detail;
  detail.reason = static_cast<ErrorReason>(std::stoi(Take(&in)));
  if (std::string retry = Take(&in); !retry.empty()) detail.retry_after_ms = std::stoll(retry);
  for (int n = std::stoi(Take(&in)); n > 0; --n) {
    std::string key = Take(&in);
    detail.metadata[key] = Take(&in);
  }
  for (int n = std::stoi(Take(&in)); n > 0; --n) {
    std::string field = Take(&in);
    detail.field_violations.push_back({std::move(field), Take(&in)});
  }
  while (!in.empty()) {
    std::string subject = Take(&in);
    detail.quota_violations.push_back({std::move(subject), Take(&in)});
  }
  return detail;
}

absl::Status Build(absl::StatusCode code, const std::string& message, const ErrorDetail& detail) {
  absl::Status status(code, message);
  status.SetPayload(kPayloadUrl, absl::Cord(Encode(detail)));
  return status;
}

}  // namespace

std::span<const ErrorReasonInfo> AllErrorReasons() { return kReasons; }

const ErrorReasonInfo& GetErrorReasonInfo(ErrorReason reason) { return kReasons.at(static_cast<size_t>(reason)); }

absl::Status MakeError(ErrorReason reason, std::string message, ErrorMetadata metadata) {
  ErrorDetail detail;
  detail.reason = reason;
  detail.metadata = std::move(metadata);
  return Build(GetErrorReasonInfo(reason).code, message, detail);
}

absl::Status BadField(std::string_view field, std::string_view value, std::string_view expected) {
  return BadFields(
      {{std::string(field), "got '" + Printable(value) + "'; " + std::string(expected) + " would be accepted"}});
}

absl::Status BadFields(std::vector<FieldViolation> violations) {
  ErrorDetail detail;
  detail.reason = ErrorReason::kBadField;
  std::string message;
  for (const FieldViolation& violation : violations) {
    if (!message.empty()) message += "; ";
    message += violation.field + ": " + violation.description;
    detail.metadata[violation.field] = violation.description;
  }
  detail.field_violations = std::move(violations);
  return Build(absl::StatusCode::kInvalidArgument, message, detail);
}

absl::Status WithRetryAfterMs(absl::Status status, int64_t retry_after_ms) {
  std::optional<ErrorDetail> detail = GetErrorDetail(status);
  if (!detail) return status;
  detail->retry_after_ms = retry_after_ms;
  status.SetPayload(kPayloadUrl, absl::Cord(Encode(*detail)));
  return status;
}

absl::Status WithQuotaViolation(absl::Status status, QuotaViolation violation) {
  std::optional<ErrorDetail> detail = GetErrorDetail(status);
  if (!detail) return status;
  detail->quota_violations.push_back(std::move(violation));
  status.SetPayload(kPayloadUrl, absl::Cord(Encode(*detail)));
  return status;
}

absl::Status WithContext(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  absl::Status out(status.code(), std::string(context) + ": " + StatusMessage(status));
  if (auto payload = status.GetPayload(kPayloadUrl)) out.SetPayload(kPayloadUrl, *payload);
  return out;
}

absl::Status MakeErrorFromDetail(const absl::Status& plain, const ErrorDetail& detail) {
  return Build(plain.code(), StatusMessage(plain), detail);
}

std::optional<ErrorDetail> GetErrorDetail(const absl::Status& status) {
  auto payload = status.GetPayload(kPayloadUrl);
  if (!payload) return std::nullopt;
  return Decode(std::string(*payload));
}

bool HasReason(const absl::Status& status, ErrorReason reason) {
  const std::optional<ErrorDetail> detail = GetErrorDetail(status);
  return detail && detail->reason == reason;
}

std::string StatusMessage(const absl::Status& status) {
  return std::string(status.message().data(), status.message().size());
}

std::string Printable(std::string_view value, size_t max_bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : value.substr(0, max_bytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out.push_back(c);
    } else {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  if (value.size() > max_bytes) out += "… (" + std::to_string(value.size()) + " bytes)";
  return out;
}

}  // namespace pulseboard

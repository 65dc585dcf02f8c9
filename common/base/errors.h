// Errors as users meet them: a canonical code, a reason from one table, values in metadata, field violations, retry
// advice. Every error that can reach a client is made here; common/wire turns it into google.rpc details. The table is
// documented in docs of the same name in ARCHITECTURE.md ("Errors"), and a test holds the two equal.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace pulseboard {

inline constexpr std::string_view kErrorDomain = "pulseboard";

// Order and numbers are internal; the names below (see ErrorReasonName) are the contract.
enum class ErrorReason {
  kBadField,
  kBadSelector,
  kBadExpression,
  kBadPageToken,
  kBadResumeToken,
  kBadSequence,
  kUserNotFound,
  kUserExists,
  kTooManyUsers,
  kRegistrationDisabled,
  kLastAdmin,
  kRuleNotFound,
  kTooManyRules,
  kRevisionMismatch,
  kBadCredentials,
  kTokenInvalid,
  kTokenExpired,
  kRoleTooLow,
  kTenantUnknown,
  kLoginBusy,
  kIngestBacklogFull,
  kSeriesLimit,
  kSampleTooOld,
  kQueryTooBroad,
  kQueryBusy,
  kSlowConsumer,
  kTooManySubscriptions,
  kTooManyStreams,
  kResumeTokenExpired,
  kStoreReadOnly,
  kDiskFull,
  kWriteStalled,
  kBlockCorrupt,
  kStorageBusy,
  kBackupsOff,
  kBackupExists,
  kBackupNotFound,
  kBackupDamaged,
  kTransferBusy,
  kShuttingDown,
  kInternal,
};

struct ErrorReasonInfo {
  ErrorReason reason;
  std::string_view name;  // UPPER_SNAKE, as in google.rpc.ErrorInfo.reason
  absl::StatusCode code;
  std::string_view client_action;  // what a client should do, one phrase
};

// The whole table, in enum order.
std::span<const ErrorReasonInfo> AllErrorReasons();
const ErrorReasonInfo& GetErrorReasonInfo(ErrorReason reason);

struct FieldViolation {
  std::string field;        // path in the request, e.g. `samples[3].metric`
  std::string description;  // the value and what would be accepted
};

// A limit of somebody's that was met.
struct QuotaViolation {
  std::string subject;      // whose: `tenant:default metric:http.requests`
  std::string description;  // the limit, what was found and what to do
};

// What an absl::Status made here carries beside code and message.
struct ErrorDetail {
  ErrorReason reason = ErrorReason::kInternal;
  std::map<std::string, std::string> metadata;  // every value named in the message
  std::vector<FieldViolation> field_violations;
  std::vector<QuotaViolation> quota_violations;
  std::optional<int64_t> retry_after_ms;
};

using ErrorMetadata = std::map<std::string, std::string>;

// A status with the code that the table gives for `reason`.
absl::Status MakeError(ErrorReason reason, std::string message, ErrorMetadata metadata = {});
// INVALID_ARGUMENT/BAD_FIELD: "<field>: got <value>; <expected> would be accepted". `value` is cut at 100 bytes and
// made printable.
absl::Status BadField(std::string_view field, std::string_view value, std::string_view expected);
// The same for several fields at once. REQUIRES: not empty.
absl::Status BadFields(std::vector<FieldViolation> violations);
// The same status with advice when to try again. A status without detail is returned unchanged.
absl::Status WithRetryAfterMs(absl::Status status, int64_t retry_after_ms);
// The same status with a quota violation more, likewise.
absl::Status WithQuotaViolation(absl::Status status, QuotaViolation violation);
// The same status with `context` and ": " before its message, detail kept.
absl::Status WithContext(const absl::Status& status, std::string_view context);
// `plain`'s code and message with `detail` attached: for statuses that came over the wire.
absl::Status MakeErrorFromDetail(const absl::Status& plain, const ErrorDetail& detail);
// Nothing for a status that was not made here.
std::optional<ErrorDetail> GetErrorDetail(const absl::Status& status);
// True when `status` was made with `reason`.
bool HasReason(const absl::Status& status, ErrorReason reason);
std::string StatusMessage(const absl::Status& status);
// At most `max_bytes` of `value`, with bytes outside printable ASCII as \xNN: safe in messages and logs.
std::string Printable(std::string_view value, size_t max_bytes = 100);

}  // namespace pulseboard

#define PB_RETURN_IF_ERROR(expr)                              \
  do {                                                        \
    if (absl::Status pb_status_ = (expr); !pb_status_.ok()) { \
      return pb_status_;                                      \
    }                                                         \
  } while (false)

#define PB_CONCAT_INNER(a, b) a##b
#define PB_CONCAT(a, b) PB_CONCAT_INNER(a, b)
#define PB_ASSIGN_OR_RETURN(lhs, expr) PB_ASSIGN_OR_RETURN_INNER(PB_CONCAT(pb_statusor_, __LINE__), lhs, expr)
#define PB_ASSIGN_OR_RETURN_INNER(var, lhs, expr) \
  auto var = (expr);                              \
  if (!var.ok()) return std::move(var).status();  \
  lhs = *std::move(var)

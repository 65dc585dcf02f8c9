// What people read when something went wrong: one table from reason to title, meaning and next step.
#pragma once

#include <QString>
#include <span>

#include "absl/status/status.h"
#include "client-qt/model/types.h"

namespace pulseboard::qt {

struct ErrorText {
  const char* reason;  // the server's, or one of ours below
  const char* title;
  const char* detail;  // may hold %1 for the server
};

// Reasons of the desktop itself.
inline constexpr const char* kReasonUnreachable = "UNREACHABLE";
inline constexpr const char* kReasonTimeout = "TIMEOUT";
inline constexpr const char* kReasonBadAddress = "BAD_ADDRESS";
inline constexpr const char* kReasonNoTls = "NO_TLS";
inline constexpr const char* kReasonCertificateRefused = "CERTIFICATE_REFUSED";
inline constexpr const char* kReasonNoKeptSession = "NO_KEPT_SESSION";
inline constexpr const char* kReasonSessionInUse = "SESSION_IN_USE";
inline constexpr const char* kReasonPinFile = "PIN_FILE";
inline constexpr const char* kReasonAnswerTooLarge = "ANSWER_TOO_LARGE";

// The whole table; a test holds it complete against common/base/errors.h.
std::span<const ErrorText> errorTexts();

UserError userError(const char* reason, const QString& server);
// By the server's reason when it sent one, else by the code. `status` must not be OK.
UserError userError(const absl::Status& status, const QString& server);

}  // namespace pulseboard::qt

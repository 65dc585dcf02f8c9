#include "client-qt/net/error_texts.h"

#include <array>
#include <optional>
#include <string>

#include "common/base/errors.h"

namespace pulseboard::qt {
namespace {

constexpr std::array kTexts = {
    ErrorText{kReasonUnreachable, "Server not reachable",
              "Nothing answers at %1. Check the address and port, and that pulseboardd is running there."},
    ErrorText{kReasonTimeout, "The server takes too long",
              "%1 did not answer in time. The network or the server may be overloaded; try again in a moment."},
    ErrorText{kReasonBadAddress, "Not a server address", "Write host:port, for example metrics.example.com:7443."},
    ErrorText{
        kReasonNoTls, "Connection is not encrypted",
        "%1 answers without TLS. Your password would cross the network in the clear, so nothing was sent. Ask the "
        "administrator to switch TLS on."},
    ErrorText{kReasonCertificateRefused, "Certificate not trusted",
              "Nothing was sent to %1. Ask the administrator for the fingerprint and compare."},
    ErrorText{kReasonNoKeptSession, "Please log in", "No session is kept for %1 on this computer."},
    ErrorText{
        kReasonSessionInUse, "Already open on this computer",
        "Another Pulseboard window uses the session kept for %1. Log in with your password to open a second one."},
    ErrorText{kReasonPinFile, "Trusted certificates cannot be read",
              "The file of known servers is damaged, so %1 cannot be recognised. Repair or remove it, then try again."},
    ErrorText{kReasonAnswerTooLarge, "Too much data",
              "The answer holds more samples than can be drawn. Choose a shorter time range or fewer series."},
    ErrorText{"BAD_FIELD", "The server refused the request", "A value was not accepted."},
    ErrorText{"BAD_SELECTOR", "Selector not understood", "Correct the selector of this panel."},
    ErrorText{"BAD_EXPRESSION", "Expression not understood", "Correct it at the column that is named."},
    ErrorText{"BAD_PAGE_TOKEN", "List interrupted", "The list changed while it was read; it starts again by itself."},
    ErrorText{"BAD_RESUME_TOKEN", "Live view starts again",
              "The server could not go on where it was; data is loaded anew."},
    ErrorText{"BAD_SEQUENCE", "Push out of order", "A pusher numbers its batches wrongly."},
    ErrorText{"USER_NOT_FOUND", "No such account", "The account does not exist any more."},
    ErrorText{"USER_EXISTS", "Name already taken", "Choose another user name or e-mail."},
    ErrorText{"TOO_MANY_USERS", "No room for another account", "Ask the administrator of %1 for a higher limit."},
    ErrorText{"REGISTRATION_DISABLED", "Registration is off", "Ask an administrator of %1 for an account."},
    ErrorText{"LAST_ADMIN", "This is the last administrator", "Make somebody else administrator first."},
    ErrorText{"RULE_NOT_FOUND", "No such alert rule", "It was deleted meanwhile. Load the list again."},
    ErrorText{"TOO_MANY_RULES", "No room for another alert rule",
              "Delete one that is not needed, or ask the administrator of %1 for a higher limit."},
    ErrorText{"REVISION_MISMATCH", "Changed elsewhere",
              "Another window changed this; load it again and repeat your change."},
    ErrorText{"BAD_CREDENTIALS", "User name or password is wrong",
              "Check both and try again. A deactivated account looks the same."},
    ErrorText{"TOKEN_INVALID", "You were logged out", "The session is no longer valid. Log in again."},
    ErrorText{"TOKEN_EXPIRED", "Your session has ended", "Log in again to go on."},
    ErrorText{"ROLE_TOO_LOW", "Not allowed", "Your account may not do this. Ask an administrator for a role that may."},
    ErrorText{"TENANT_UNKNOWN", "Not your data", "Your account belongs to another tenant."},
    ErrorText{"LOGIN_BUSY", "Too many logins right now",
              "The server is busy checking passwords. Wait a few seconds, then try again."},
    ErrorText{"INGEST_BACKLOG_FULL", "Server is behind", "New samples wait to be stored; they will appear late."},
    ErrorText{"SERIES_LIMIT", "No room for new series", "Push fewer different series, or ask the administrator of %1."},
    ErrorText{"SAMPLE_TOO_OLD", "Samples too old", "Samples from before the server's retention are not taken."},
    ErrorText{"QUERY_TOO_BROAD", "Too many series at once", "Narrow the selector or choose a shorter time range."},
    ErrorText{"QUERY_BUSY", "The server is busy", "Too many queries run at once. It is tried again in a moment."},
    ErrorText{"SLOW_CONSUMER", "This computer is too slow for the stream",
              "Show fewer series or a shorter time range."},
    ErrorText{"TOO_MANY_SUBSCRIPTIONS", "Too many live views",
              "Close other windows, or ask the administrator for a higher limit."},
    ErrorText{"TOO_MANY_STREAMS", "Too many senders",
              "The server takes no further one now. It is tried again in a moment."},
    ErrorText{"RESUME_TOKEN_EXPIRED", "Live view starts again",
              "The pause was too long to go on seamlessly; data is loaded anew."},
    ErrorText{"STORE_READ_ONLY", "The store takes no new data", "Old data can be seen. Tell the administrator of %1."},
    ErrorText{"WRITE_STALLED", "The server's disk cannot keep up", "New samples wait. Pulseboard goes on by itself."},
    ErrorText{"DISK_FULL", "The server's disk is full", "New samples wait. Tell the administrator of %1."},
    ErrorText{"STORAGE_BUSY", "The store is being worked on",
              "Another backup, check or deletion runs; try again later."},
    ErrorText{"BACKUPS_OFF", "Backups are switched off", "Ask the administrator of %1 to set a folder for them."},
    ErrorText{"BACKUP_EXISTS", "There is a backup of this name", "Choose another name."},
    ErrorText{"BACKUP_NOT_FOUND", "No such backup", "It may have been pruned. Load the list again."},
    ErrorText{"BACKUP_DAMAGED", "The backup is damaged", "Do not rely on it; make a new one."},
    ErrorText{"TRANSFER_BUSY", "Too many imports and exports", "Try again when another one is done."},
    ErrorText{"BLOCK_CORRUPT", "Stored data is damaged",
              "A part of the history cannot be read. Tell the administrator of %1."},
    ErrorText{"SHUTTING_DOWN", "The server is restarting", "It goes on by itself as soon as %1 is back."},
    ErrorText{"INTERNAL", "The server made a mistake",
              "Nothing you did wrong. If it stays, report it with the time it happened."},
};

const ErrorText* find(std::string_view reason) {
  for (const ErrorText& text : kTexts) {
    if (reason == text.reason) return &text;
  }
  return nullptr;
}

const char* reasonOfCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
      return kReasonUnreachable;
    case absl::StatusCode::kDeadlineExceeded:
      return kReasonTimeout;
    case absl::StatusCode::kUnauthenticated:
      return "TOKEN_INVALID";
    case absl::StatusCode::kPermissionDenied:
      return "ROLE_TOO_LOW";
    case absl::StatusCode::kFailedPrecondition:
      return kReasonNoTls;
    default:
      return "INTERNAL";
  }
}

// Errors whose message says which value is meant.
bool messageHelps(std::string_view reason) {
  return reason == "BAD_FIELD" || reason == "BAD_SELECTOR" || reason == "INTERNAL";
}

}  // namespace

std::span<const ErrorText> errorTexts() { return kTexts; }

UserError userError(const char* reason, const QString& server) {
  const ErrorText* text = find(reason);
  if (text == nullptr) text = find("INTERNAL");
  QString detail = QString::fromUtf8(text->detail);
  detail.replace(QStringLiteral("%1"), server.isEmpty() ? QStringLiteral("the server") : server);
  return {QString::fromUtf8(text->title), detail, QString::fromLatin1(reason)};
}

UserError userError(const absl::Status& status, const QString& server) {
  const std::optional<ErrorDetail> detail = GetErrorDetail(status);
  const std::string reason(detail ? GetErrorReasonInfo(detail->reason).name
                                  : std::string_view(reasonOfCode(status.code())));
  UserError error = userError(reason.c_str(), server);
  if (messageHelps(reason) && !status.message().empty()) {
    error.detail += QStringLiteral(" (") + QString::fromStdString(StatusMessage(status)).left(300) + QLatin1Char(')');
  }
  if (detail && detail->retry_after_ms && *detail->retry_after_ms >= 1'000) {
    error.detail += QStringLiteral(" Try again in %1 s.").arg((*detail->retry_after_ms + 999) / 1'000);
  }
  return error;
}

}  // namespace pulseboard::qt

// KeptSession: "keep me logged in". A JSON file of refresh tokens by server, readable by its owner only (mode 0600), in
// $XDG_STATE_HOME/pulseboard. It is a plain file: whoever can read this user's files can use the session until it is
// logged out or its refresh token ends. The password is never kept.
#pragma once

#include <QLockFile>
#include <QString>
#include <QStringList>
#include <memory>
#include <optional>

namespace pulseboard::qt {

struct KeptSession {
  QString server;
  QString user;
  QString refresh_token;
};

// Not thread-safe by itself, but each call reads the file anew and replaces it as a whole under a lock file, so that
// several windows may share it.
class KeptSessions {
 public:
  static QString defaultPath();
  explicit KeptSessions(QString path) : path_(std::move(path)) {}

  std::optional<KeptSession> find(const QString& server) const;
  QStringList servers() const;
  // False when the file could not be written.
  bool keep(const KeptSession& session);
  bool forget(const QString& server);
  // The right to use a server's kept session, until the returned lock dies; null while another running program has it.
  // Each refresh token is good once: two programs sharing one session would end it for both.
  std::unique_ptr<QLockFile> claim(const QString& server) const;

 private:
  bool change(const QString& server, const std::optional<KeptSession>& session);

  QString path_;
};

}  // namespace pulseboard::qt

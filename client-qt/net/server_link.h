// ServerLink: from an address and a password to a channel and a session: trust, login, resume, logout.
#pragma once

#include <QObject>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "client-qt/model/types.h"
#include "client-qt/net/kept_session.h"
#include "client-qt/net/queued_post.h"
#include "common/client/channel.h"
#include "common/client/pin_store.h"
#include "common/client/session.h"

namespace pulseboard::qt {

// Where the desktop keeps what it must remember; empty paths mean the defaults.
struct NetOptions {
  QString pins_path;
  QString sessions_path;
  // A certificate trusted without asking, e.g. from --trust-fingerprint.
  QString trusted_fingerprint;
  // Longest wait when looking at a server's certificate.
  int probe_timeout_ms = 4'000;
};

// Lives in the I/O thread; examining a server blocks that thread for up to NetOptions::probe_timeout_ms.
class ServerLink : public QObject {
  Q_OBJECT

 public:
  ServerLink(NetOptions options, QObject* parent);
  ~ServerLink() override;

  void login(const Credentials& credentials);
  void resumeSession(const QString& server);
  void answerCertificate(bool trust);
  // Ends the session here and on the server, and forgets a kept one.
  void logout();

  bool isLoggedIn() const { return logged_in_; }
  const QString& server() const { return server_; }
  QString user() const;
  QString role() const;
  bool tls() const { return tls_; }
  std::shared_ptr<grpc::Channel> channel() const { return channel_; }
  std::shared_ptr<client::Session> session() const { return session_; }

 Q_SIGNALS:
  void loggedIn();
  void failed(const pulseboard::qt::UserError& error);
  void certificateQuestion(const pulseboard::qt::CertificateQuestion& question);
  void sessionEnded(const pulseboard::qt::UserError& error);

 private:
  // What to do once the server is trusted.
  struct Attempt {
    Credentials credentials;  // without password when resuming
    QString refresh_token;    // not empty: resume
  };

  void begin(Attempt attempt);
  void proceed(const client::ServerTrust& trust);
  void onAnswer(quint64 generation, const absl::Status& status);
  void keepTokens(quint64 generation, const client::SessionTokens& tokens);
  void drop();
  void fail(const UserError& error);

  const NetOptions options_;
  const std::shared_ptr<QueuedPost> post_;
  KeptSessions kept_;
  std::optional<client::PinStore> pins_;
  std::optional<Attempt> attempt_;
  client::ServerTrust trust_;
  QString server_;
  bool tls_ = false;
  bool keep_ = false;
  std::unique_ptr<QLockFile> claim_;  // of the kept session in use
  bool logged_in_ = false;
  quint64 generation_ = 0;  // answers of earlier attempts are ignored
  std::shared_ptr<grpc::Channel> channel_;
  std::shared_ptr<client::Session> session_;
  std::shared_ptr<client::Session> leaving_;  // logging out
};

// The default port added where an address has none; empty when it is no address at all.
QString normalizedServer(const QString& address);

}  // namespace pulseboard::qt

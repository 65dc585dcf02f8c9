#include "client-qt/net/kept_session.h"

#include <QCryptographicHash>
#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QJsonDocument>
#include <QJsonObject>
#include <QLockFile>
#include <QSaveFile>
#include <QStandardPaths>

namespace pulseboard::qt {
namespace {

constexpr qint64 kMaxFileBytes = 1 << 20;
constexpr int kLockWaitMs = 2'000;
constexpr QFileDevice::Permissions kOwnerOnly = QFileDevice::ReadOwner | QFileDevice::WriteOwner;

QJsonObject load(const QString& path) {
  QFile file(path);
  if (!file.open(QIODevice::ReadOnly)) return {};
  return QJsonDocument::fromJson(file.read(kMaxFileBytes)).object();
}

}  // namespace

QString KeptSessions::defaultPath() {
  QString state = qEnvironmentVariable("XDG_STATE_HOME");
  if (state.isEmpty()) state = QDir::homePath() + QStringLiteral("/.local/state");
  return state + QStringLiteral("/pulseboard/sessions.json");
}

std::optional<KeptSession> KeptSessions::find(const QString& server) const {
  const QJsonObject entry = load(path_)[server].toObject();
  const QString token = entry["refresh_token"].toString();
  if (token.isEmpty()) return std::nullopt;
  return KeptSession{server, entry["user"].toString(), token};
}

QStringList KeptSessions::servers() const { return load(path_).keys(); }

bool KeptSessions::keep(const KeptSession& session) { return change(session.server, session); }

bool KeptSessions::forget(const QString& server) { return !QFile::exists(path_) || change(server, std::nullopt); }

std::unique_ptr<QLockFile> KeptSessions::claim(const QString& server) const {
  if (!QDir().mkpath(QFileInfo(path_).absolutePath())) return nullptr;
  const QByteArray name = QCryptographicHash::hash(server.toUtf8(), QCryptographicHash::Sha1).toHex().left(16);
  auto lock =
      std::make_unique<QLockFile>(path_ + QLatin1Char('.') + QString::fromLatin1(name) + QStringLiteral(".in-use"));
  lock->setStaleLockTime(0);  // held as long as the program runs; a dead holder is noticed by its process number
  return lock->tryLock(0) ? std::move(lock) : nullptr;
}

bool KeptSessions::change(const QString& server, const std::optional<KeptSession>& session) {
  if (!QDir().mkpath(QFileInfo(path_).absolutePath())) return false;
  QLockFile lock(path_ + QStringLiteral(".lock"));
  if (!lock.tryLock(kLockWaitMs)) return false;
  QJsonObject all = load(path_);
  if (session) {
    all[server] = QJsonObject{{"user", session->user}, {"refresh_token", session->refresh_token}};
  } else {
    all.remove(server);
  }
  QSaveFile file(path_);
  // Closed to others before the first byte is in it.
  if (!file.open(QIODevice::WriteOnly) || !file.setPermissions(kOwnerOnly)) return false;
  const QByteArray bytes = QJsonDocument(all).toJson();
  return file.write(bytes) == bytes.size() && file.commit();
}

}  // namespace pulseboard::qt

#include "client-qt/net/server_link.h"

#include <QDateTime>
#include <QLocale>
#include <utility>

#include "client-qt/net/error_texts.h"
#include "common/base/log.h"

namespace pulseboard::qt {
namespace {

constexpr const char* kDefaultPort = "7443";

QString dateText(int64_t unix_seconds) {
  return QLocale::c().toString(QDateTime::fromSecsSinceEpoch(unix_seconds), QStringLiteral("d MMM yyyy"));
}

QString pathOr(const QString& path, const QString& otherwise) { return path.isEmpty() ? otherwise : path; }

}  // namespace

QString normalizedServer(const QString& address) {
  QString text = address.trimmed();
  for (const char* scheme : {"https://", "http://", "grpc://"}) {
    if (text.startsWith(QLatin1String(scheme))) text.remove(0, static_cast<int>(qstrlen(scheme)));
  }
  while (text.endsWith(QLatin1Char('/'))) text.chop(1);
  const bool bare_v6 = text.count(QLatin1Char(':')) > 1 && !text.startsWith(QLatin1Char('['));
  if (bare_v6) text = QLatin1Char('[') + text + QLatin1Char(']');
  const bool has_port = text.lastIndexOf(QLatin1Char(':')) > text.lastIndexOf(QLatin1Char(']'));
  if (!has_port) text += QLatin1Char(':') + QString::fromLatin1(kDefaultPort);
  const auto parts = client::SplitHostPort(text.toStdString());
  return parts.ok() && !parts->host.empty() && !text.contains(QLatin1Char(' ')) ? text : QString();
}

ServerLink::ServerLink(NetOptions options, QObject* parent)
    : QObject(parent),
      options_(std::move(options)),
      post_(std::make_shared<QueuedPost>(this)),
      kept_(pathOr(options_.sessions_path, KeptSessions::defaultPath())) {}

ServerLink::~ServerLink() {
  post_->detach();
  drop();
}

QString ServerLink::user() const {
  return session_ ? QString::fromStdString(session_->account().user_name) : QString();
}
QString ServerLink::role() const {
  return session_ ? QString::fromStdString(session_->account().role).toLower() : QString();
}

void ServerLink::drop() {
  ++generation_;
  logged_in_ = false;
  session_.reset();
  channel_.reset();
  claim_.reset();
}

void ServerLink::fail(const UserError& error) {
  attempt_.reset();
  drop();
  Q_EMIT failed(error);
}

void ServerLink::login(const Credentials& credentials) {
  drop();
  begin({credentials, {}});
}

void ServerLink::resumeSession(const QString& server) {
  const QString address = normalizedServer(server);
  const std::optional<KeptSession> kept = kept_.find(address);
  if (!kept) return fail(userError(kReasonNoKeptSession, address));
  drop();  // a claim of our own must not stand in the way
  claim_ = kept_.claim(address);
  if (!claim_) return fail(userError(kReasonSessionInUse, address));
  begin({Credentials{address, kept->user, {}, true}, kept->refresh_token});
}

void ServerLink::begin(Attempt attempt) {
  server_ = normalizedServer(attempt.credentials.server);
  if (server_.isEmpty()) return fail(userError(kReasonBadAddress, {}));
  attempt_ = std::move(attempt);
  auto pins = client::PinStore::Open(
      pathOr(options_.pins_path, QString::fromStdString(client::PinStore::DefaultPath())).toStdString());
  if (!pins.ok()) return fail(userError(kReasonPinFile, server_));
  pins_.emplace(*std::move(pins));
  const auto trust =
      client::Examine(server_.toStdString(), *pins_, std::chrono::milliseconds(options_.probe_timeout_ms));
  if (!trust.ok()) return fail(userError(trust.status(), server_));
  trust_ = *trust;
  const bool asks = trust_.state == client::TrustState::kFirstVisit || trust_.state == client::TrustState::kChanged;
  if (!asks) return proceed(trust_);
  if (trust_.certificate.fingerprint.empty()) return fail(userError(kReasonNoTls, server_));
  const QString shown = QString::fromStdString(trust_.certificate.fingerprint);
  if (client::NormalizeFingerprint(options_.trusted_fingerprint.toStdString()) == trust_.certificate.fingerprint) {
    return answerCertificate(true);
  }
  CertificateQuestion question{server_, shown, {}, {}};
  if (trust_.pin) {
    question.pinned_fingerprint_sha256 = QString::fromStdString(trust_.pin->fingerprint);
    question.pinned_on = dateText(trust_.pin->pinned_unix_seconds);
  }
  Q_EMIT certificateQuestion(question);
}

void ServerLink::answerCertificate(bool trust) {
  if (!attempt_ || !pins_) return;
  if (!trust) return fail(userError(kReasonCertificateRefused, server_));
  const absl::Status pinned =
      pins_->SetPin(server_.toStdString(), trust_.certificate.fingerprint, QDateTime::currentSecsSinceEpoch());
  // Trusted for this run all the same; it will be asked again at the next start.
  if (!pinned.ok()) PB_LOG(Warning, "desktop", "cannot keep pin server={}", server_.toStdString());
  trust_.state = client::TrustState::kPinned;
  proceed(trust_);
}

void ServerLink::proceed(const client::ServerTrust& trust) {
  auto channel = client::OpenChannel(server_.toStdString(), trust);
  if (!channel.ok()) return fail(userError(channel.status(), server_));
  channel_ = *channel;
  tls_ = trust.state != client::TrustState::kPlaintext;
  if (attempt_->credentials.keep_logged_in && !claim_) claim_ = kept_.claim(server_);
  keep_ = claim_ != nullptr;  // not while another window keeps one for this server
  const quint64 generation = generation_;
  client::SessionOptions options;
  options.on_lost = [this, generation, post = post_](const absl::Status& status) {
    post->run([this, generation, status] {
      if (generation != generation_ || !logged_in_) return;
      if (keep_) kept_.forget(server_);
      const UserError error = userError(status, server_);
      drop();
      Q_EMIT sessionEnded(error);
    });
  };
  options.on_tokens = [this, generation, post = post_](const client::SessionTokens& tokens) {
    post->run([this, generation, tokens] { keepTokens(generation, tokens); });
  };
  session_ = std::make_shared<client::Session>(channel_, std::move(options));
  const auto done = [this, generation, post = post_](const absl::Status& status) {
    post->run([this, generation, status] { onAnswer(generation, status); });
  };
  if (attempt_->refresh_token.isEmpty()) {
    session_->Login({attempt_->credentials.login.toStdString(), attempt_->credentials.password.toStdString(), {}},
                    done);
    attempt_->credentials.password.fill(QLatin1Char('\0'));
  } else {
    session_->Resume(attempt_->refresh_token.toStdString(), done);
  }
}

void ServerLink::onAnswer(quint64 generation, const absl::Status& status) {
  if (generation != generation_ || !attempt_) return;
  const bool resumed = !attempt_->refresh_token.isEmpty();
  if (!status.ok()) {
    if (resumed && status.code() == absl::StatusCode::kUnauthenticated) kept_.forget(server_);
    return fail(userError(status, server_));
  }
  attempt_.reset();
  logged_in_ = true;
  // A session kept earlier is not wanted any more, unless another window lives on it.
  if (!keep_ && kept_.claim(server_)) kept_.forget(server_);
  Q_EMIT loggedIn();
}

void ServerLink::keepTokens(quint64 generation, const client::SessionTokens& tokens) {
  if (generation != generation_ || !keep_ || tokens.refresh_token.empty()) return;
  if (!kept_.keep({server_, user(), QString::fromStdString(tokens.refresh_token)})) {
    PB_LOG(Warning, "desktop", "cannot keep session server={}", server_.toStdString());
  }
}

void ServerLink::logout() {
  attempt_.reset();
  if (session_ && logged_in_) {
    if (keep_) kept_.forget(server_);
    leaving_ = session_;  // until its answer is here
    leaving_->Logout([this, post = post_](const absl::Status&) { post->run([this] { leaving_.reset(); }); });
  }
  drop();
}

}  // namespace pulseboard::qt

#include "client-qt/ui/login_dialog.h"

#include <QCheckBox>
#include <QEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPainter>
#include <QPushButton>
#include <QVBoxLayout>

#include "client-qt/ui/icons.h"
#include "client-qt/ui/login_notice.h"
#include "client-qt/ui/login_server_row.h"
#include "client-qt/ui/theme.h"

namespace pulseboard::qt {
namespace {

constexpr int kBrandWidth = 300;
constexpr int kNarrowBelow = 640;
constexpr int kFieldHeight = 36;  // frame included
constexpr int kProbeDelayMs = 500;
constexpr int kMaxRows = 6;
constexpr int kMinHeight = 440;
constexpr int kHeight = 540;

// The panel-coloured side with a line towards the form.
class BrandSide : public QWidget {
 public:
  using QWidget::QWidget;

 protected:
  void paintEvent(QPaintEvent*) override {
    const Theme& theme = Theme::current();
    QPainter painter(this);
    painter.fillRect(rect(), theme.color(ColorRole::Panel));
    painter.fillRect(QRect(width() - 1, 0, 1, height()), theme.color(ColorRole::Border));
  }
};

class BrandMark : public QWidget {
 public:
  explicit BrandMark(QWidget* parent) : QWidget(parent) { setFixedSize(42, 42); }

 protected:
  void paintEvent(QPaintEvent*) override {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.scale(width() / 16.0, height() / 16.0);
    paintIcon(painter, Icon::Brand, QRectF(0, 0, 16, 16), Theme::current().color(ColorRole::Accent));
  }
};

QLabel* makeLabel(const QString& text, const char* kind, QWidget* parent) {
  auto* label = new QLabel(text, parent);
  label->setProperty("kind", kind);
  return label;
}

// The sheet's own minimum would win over setMinimumHeight().
QString tallStyle() { return QStringLiteral("min-height: %1px;").arg(kFieldHeight - 2); }

bool isAboutServer(const QString& reason) {
  for (const char* known : {"UNREACHABLE", "TIMEOUT", "BAD_ADDRESS", "NO_TLS"}) {
    if (reason == QLatin1String(known)) return true;
  }
  return false;
}

}  // namespace

LoginDialog::LoginDialog(MetricsSource* source, const QVector<RememberedServer>& remembered, QWidget* parent)
    : QDialog(parent), source_(source) {
  setWindowTitle(tr("Log in – Pulseboard"));
  setObjectName(QStringLiteral("loginDialog"));
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(0);
  brand_side_ = makeBrandSide(remembered);
  row->addWidget(brand_side_);
  row->addWidget(makeForm(), 1);
  setMinimumSize(320, kMinHeight);
  resize(760, kHeight);

  probe_delay_.setSingleShot(true);
  probe_delay_.setInterval(kProbeDelayMs);
  connect(&probe_delay_, &QTimer::timeout, this, [this] {
    if (!server_->text().trimmed().isEmpty()) source_->probeServer(server_->text());
  });
  connect(server_, &QLineEdit::textChanged, this, [this] {
    setMark({}, "secondary", {});
    setFieldError(server_error_, {});
    probe_delay_.start();
    updateKept();
    for (ServerRow* each : rows_) {
      const bool same = each->server() == server_->text();
      each->setAutoExclusive(false);
      each->setChecked(same);
      each->setAutoExclusive(true);
    }
  });
  connect(source_, &MetricsSource::loggedIn, this, [this] {
    setBusy(false);
    password_->clear();
    accept();
  });
  connect(source_, &MetricsSource::loginFailed, this, &LoginDialog::onFailed);
  connect(source_, &MetricsSource::serverProbed, this, &LoginDialog::onProbed);
  connect(source_, &MetricsSource::certificateQuestion, this, [this](const CertificateQuestion& question) {
    clearErrors();
    notice_->ask(question);
  });
  connect(notice_, &LoginNotice::answered, source_, &MetricsSource::answerCertificate);
  if (!remembered.isEmpty()) {
    setServer(remembered.front().server);
    setUser(remembered.front().user);
  }
}

QWidget* LoginDialog::makeBrandSide(const QVector<RememberedServer>& remembered) {
  auto* side = new BrandSide(this);
  side->setFixedWidth(kBrandWidth);
  auto* column = new QVBoxLayout(side);
  column->setContentsMargins(32, 32, 32, 32);
  column->setSpacing(0);
  column->addWidget(new BrandMark(side));
  column->addSpacing(spacing::kWide);
  auto* name = new QLabel(QStringLiteral("Pulseboard"), side);
  name->setStyleSheet(QStringLiteral("font-size: 22px; font-weight: 700;"));
  column->addWidget(name);
  column->addSpacing(spacing::kBase);
  QLabel* claim = makeLabel(tr("See what is happening now,\nand what led to it."), "secondary", side);
  column->addWidget(claim);
  column->addSpacing(44);
  if (!remembered.isEmpty()) {
    QLabel* heading = makeLabel(tr("RECENT SERVERS"), "caption", side);
    heading->setStyleSheet(QStringLiteral("font-weight: 600;"));
    column->addWidget(heading);
    column->addSpacing(spacing::kBase);
  }
  for (const RememberedServer& entry : remembered.mid(0, kMaxRows)) {
    auto* row = new ServerRow(entry.server, entry.user, side);
    connect(row, &ServerRow::clicked, this, [this, row] { choose(row); });
    rows_.push_back(row);
    column->addWidget(row);
    column->addSpacing(spacing::kTight);
  }
  column->addStretch();
  return side;
}

QLineEdit* LoginDialog::addField(QVBoxLayout* column, const QString& label, const QString& name, QLabel** error) {
  QLabel* caption = makeLabel(label, "secondary", this);
  auto* field = new QLineEdit(this);
  field->setObjectName(name);
  field->setAccessibleName(label);
  field->setStyleSheet(tallStyle());
  caption->setBuddy(field);
  *error = makeLabel({}, "error", this);
  (*error)->setObjectName(name + QStringLiteral("Error"));
  (*error)->setWordWrap(true);
  (*error)->hide();
  column->addWidget(caption);
  column->addSpacing(spacing::kTight);
  column->addWidget(field);
  (*error)->setContentsMargins(0, spacing::kTight, 0, 0);
  column->addWidget(*error);
  column->addSpacing(spacing::kWide);
  return field;
}

QWidget* LoginDialog::makeForm() {
  auto* form = new QWidget(this);
  auto* column = new QVBoxLayout(form);
  column->setContentsMargins(44, 40, 44, 32);
  column->setSpacing(0);
  column->addWidget(makeLabel(tr("Log in"), "title", form));
  column->addSpacing(spacing::kSection);

  server_ = addField(column, tr("Server"), QStringLiteral("server"), &server_error_);
  server_->setPlaceholderText(tr("metrics.example.com:7443"));
  server_mark_ = makeLabel({}, "secondary", server_);
  server_mark_->setObjectName(QStringLiteral("serverMark"));
  auto* inside = new QHBoxLayout(server_);
  inside->setContentsMargins(0, 0, spacing::kWide, 0);
  inside->addStretch();
  inside->addWidget(server_mark_);
  user_ = addField(column, tr("User name or e-mail"), QStringLiteral("user"), &user_error_);
  password_ = addField(column, tr("Password"), QStringLiteral("password"), &password_error_);
  password_->setEchoMode(QLineEdit::Password);

  keep_ = new QCheckBox(tr("Keep me logged in on this computer"), form);
  keep_->setObjectName(QStringLiteral("keepLoggedIn"));
  keep_->setToolTip(
      tr("Keeps a session in a file that only you can read (pulseboard/sessions.json in your state folder).\n"
         "Your password is never kept. Logging out removes it."));
  column->addWidget(keep_);
  column->addSpacing(spacing::kSection);
  submit_ = new QPushButton(tr("Log in"), form);
  submit_->setObjectName(QStringLiteral("logIn"));
  submit_->setProperty("kind", "primary");
  submit_->setStyleSheet(tallStyle());
  submit_->setDefault(true);
  column->addWidget(submit_);
  column->addSpacing(spacing::kSection);
  notice_ = new LoginNotice(form);
  notice_->setObjectName(QStringLiteral("loginNotice"));
  column->addWidget(notice_);
  column->addStretch();

  connect(submit_, &QPushButton::clicked, this, &LoginDialog::submit);
  connect(user_, &QLineEdit::textChanged, this, [this] { setFieldError(user_error_, {}); });
  connect(password_, &QLineEdit::textChanged, this, [this] { setFieldError(password_error_, {}); });
  return form;
}

void LoginDialog::setServer(const QString& server) { server_->setText(server); }
void LoginDialog::setUser(const QString& user) { user_->setText(user); }

RememberedServer LoginDialog::used() const {
  const ConnectionStatus status = source_->connection();
  return {status.server.isEmpty() ? server_->text() : status.server, user_->text()};
}

void LoginDialog::choose(ServerRow* row) {
  clearErrors();
  server_->setText(row->server());
  if (!row->user().isEmpty()) user_->setText(row->user());
  (user_->text().isEmpty() ? user_ : password_)->setFocus(Qt::OtherFocusReason);
}

void LoginDialog::submit() {
  if (busy_) return;
  clearErrors();
  QLineEdit* missing = nullptr;
  const auto require = [&](QLineEdit* field, QLabel* error, const QString& text) {
    if (!field->text().trimmed().isEmpty()) return;
    setFieldError(error, text);
    if (missing == nullptr) missing = field;
  };
  require(server_, server_error_, tr("Which server? For example metrics.example.com:7443."));
  require(user_, user_error_, tr("Who are you?"));
  const QString kept = user_->text().trimmed().isEmpty() || !password_->text().isEmpty() ? QString() : keptServer();
  if (kept.isEmpty()) require(password_, password_error_, tr("The password is missing."));
  if (missing != nullptr) return missing->setFocus(Qt::OtherFocusReason);
  setBusy(true);
  if (!kept.isEmpty()) return source_->resumeSession(kept);
  source_->login({server_->text(), user_->text().trimmed(), password_->text(), keep_->isChecked()});
}

// The server's address as the kept session knows it; empty without one.
QString LoginDialog::keptServer() const {
  const QString text = server_->text().trimmed();
  for (const QString& kept : kept_servers_) {
    if (kept == text || shortServerName(kept) == text) return kept;
  }
  return {};
}

void LoginDialog::updateKept() {
  password_->setPlaceholderText(keptServer().isEmpty() ? QString() : tr("Session kept: leave empty to go on"));
}

void LoginDialog::onFailed(const UserError& error) {
  if (!isVisible()) return;
  setBusy(false);
  kept_servers_ = source_->keptServers();
  updateKept();
  showError(error);
}

void LoginDialog::showError(const UserError& error) {
  clearErrors();
  const QString text = error.title + QStringLiteral(". ") + error.detail;
  if (error.reason == QLatin1String("BAD_CREDENTIALS")) {
    setFieldError(password_error_, text);
    password_->selectAll();
    password_->setFocus(Qt::OtherFocusReason);
  } else if (isAboutServer(error.reason)) {
    setFieldError(server_error_, text);
    server_->setFocus(Qt::OtherFocusReason);
  } else {
    notice_->showError(error);
  }
}

void LoginDialog::onProbed(const ServerProbe& probe) {
  for (ServerRow* row : rows_) {
    if (row->server() == probe.server) row->setProbe(probe);
  }
  if (probe.server != server_->text()) return;
  if (!probe.reachable)
    return setMark(tr("not reachable"), "secondary", tr("Nothing answers at this address right now."));
  if (!probe.tls) {
    if (probe.trusted)
      return setMark(tr("this computer"), "secondary", tr("The connection does not leave this computer."));
    return setMark(tr("not encrypted"), "error", tr("This server does not encrypt. No password will be sent."));
  }
  setMark(probe.trusted ? tr("TLS ✓") : tr("TLS"), probe.trusted ? "ok" : "secondary",
          probe.trusted ? tr("Encrypted, and the certificate is known.")
                        : tr("Encrypted. You will be asked about its certificate."));
}

void LoginDialog::setMark(const QString& text, const char* kind, const QString& tip) {
  server_mark_->setText(text);
  server_mark_->adjustSize();
  server_mark_->setToolTip(tip);
  server_mark_->setProperty("kind", kind);
  server_mark_->setStyleSheet(qstrcmp(kind, "ok") == 0
                                  ? QStringLiteral("color: %1").arg(Theme::current().color(ColorRole::Ok).name())
                                  : QString());
  server_->setTextMargins(0, 0, text.isEmpty() ? 0 : server_mark_->sizeHint().width() + spacing::kWide, 0);
}

void LoginDialog::setFieldError(QLabel* label, const QString& text) {
  label->setText(text);
  label->setVisible(!text.isEmpty());
}

void LoginDialog::clearErrors() {
  for (QLabel* label : {server_error_, user_error_, password_error_}) setFieldError(label, {});
  notice_->clear();
}

void LoginDialog::setBusy(bool busy) {
  busy_ = busy;
  submit_->setText(busy ? tr("Logging in…") : tr("Log in"));
  submit_->setEnabled(!busy);
  for (QWidget* field : {static_cast<QWidget*>(server_), static_cast<QWidget*>(user_), static_cast<QWidget*>(password_),
                         static_cast<QWidget*>(keep_)}) {
    field->setEnabled(!busy);
  }
  for (ServerRow* row : rows_) row->setEnabled(!busy);
}

void LoginDialog::reject() {
  if (!busy_) return QDialog::reject();
  source_->logout();
  notice_->clear();
  setBusy(false);
  password_->setFocus(Qt::OtherFocusReason);
}

// Grows with an error or a question, so that nothing is cut off.
bool LoginDialog::event(QEvent* event) {
  const bool result = QDialog::event(event);
  if (event->type() == QEvent::LayoutRequest && isVisible()) {
    layout()->activate();
    const int needed =
        layout()->hasHeightForWidth() ? layout()->totalHeightForWidth(width()) : layout()->sizeHint().height();
    if (needed > height()) resize(width(), needed);
  }
  return result;
}

void LoginDialog::resizeEvent(QResizeEvent* event) {
  brand_side_->setVisible(width() >= kNarrowBelow);
  QDialog::resizeEvent(event);
}

void LoginDialog::showEvent(QShowEvent* event) {
  QDialog::showEvent(event);
  setBusy(notice_->isAsking());
  kept_servers_ = source_->keptServers();
  updateKept();
  for (ServerRow* row : rows_) source_->probeServer(row->server());
  if (server_->text().isEmpty()) return server_->setFocus(Qt::OtherFocusReason);
  (user_->text().isEmpty() ? user_ : password_)->setFocus(Qt::OtherFocusReason);
}

}  // namespace pulseboard::qt

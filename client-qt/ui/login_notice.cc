#include "client-qt/ui/login_notice.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPainter>
#include <QPushButton>
#include <QVBoxLayout>

#include "client-qt/ui/login_server_row.h"
#include "client-qt/ui/theme.h"

namespace pulseboard::qt {
namespace {

// 32 pairs in four lines of 8: two fingerprints beside each other compare by eye.
QString inLines(const QString& fingerprint) {
  constexpr int kLine = 8 * 3;
  QStringList lines;
  for (int from = 0; from < fingerprint.size(); from += kLine) lines << fingerprint.mid(from, kLine - 1);
  return lines.join(QLatin1Char('\n'));
}

}  // namespace

LoginNotice::LoginNotice(QWidget* parent)
    : QFrame(parent),
      text_(new QLabel(this)),
      compare_(new QPushButton(this)),
      fingerprints_(new QLabel(this)),
      pinned_(new QLabel(this)),
      refuse_(new QPushButton(this)),
      trust_(new QPushButton(this)) {
  text_->setObjectName(QStringLiteral("loginNoticeText"));
  text_->setWordWrap(true);
  text_->setTextFormat(Qt::RichText);
  text_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  compare_->setProperty("kind", "link");
  compare_->setObjectName(QStringLiteral("compareFingerprints"));
  fingerprints_->setObjectName(QStringLiteral("fingerprints"));
  pinned_->setObjectName(QStringLiteral("pinnedFingerprint"));
  for (QLabel* label : {fingerprints_, pinned_}) {
    label->setProperty("kind", "figures");
    label->setStyleSheet(QStringLiteral("font-size: 11px;"));
    label->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  }
  refuse_->setObjectName(QStringLiteral("refuseCertificate"));
  trust_->setObjectName(QStringLiteral("trustCertificate"));
  for (QPushButton* button : {compare_, refuse_, trust_}) button->setAutoDefault(false);

  auto* buttons = new QHBoxLayout;
  buttons->setSpacing(spacing::kBase);
  buttons->addWidget(trust_);
  buttons->addWidget(refuse_);
  buttons->addStretch();
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(spacing::kWide, spacing::kWide, spacing::kWide, spacing::kWide);
  column->setSpacing(spacing::kBase);
  column->addWidget(text_);
  column->addWidget(compare_, 0, Qt::AlignLeft);
  auto* pair = new QHBoxLayout;
  pair->setSpacing(spacing::kSection);
  pair->addWidget(fingerprints_);
  pair->addWidget(pinned_);
  pair->addStretch();
  column->addLayout(pair);
  column->addLayout(buttons);

  connect(compare_, &QPushButton::clicked, this, &LoginNotice::toggleFingerprints);
  connect(refuse_, &QPushButton::clicked, this, [this] { answer(false); });
  connect(trust_, &QPushButton::clicked, this, [this] { answer(true); });
  if (Theme::instance() != nullptr) {
    connect(Theme::instance(), &Theme::changed, this, [this] { setText(title_, detail_); });
  }
  clear();
}

void LoginNotice::clear() {
  asking_ = false;
  hide();
}

void LoginNotice::setText(const QString& title, const QString& detail) {
  title_ = title;
  detail_ = detail;
  const QColor color = Theme::current().color(critical_ ? ColorRole::Critical : ColorRole::WarningText);
  text_->setText(
      QStringLiteral("<b style='color:%1'>%2</b> %3").arg(color.name(), title.toHtmlEscaped(), detail.toHtmlEscaped()));
  setAccessibleName(title + QLatin1Char(' ') + detail);
}

void LoginNotice::showError(const UserError& error) {
  asking_ = false;
  critical_ = true;
  for (QWidget* widget :
       {static_cast<QWidget*>(compare_), static_cast<QWidget*>(fingerprints_), static_cast<QWidget*>(pinned_),
        static_cast<QWidget*>(refuse_), static_cast<QWidget*>(trust_)}) {
    widget->hide();
  }
  setText(error.title + QLatin1Char('.'), error.detail);
  show();
}

void LoginNotice::ask(const CertificateQuestion& question) {
  asking_ = true;
  critical_ = question.changed();
  const QString server = shortServerName(question.server);
  if (question.changed()) {
    setText(
        tr("New certificate."),
        tr("The certificate of %1 is not the one you trusted on %2. Somebody may be listening in, or the administrator "
           "has renewed it. Ask before you go on.")
            .arg(server, question.pinned_on));
    fingerprints_->setText(tr("Shown now\n%1").arg(inLines(question.fingerprint_sha256)));
    pinned_->setText(tr("Trusted on %1\n%2").arg(question.pinned_on, inLines(question.pinned_fingerprint_sha256)));
    trust_->setText(tr("Trust the new one"));
    trust_->setProperty("kind", "danger");
  } else {
    setText(
        tr("First visit."),
        tr("No authority vouches for the certificate of %1. It is the right one if its fingerprint is what the server "
           "printed at its start. It is remembered from now on.")
            .arg(server));
    fingerprints_->setText(tr("SHA-256 fingerprint\n%1").arg(inLines(question.fingerprint_sha256)));
    pinned_->clear();
    trust_->setText(tr("Trust and log in"));
    trust_->setProperty("kind", QVariant());
  }
  trust_->setStyleSheet(QString());  // reads the property again
  fingerprints_->setAccessibleName(fingerprints_->text());
  refuse_->setText(tr("Do not connect"));
  compare_->setText(tr("Compare fingerprints"));
  fingerprints_->hide();
  pinned_->hide();
  compare_->show();
  refuse_->show();
  trust_->show();
  show();
  refuse_->setFocus(Qt::OtherFocusReason);
}

void LoginNotice::toggleFingerprints() {
  const bool open = fingerprints_->isHidden();
  fingerprints_->setVisible(open);
  pinned_->setVisible(open && !pinned_->text().isEmpty());
  compare_->setText(open ? tr("Hide fingerprints") : tr("Compare fingerprints"));
}

void LoginNotice::answer(bool trust) {
  if (!asking_) return;
  clear();
  Q_EMIT answered(trust);
}

void LoginNotice::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(Qt::NoPen);
  painter.setBrush(Theme::current().color(critical_ ? ColorRole::Critical : ColorRole::Warning, 0.12));
  painter.drawRoundedRect(rect(), kPanelRadius, kPanelRadius);
}

}  // namespace pulseboard::qt

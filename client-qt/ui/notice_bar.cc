#include "client-qt/ui/notice_bar.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPainter>
#include <QPushButton>

#include "client-qt/ui/theme.h"

namespace pulseboard::qt {
namespace {

constexpr int kMinHeight = 36;

}  // namespace

NoticeBar::NoticeBar(QWidget* parent)
    : QFrame(parent), title_(new QLabel(this)), detail_(new QLabel(this)), action_(new QPushButton(this)) {
  setMinimumHeight(kMinHeight);
  setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Maximum);
  title_->setProperty("kind", "strong");
  detail_->setProperty("kind", "secondary");
  for (QLabel* label : {title_, detail_}) {
    label->setTextFormat(Qt::PlainText);
    label->setMinimumWidth(0);
  }
  detail_->setWordWrap(true);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(spacing::kSection + 24, spacing::kTight, spacing::kBase, spacing::kTight);
  row->addWidget(title_);
  row->addWidget(detail_, 1);
  row->addWidget(action_);
  action_->hide();
  connect(action_, &QPushButton::clicked, this, &NoticeBar::actionRequested);
  hide();
}

void NoticeBar::say(Icon icon, ColorRole role, const QString& title, const QString& detail, const QString& action) {
  icon_ = icon;
  role_ = role;
  title_->setText(title);
  detail_->setText(detail);
  action_->setText(action);
  action_->setVisible(!action.isEmpty());
  setAccessibleName(text());
  show();
  update();
}

QString NoticeBar::text() const { return title_->text() + QLatin1Char(' ') + detail_->text(); }

void NoticeBar::paintEvent(QPaintEvent*) {
  const Theme& theme = Theme::current();
  QPainter painter(this);
  painter.fillRect(rect(), theme.color(ColorRole::Panel));
  painter.fillRect(rect(), theme.color(role_, 0.10));
  painter.setPen(theme.color(ColorRole::Border));
  painter.drawLine(0, height() - 1, width(), height() - 1);
  paintIcon(painter, icon_, QRectF(spacing::kSection, 0, 16, height()), theme.color(role_));
}

}  // namespace pulseboard::qt

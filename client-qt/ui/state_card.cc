#include "client-qt/ui/state_card.h"

#include <QLabel>
#include <QPainter>
#include <QPushButton>
#include <QVBoxLayout>

#include "client-qt/ui/theme.h"

namespace pulseboard::qt {
namespace {

constexpr int kIconRoom = 24;

}  // namespace

StateCard::StateCard(QWidget* parent)
    : QWidget(parent), title_(new QLabel(this)), detail_(new QLabel(this)), action_(new QPushButton(this)) {
  title_->setProperty("kind", "strong");
  detail_->setProperty("kind", "secondary");
  for (QLabel* label : {title_, detail_}) {
    label->setAlignment(Qt::AlignHCenter);
    label->setWordWrap(true);
    label->setTextFormat(Qt::PlainText);
  }
  auto* column = new QVBoxLayout(this);
  column->setSpacing(spacing::kTight);
  column->addStretch(1);
  column->addSpacing(kIconRoom);
  column->addWidget(title_);
  column->addWidget(detail_);
  column->addSpacing(spacing::kTight);
  column->addWidget(action_, 0, Qt::AlignHCenter);
  column->addStretch(1);
  action_->hide();
  connect(action_, &QPushButton::clicked, this, &StateCard::actionRequested);
}

void StateCard::setWords(Icon icon, const QString& title, const QString& detail, const QString& action) {
  icon_ = icon;
  title_->setText(title);
  detail_->setText(detail);
  detail_->setVisible(!detail.isEmpty());
  action_->setText(action);
  action_->setVisible(!action.isEmpty());
  setAccessibleName(title);
  setAccessibleDescription(detail);
  update();
}

QString StateCard::titleText() const { return title_->text(); }

void StateCard::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  const ColorRole role = icon_ == Icon::Warning ? ColorRole::WarningText : ColorRole::Muted;
  const QRect place(0, title_->y() - kIconRoom - 2, width(), 20);
  paintIcon(painter, icon_, place, Theme::current().color(role));
}

}  // namespace pulseboard::qt

#include "client-qt/ui/panel_header.h"

#include <QLabel>
#include <QPushButton>
#include <algorithm>

#include "client-qt/ui/icons.h"
#include "client-qt/ui/theme.h"

namespace pulseboard::qt {
namespace {

constexpr int kInset = 12;
constexpr int kAction = 24;
constexpr int kTouchAction = 40;
constexpr int kMinTitle = 40;
constexpr int kActionOverhang = 6;  // the cross, not the button's edge, ends where the plot ends

void dress(QPushButton* button, Icon icon, const char* object_name, const QString& accessible, const QString& tip) {
  button->setIcon(themedIcon(icon, ColorRole::Secondary));
  button->setObjectName(QLatin1String(object_name));
  button->setAccessibleName(accessible);
  button->setToolTip(tip);
}

}  // namespace

PanelHeader::PanelHeader(QWidget* parent)
    : QWidget(parent),
      title_(new QLabel(this)),
      caption_(new QLabel(this)),
      badge_(new QLabel(this)),
      maximise_(new QPushButton(this)),
      remove_(new QPushButton(this)) {
  title_->setProperty("kind", "strong");
  caption_->setProperty("kind", "caption");
  badge_->setProperty("kind", "caption");
  for (QLabel* label : {title_, caption_, badge_}) label->setTextFormat(Qt::PlainText);
  badge_->hide();
  dress(remove_, Icon::Close, "remove", QStringLiteral("Remove panel"), QStringLiteral("Remove panel"));
  for (QPushButton* button : {maximise_, remove_}) {
    button->setProperty("kind", "quiet");
    button->setFixedSize(kAction, kAction);
    button->setStyleSheet(QStringLiteral("padding: 0; min-height: 22px;"));
    button->hide();
  }
  setMaximised(false);
  connect(maximise_, &QPushButton::clicked, this, &PanelHeader::maximiseToggled);
  connect(remove_, &QPushButton::clicked, this, &PanelHeader::removeRequested);
}

void PanelHeader::setWords(const QString& title, const QString& caption) {
  title_text_ = title;
  caption_text_ = caption;
  title_->setText(title);
  arrange();
}

void PanelHeader::setBadge(const QString& words) {
  if (words == badge_->text()) return;
  badge_->setText(words);
  badge_->setVisible(!words.isEmpty());
  arrange();
}

void PanelHeader::setMaximised(bool maximised) {
  if (maximised) {
    dress(maximise_, Icon::Restore, "maximise", QStringLiteral("Restore panel"), QStringLiteral("Restore (Esc)"));
  } else {
    dress(maximise_, Icon::Maximise, "maximise", QStringLiteral("Maximise panel"), QStringLiteral("Maximise"));
  }
}

void PanelHeader::setTouch(bool touch) {
  touch_ = touch;
  for (QPushButton* button : {maximise_, remove_})
    button->setFixedSize(touch ? kTouchAction : kAction, touch ? kHeight : kAction);
  setActive(false);
}

void PanelHeader::setActive(bool active) {
  const bool show = active || touch_;
  if (maximise_->isHidden() == !show) return;
  maximise_->setVisible(show);
  remove_->setVisible(show);
  arrange();
}

void PanelHeader::arrange() {
  int right = width() - kInset;
  // Actions take their room only while shown; the badge moves aside for them.
  for (QPushButton* button : {remove_, maximise_}) {
    if (button->isHidden()) continue;
    right -= button->width();
    button->move(right + kActionOverhang, (kHeight - button->height()) / 2 + 1);
  }
  if (!badge_->isHidden()) {
    const int wide = badge_->sizeHint().width();
    right -= wide;
    badge_->setGeometry(right, 0, wide, kHeight);
  }
  const QFontMetrics strong(Theme::current().font(FontRole::Strong));
  const int title_width = std::min(strong.horizontalAdvance(title_text_) + 2, std::max(kMinTitle, right - kInset));
  title_->setText(strong.elidedText(title_text_, Qt::ElideRight, title_width));
  title_->setGeometry(kInset, 0, title_width, kHeight);
  const int caption_left = kInset + title_width + spacing::kBase;
  const int caption_width = std::max(0, right - caption_left - spacing::kBase);
  const QFontMetrics small(Theme::current().font(FontRole::Caption));
  caption_->setText(small.elidedText(caption_text_, Qt::ElideRight, caption_width));
  caption_->setGeometry(caption_left, 1, caption_width, kHeight);
}

void PanelHeader::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  arrange();
}

}  // namespace pulseboard::qt

#include "client-qt/ui/time_range_popup.h"

#include <QDateTimeEdit>
#include <QGridLayout>
#include <QLabel>
#include <QPushButton>
#include <QScreen>
#include <QStyle>
#include <QVBoxLayout>

#include "client-qt/ui/theme.h"
#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr int kPresetColumns = 2;

QLabel* caption(const QString& words, QWidget* parent) {
  auto* label = new QLabel(words, parent);
  label->setProperty("kind", "caption");
  return label;
}

}  // namespace

TimeRangePopup::TimeRangePopup(QWidget* parent) : QFrame(parent, Qt::Popup) {
  setObjectName(QStringLiteral("timeRangePopup"));
  setProperty("kind", "popup");
  setAccessibleName(QStringLiteral("Time range"));
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(spacing::kWide, spacing::kWide, spacing::kWide, spacing::kWide);
  column->setSpacing(spacing::kBase);
  column->addWidget(caption(QStringLiteral("Following now"), this));
  auto* grid = new QGridLayout;
  grid->setSpacing(spacing::kTight);
  column->addLayout(grid);
  for (const TimeWindow::Preset& preset : TimeWindow::presets()) {
    auto* button = new QPushButton(preset.text, this);
    button->setProperty("kind", "quiet");
    button->setCheckable(true);
    button->setStyleSheet(QStringLiteral("text-align: left;"));
    const int index = static_cast<int>(presets_.size());
    // Down the first column, then the second: short ranges beside each other read badly.
    const int per_column = (static_cast<int>(TimeWindow::presets().size()) + kPresetColumns - 1) / kPresetColumns;
    grid->addWidget(button, index % per_column, index / per_column);
    connect(button, &QPushButton::clicked, this,
            [this, seconds = preset.seconds] { choose(TimeWindow::last(seconds)); });
    presets_.append(button);
  }
  auto* line = new QFrame(this);
  line->setProperty("kind", "line");
  column->addWidget(line);

  auto* custom = new QGridLayout;
  custom->setSpacing(spacing::kBase);
  column->addLayout(custom);
  from_ = new QDateTimeEdit(this);
  to_ = new QDateTimeEdit(this);
  from_->setAccessibleName(QStringLiteral("From"));
  to_->setAccessibleName(QStringLiteral("To"));
  from_->setObjectName(QStringLiteral("customFrom"));
  to_->setObjectName(QStringLiteral("customTo"));
  int row = 0;
  for (QDateTimeEdit* edit : {from_, to_}) {
    edit->setDisplayFormat(QStringLiteral("d MMM yyyy HH:mm:ss"));
    edit->setButtonSymbols(QAbstractSpinBox::NoButtons);
    edit->setFont(Theme::current().font(FontRole::Base));
    custom->addWidget(caption(edit->accessibleName(), this), row, 0);
    custom->addWidget(edit, row++, 1);
  }
  custom->setColumnStretch(1, 1);
  complaint_ = new QLabel(this);
  complaint_->setProperty("kind", "error");
  complaint_->hide();
  column->addWidget(complaint_);
  auto* apply = new QPushButton(QStringLiteral("Show this range"), this);
  apply->setObjectName(QStringLiteral("customApply"));
  column->addWidget(apply);
  connect(apply, &QPushButton::clicked, this, &TimeRangePopup::applyCustom);
}

void TimeRangePopup::openBelow(QWidget* anchor, const TimeWindow& window, qint64 now_unix_nanos, bool touch) {
  const auto& all = TimeWindow::presets();
  const bool custom = window.mode() == TimeWindow::Mode::Custom;
  for (qsizetype i = 0; i < presets_.size(); ++i) {
    presets_[i]->setChecked(!custom && window.lengthNanos() == all[i].seconds * kNanosPerSecond);
    presets_[i]->setProperty("touch", touch);
    presets_[i]->style()->unpolish(presets_[i]);
    presets_[i]->style()->polish(presets_[i]);
  }
  const TimeRange range = window.at(now_unix_nanos);
  from_->setDateTime(QDateTime::fromMSecsSinceEpoch(range.start / kNanosPerMilli));
  to_->setDateTime(QDateTime::fromMSecsSinceEpoch(range.end / kNanosPerMilli));
  complaint_->hide();
  adjustSize();
  QPoint place = anchor->mapToGlobal(QPoint(anchor->width() - width(), anchor->height() + spacing::kTight));
  const QRect room = anchor->window()->geometry();
  place.setX(std::clamp(place.x(), room.left() + spacing::kTight,
                        std::max(room.left() + spacing::kTight, room.right() - width())));
  move(place);
  show();
  for (QPushButton* button : presets_) {
    if (button->isChecked()) button->setFocus();
  }
}

void TimeRangePopup::choose(const TimeWindow& window) {
  hide();
  Q_EMIT chosen(window);
}

void TimeRangePopup::applyCustom() {
  const qint64 start = from_->dateTime().toMSecsSinceEpoch();
  const qint64 end = to_->dateTime().toMSecsSinceEpoch();
  if (end <= start) {
    complaint_->setText(QStringLiteral("“To” must be later than “From”."));
    complaint_->show();
    adjustSize();
    return;
  }
  choose(TimeWindow::custom(start * kNanosPerMilli, end * kNanosPerMilli));
}

}  // namespace pulseboard::qt

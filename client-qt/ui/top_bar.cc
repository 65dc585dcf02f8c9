#include "client-qt/ui/top_bar.h"

#include <QActionGroup>
#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QPainter>
#include <QPushButton>
#include <QStyle>

#include "client-qt/ui/icons.h"
#include "client-qt/ui/theme.h"

namespace pulseboard::qt {
namespace {

void name(QPushButton* button, const char* object_name, const QString& accessible, const QString& tip) {
  button->setObjectName(QLatin1String(object_name));
  button->setAccessibleName(accessible);
  button->setToolTip(tip);
}

void addThemeMenu(QMenu& menu) {
  Theme* theme = Theme::instance();
  if (theme == nullptr) return;
  QMenu* themes = menu.addMenu(QStringLiteral("Theme"));
  auto* group = new QActionGroup(themes);
  const std::pair<ThemeChoice, QString> choices[] = {{ThemeChoice::System, QStringLiteral("Like the system")},
                                                     {ThemeChoice::Dark, QStringLiteral("Dark")},
                                                     {ThemeChoice::Light, QStringLiteral("Light")}};
  for (const auto& [choice, words] : choices) {
    QAction* action = themes->addAction(words);
    action->setCheckable(true);
    action->setChecked(theme->choice() == choice);
    group->addAction(action);
    QObject::connect(action, &QAction::triggered, theme, [theme, picked = choice] { theme->setChoice(picked); });
  }
}

}  // namespace

TopBar::TopBar(QWidget* parent)
    : QFrame(parent),
      browser_(new QPushButton(this)),
      title_(new QLabel(this)),
      range_(new QPushButton(this)),
      live_(new QPushButton(QStringLiteral("Live"), this)),
      pause_(new QPushButton(this)),
      events_(new QPushButton(this)),
      add_(new QPushButton(QStringLiteral("+ Panel"), this)),
      account_(new QPushButton(this)) {
  setObjectName(QStringLiteral("topBar"));
  setProperty("kind", "bar");
  setFixedHeight(kHeight);
  name(browser_, "showBrowser", QStringLiteral("Show metric browser"), QStringLiteral("Metrics (Ctrl+B)"));
  name(range_, "timeRange", QStringLiteral("Time range"), QStringLiteral("Time range"));
  name(live_, "live", QStringLiteral("Live"), QStringLiteral("Follow now"));
  name(pause_, "pause", QStringLiteral("Pause"), QStringLiteral("Hold the picture (Space)"));
  name(events_, "events", QStringLiteral("Events on the charts"), {});
  name(add_, "addPanel", QStringLiteral("Add panel"), QStringLiteral("Add a panel"));
  name(account_, "account", QStringLiteral("Account and settings"), QStringLiteral("Account and settings"));
  browser_->setIcon(themedIcon(Icon::Menu));
  range_->setIcon(themedIcon(Icon::ChevronDown, ColorRole::Secondary));
  range_->setLayoutDirection(Qt::RightToLeft);  // the chevron follows the words
  pause_->setIcon(themedIcon(Icon::Pause));
  account_->setIcon(themedIcon(Icon::Person));
  for (QPushButton* button : {browser_, pause_, events_, account_}) button->setProperty("kind", "icon");
  live_->setProperty("kind", "live");
  live_->setCheckable(true);

  title_->setProperty("kind", "title");
  title_->setTextFormat(Qt::PlainText);
  title_->setMinimumWidth(0);
  title_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);

  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(spacing::kSection, 0, spacing::kSection, 0);
  row->setSpacing(spacing::kBase);
  row->addWidget(browser_);
  row->addWidget(title_, 1);
  for (QPushButton* button : {range_, live_, pause_, events_, add_, account_}) row->addWidget(button);

  connect(browser_, &QPushButton::clicked, this, &TopBar::browserRequested);
  connect(range_, &QPushButton::clicked, this, &TopBar::rangeRequested);
  connect(live_, &QPushButton::clicked, this, [this] {
    // A second press on a small screen, where there is no pause button, pauses.
    const bool was_live = window_.isLive();
    setWindow(window_);
    if (!was_live) {
      Q_EMIT liveRequested();
    } else if (narrow_) {
      Q_EMIT pauseRequested();
    }
  });
  connect(pause_, &QPushButton::clicked, this, [this] {
    if (window_.mode() == TimeWindow::Mode::Paused) {
      Q_EMIT liveRequested();
    } else {
      Q_EMIT pauseRequested();
    }
  });
  connect(events_, &QPushButton::clicked, this, &TopBar::toggleEvents);
  connect(add_, &QPushButton::clicked, this, &TopBar::addPanelRequested);
  connect(account_, &QPushButton::clicked, this, &TopBar::openMenu);
  setBrowserHidden(false);
  setWindow(window_);
  setEvents(true, {});
}

void TopBar::setTitle(const QString& title) {
  title_text_ = title;
  title_->setAccessibleName(title);
  updateTitle();
}

void TopBar::updateTitle() {
  title_->setText(
      QFontMetrics(Theme::current().font(FontRole::Title)).elidedText(title_text_, Qt::ElideRight, title_->width()));
}

void TopBar::resizeEvent(QResizeEvent* event) {
  QFrame::resizeEvent(event);
  layout()->activate();
  updateTitle();
}

void TopBar::updateRange() {
  const QString text = window_.text();
  range_->setText(narrow_ && text.startsWith(QLatin1String("Last ")) ? text.mid(5) : text);
}

void TopBar::setWindow(const TimeWindow& window) {
  window_ = window;
  updateRange();
  const bool live = window.isLive();
  const bool paused = window.mode() == TimeWindow::Mode::Paused;
  live_->setChecked(live);
  live_->setIcon(live ? themedIcon(Icon::Dot, ColorRole::Ok) : themedIcon(Icon::Ring, ColorRole::Unknown));
  live_->setText(paused ? QStringLiteral("Paused") : QStringLiteral("Live"));
  live_->setToolTip(live ? QStringLiteral("Following now") : QStringLiteral("Follow now"));
  pause_->setIcon(themedIcon(paused ? Icon::Play : Icon::Pause));
  pause_->setAccessibleName(paused ? QStringLiteral("Go on") : QStringLiteral("Pause"));
  pause_->setToolTip(paused ? QStringLiteral("Go on (Space)") : QStringLiteral("Hold the picture (Space)"));
  pause_->setEnabled(window.mode() != TimeWindow::Mode::Custom);
}

void TopBar::setEvents(bool shown, const QString& note) {
  events_shown_ = shown;
  events_->setIcon(themedIcon(shown ? Icon::Flag : Icon::FlagOff, shown ? ColorRole::Text : ColorRole::Secondary));
  const QString words = shown ? QStringLiteral("Hide the events (Ctrl+E)") : QStringLiteral("Show the events (Ctrl+E)");
  events_->setToolTip(note.isEmpty() ? words : words + QLatin1Char('\n') + note);
  events_->setAccessibleDescription(shown ? QStringLiteral("shown") : QStringLiteral("hidden"));
}

void TopBar::toggleEvents() { Q_EMIT eventsToggled(!events_shown_); }

void TopBar::setConnection(const ConnectionStatus& status) { status_ = status; }

void TopBar::setBrowserHidden(bool hidden) { browser_->setVisible(hidden); }

void TopBar::setNarrow(bool narrow) {
  narrow_ = narrow;
  layout()->setContentsMargins(narrow ? spacing::kBase : spacing::kSection, 0,
                               narrow ? spacing::kBase : spacing::kSection, 0);
  layout()->setSpacing(narrow ? spacing::kTight : spacing::kBase);
  pause_->setVisible(!narrow);
  events_->setVisible(!narrow);
  add_->setVisible(!narrow);
  account_->setIcon(themedIcon(Icon::Person));
  for (QPushButton* button : {browser_, range_, live_, pause_, events_, add_, account_}) {
    button->setProperty("touch", narrow);
    button->style()->unpolish(button);
    button->style()->polish(button);
  }
  updateRange();
  updateTitle();
}

QWidget* TopBar::addAnchor() { return (add_->isVisible() ? add_ : account_); }

void TopBar::openMenu() {
  QMenu menu(this);
  menu.setObjectName(QStringLiteral("accountMenu"));
  if (!status_.user.isEmpty()) {
    QAction* who = menu.addAction(QStringLiteral("%1 · %2").arg(status_.user, status_.role));
    who->setEnabled(false);
    menu.addSeparator();
  }
  if (narrow_) {
    connect(menu.addAction(QStringLiteral("Add panel…")), &QAction::triggered, this, &TopBar::addPanelRequested);
    QAction* events = menu.addAction(QStringLiteral("Events on the charts"));
    events->setCheckable(true);
    events->setChecked(events_shown_);
    connect(events, &QAction::triggered, this, &TopBar::toggleEvents);
  }
  addThemeMenu(menu);
  menu.addSeparator();
  connect(menu.addAction(QStringLiteral("Log out")), &QAction::triggered, this, &TopBar::logoutRequested);
  menu.adjustSize();
  menu.exec(
      account_->mapToGlobal(QPoint(account_->width() - menu.sizeHint().width(), account_->height() + spacing::kTight)));
}

void TopBar::paintEvent(QPaintEvent* event) {
  QFrame::paintEvent(event);
  QPainter painter(this);
  painter.setPen(Theme::current().color(ColorRole::Border));
  painter.drawLine(0, height() - 1, width(), height() - 1);
}

}  // namespace pulseboard::qt

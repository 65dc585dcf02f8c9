#include "client-qt/ui/style_sheet.h"

#include <QHash>

#include "client-qt/ui/theme.h"

namespace pulseboard::qt {
namespace {

// @role is a token; @accent14 is the accent at 14 % over whatever is below.
constexpr const char* kSheet = R"(
QToolTip { background: @raised; color: @text; border: 1px solid @border; padding: 4px 8px; }
QMainWindow, QDialog { background: @window; }

QPushButton {
  background: @raised; color: @text; border: 1px solid @border; border-radius: 6px;
  padding: 0 12px; min-height: 26px;
}
QPushButton:hover { border-color: @muted; }
QPushButton:pressed { background: @border; }
QPushButton:checked { background: @accent14; border-color: @accent; }
QPushButton:focus { border-color: @accent; }
QPushButton:disabled { color: @muted; background: @panel; }
QPushButton[kind="primary"] { background: @accent; color: @onAccent; border-color: @accent; font-weight: 600; }
QPushButton[kind="primary"]:hover { background: @accentHover; }
QPushButton[kind="primary"]:focus { border: 2px solid @text; }
QPushButton[kind="primary"]:disabled { background: @border; color: @muted; border-color: @border; }
QPushButton[kind="danger"] { color: @critical; }
QPushButton[kind="live"]:checked { background: @ok10; border-color: @ok; color: @ok; }
QPushButton[kind="live"]:checked:focus { border: 2px solid @ok; }
QPushButton[kind="quiet"] { background: transparent; border-color: transparent; padding: 0 8px; }
QPushButton[kind="quiet"]:hover { background: @raised; border-color: @border; }
QPushButton[kind="quiet"]:focus { border-color: @accent; }
QPushButton[kind="chip"] { background: transparent; color: @secondary; border-radius: 12px; padding: 0 10px;
  min-height: 22px; }
QPushButton[kind="chip"]:hover { color: @text; }
QPushButton[kind="icon"] { padding: 0; min-width: 26px; }
QPushButton[kind="link"] { background: transparent; border: none; color: @accentText; padding: 0; text-align: left; }
QPushButton[kind="link"]:hover, QPushButton[kind="link"]:focus { text-decoration: underline; }
QPushButton[touch="true"] { min-height: 42px; }
QPushButton[touch="true"] { padding: 0 8px; }
QPushButton[touch="true"][kind="icon"] { min-width: 42px; padding: 0; }

QLineEdit, QDateTimeEdit, QComboBox {
  background: @field; color: @text; border: 1px solid @border; border-radius: 6px;
  padding: 0 8px; min-height: 26px; selection-background-color: @accent; selection-color: @onAccent;
}
QLineEdit:focus, QDateTimeEdit:focus, QComboBox:focus { border-color: @accent; }
QLineEdit:disabled, QComboBox:disabled { color: @muted; }
QComboBox::drop-down, QDateTimeEdit::drop-down { border: none; width: 20px; }
QComboBox QAbstractItemView { background: @raised; border: 1px solid @border; color: @text; outline: none;
  selection-background-color: @accent14; selection-color: @text; }
QLineEdit[touch="true"] { min-height: 42px; }

QMenu { background: @raised; color: @text; border: 1px solid @border; padding: 4px; }
QMenu::item { padding: 6px 24px 6px 12px; border-radius: 4px; }
QMenu::item:selected { background: @accent14; }
QMenu::item:disabled { color: @secondary; }
QMenu::separator { height: 1px; background: @border; margin: 4px 8px; }

QTreeView, QTableView, QListView { background: transparent; border: none; color: @text; outline: none; }
QHeaderView::section { background: transparent; color: @secondary; border: none; padding: 2px 8px; }

QScrollArea { background: transparent; border: none; }
QScrollBar:vertical { background: transparent; width: 8px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 8px; margin: 0; }
QScrollBar::handle { background: @border; border-radius: 3px; margin: 1px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::handle:hover { background: @muted; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }

QLabel { background: transparent; }
QLabel[kind="title"] { font-size: 16px; font-weight: 600; }
QLabel[kind="stat"] { font-size: 26px; font-weight: 600; }
QLabel[kind="strong"] { font-weight: 600; }
QLabel[kind="caption"] { font-size: 11px; color: @secondary; }
QLabel[kind="figures"] { font-family: "@mono"; font-size: 12px; }
QLabel[kind="error"] { color: @critical; }
QLabel[kind="secondary"] { color: @secondary; }
QFrame[kind="panel"] { background: @panel; border: 1px solid @border; border-radius: 6px; }
QFrame[kind="bar"] { background: @panel; border: none; }
QFrame[kind="line"] { background: @border; border: none; min-height: 1px; max-height: 1px; }
QFrame[kind="popup"] { background: @raised; border: 1px solid @border; }
QCheckBox { spacing: 8px; background: transparent; }
)";

QString css(const QColor& color) {
  return QStringLiteral("rgba(%1,%2,%3,%4)").arg(color.red()).arg(color.green()).arg(color.blue()).arg(color.alpha());
}

QHash<QString, QString> valuesOf(const Theme& theme) {
  QHash<QString, QString> values{
      {QStringLiteral("window"), css(theme.color(ColorRole::Window))},
      {QStringLiteral("panel"), css(theme.color(ColorRole::Panel))},
      {QStringLiteral("raised"), css(theme.color(ColorRole::Raised))},
      {QStringLiteral("border"), css(theme.color(ColorRole::Border))},
      {QStringLiteral("text"), css(theme.color(ColorRole::Text))},
      {QStringLiteral("secondary"), css(theme.color(ColorRole::Secondary))},
      {QStringLiteral("muted"), css(theme.color(ColorRole::Muted))},
      {QStringLiteral("accent"), css(theme.color(ColorRole::Accent))},
      {QStringLiteral("accentText"), css(theme.color(ColorRole::AccentText))},
      {QStringLiteral("onAccent"), css(theme.color(ColorRole::OnAccent))},
      {QStringLiteral("ok"), css(theme.color(ColorRole::Ok))},
      {QStringLiteral("critical"), css(theme.color(ColorRole::Critical))},
      {QStringLiteral("accent14"), css(theme.color(ColorRole::Accent, 0.14))},
      {QStringLiteral("ok10"), css(theme.color(ColorRole::Ok, 0.10))},
      {QStringLiteral("field"), css(theme.color(theme.isDark() ? ColorRole::Raised : ColorRole::Panel))},
      {QStringLiteral("mono"), Theme::monoFamily()},
  };
  const QColor accent = theme.color(ColorRole::Accent);
  values.insert(QStringLiteral("accentHover"), css(theme.isDark() ? accent.lighter(110) : accent.darker(110)));
  return values;
}

}  // namespace

QString styleSheetOf(const Theme& theme) {
  const QHash<QString, QString> values = valuesOf(theme);
  const QString sheet = QString::fromLatin1(kSheet);
  QString out;
  out.reserve(sheet.size() * 2);
  for (qsizetype i = 0; i < sheet.size(); ++i) {
    if (sheet[i] != QLatin1Char('@')) {
      out += sheet[i];
      continue;
    }
    qsizetype end = i + 1;
    while (end < sheet.size() && sheet[end].isLetterOrNumber()) ++end;
    out += values.value(sheet.mid(i + 1, end - i - 1));
    i = end - 1;
  }
  return out;
}

}  // namespace pulseboard::qt

// The look of the app: one table of tokens per theme, and the only place that knows a colour.
// Widgets ask for roles (`Theme::current().color(ColorRole::Text)`) when they paint, so a theme change needs no more
// than the repaint the new palette brings; who keeps copies (charts) listens to changed().
//
// Plain widgets are dressed by the style sheet. Say what a control is by the dynamic property "kind":
//   QPushButton  "primary" (one per dialog), "quiet" (no frame until hovered), "live" (checked: ok frame), "danger"
//   QLabel       "title", "caption" (secondary, 11 px), "stat", "figures" (mono), "error", "strong"
//   QFrame       "panel" (radius 6, border), "bar" (panel colour), "line" (1 px rule)
// GUI thread only.
#pragma once

#include <QColor>
#include <QFont>
#include <QObject>
#include <array>

#include "client-qt/chart/chart_style.h"

class QApplication;

namespace pulseboard::qt {

// Muted is for marks (chevrons, ticks, disabled text), never for text to be read: it has 3 : 1, not 4.5 : 1.
// AccentText and WarningText are accent and warning where they colour words.
enum class ColorRole {
  Window,
  Panel,
  Raised,
  Border,
  Text,
  Secondary,
  Muted,
  Accent,
  AccentText,
  OnAccent,  // words on a filled accent control
  Ok,
  Warning,
  WarningText,
  Critical,
  Unknown,
};
inline constexpr int kColorRoles = static_cast<int>(ColorRole::Unknown) + 1;

enum class FontRole { Base, Strong, Caption, Title, Stat, Figures, FiguresSmall };

struct ThemeTokens {
  std::array<QRgb, kColorRoles> colors;
  std::array<QRgb, kSeriesColors> series;
};
const ThemeTokens& darkTokens();
const ThemeTokens& lightTokens();

// Spacing in device-independent pixels; everything sits on multiples of 8, inner gaps of 4.
namespace spacing {
inline constexpr int kTight = 4;
inline constexpr int kBase = 8;
inline constexpr int kWide = 12;
inline constexpr int kSection = 16;
}  // namespace spacing
inline constexpr int kControlHeight = 28;
inline constexpr int kTouchHeight = 44;  // below 640 px of window width
inline constexpr int kPanelRadius = 6;

enum class ThemeChoice { System, Dark, Light };
ThemeChoice themeChoiceFromWord(const QString& word);  // "dark", "light"; all else System
QString themeChoiceWord(ThemeChoice choice);

class Theme : public QObject {
  Q_OBJECT

 public:
  // Dresses the application. Create exactly one, right after QApplication and before the first widget.
  explicit Theme(QApplication& app, ThemeChoice choice = ThemeChoice::System);
  ~Theme() override;
  // The one in use; without a Theme object (tests of single widgets) the dark one.
  static const Theme& current();
  static Theme* instance();

  ThemeChoice choice() const { return choice_; }
  void setChoice(ThemeChoice choice);
  bool isDark() const { return dark_; }

  const ThemeTokens& tokens() const { return dark_ ? darkTokens() : lightTokens(); }
  QColor color(ColorRole role) const { return QColor::fromRgb(tokens().colors[static_cast<int>(role)]); }
  QColor color(ColorRole role, double opacity) const;
  QColor series(int index) const { return QColor::fromRgb(tokens().series[index % kSeriesColors]); }
  QFont font(FontRole role) const;
  ChartStyle chartStyle() const;

  // Names of the families really in use; empty when the machine has no usable font (then all text would be boxes).
  static QString sansFamily();
  static QString monoFamily();

 Q_SIGNALS:
  void changed();

 private:
  Theme();
  void onSystemScheme(bool dark);
  void apply();

  QApplication* app_ = nullptr;
  ThemeChoice choice_ = ThemeChoice::Dark;
  bool system_dark_ = true;
  bool dark_ = true;
};

}  // namespace pulseboard::qt

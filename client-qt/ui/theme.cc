#include "client-qt/ui/theme.h"

#include <QApplication>
#include <QFontDatabase>
#include <QPalette>

#include "client-qt/ui/control_style.h"
#include "client-qt/ui/style_sheet.h"
#include "client-qt/ui/system_scheme.h"

namespace pulseboard::qt {
namespace {

Theme* g_theme = nullptr;

QString firstFamily(std::initializer_list<const char*> wanted, QFontDatabase::SystemFont fallback) {
  const QStringList present = QFontDatabase::families();
  for (const char* name : wanted) {
    if (present.contains(QLatin1String(name))) return QLatin1String(name);
  }
  return present.isEmpty() ? QString() : QFontDatabase::systemFont(fallback).family();
}

QPalette paletteOf(const Theme& theme) {
  QPalette palette;
  const auto set = [&](QPalette::ColorRole role, ColorRole token) { palette.setColor(role, theme.color(token)); };
  set(QPalette::Window, ColorRole::Window);
  set(QPalette::WindowText, ColorRole::Text);
  set(QPalette::Base, ColorRole::Panel);
  set(QPalette::AlternateBase, ColorRole::Raised);
  set(QPalette::Text, ColorRole::Text);
  set(QPalette::Button, ColorRole::Raised);
  set(QPalette::ButtonText, ColorRole::Text);
  set(QPalette::BrightText, ColorRole::Critical);
  set(QPalette::ToolTipBase, ColorRole::Raised);
  set(QPalette::ToolTipText, ColorRole::Text);
  set(QPalette::PlaceholderText, ColorRole::Secondary);
  set(QPalette::Highlight, ColorRole::Accent);
  set(QPalette::HighlightedText, ColorRole::OnAccent);
  set(QPalette::Link, ColorRole::AccentText);
  set(QPalette::Light, ColorRole::Raised);
  set(QPalette::Midlight, ColorRole::Raised);
  set(QPalette::Mid, ColorRole::Border);
  set(QPalette::Dark, ColorRole::Border);
  set(QPalette::Shadow, ColorRole::Border);
  for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText}) {
    palette.setColor(QPalette::Disabled, role, theme.color(ColorRole::Muted));
  }
  return palette;
}

}  // namespace

const ThemeTokens& darkTokens() {
  static constexpr ThemeTokens kDark{
      {0xff0f1216, 0xff171b21, 0xff1f252d, 0xff2a313b, 0xffe6e9ee, 0xff9aa4b2, 0xff66707f, 0xff4c9aff, 0xff4c9aff,
       0xff0f1216, 0xff3fb68b, 0xffe5a33d, 0xffe5a33d, 0xfff0616d, 0xff9aa4b2},
      {0xff4c9aff, 0xfff2a541, 0xff3fb68b, 0xffc983e0, 0xffef6f6c, 0xff55c7e6, 0xffe3d04f, 0xffa3a9b5}};
  return kDark;
}

const ThemeTokens& lightTokens() {
  static constexpr ThemeTokens kLight{
      {0xfff4f5f7, 0xffffffff, 0xfff8f9fb, 0xffdde2e8, 0xff1b2430, 0xff556171, 0xff8892a0, 0xff1f6feb, 0xff1a63d6,
       0xffffffff, 0xff1a7f5a, 0xffb26a00, 0xff8f5500, 0xffc9323f, 0xff556171},
      {0xff1f6feb, 0xffc96a00, 0xff1a7f5a, 0xff8f4bb8, 0xffc9323f, 0xff0e86a8, 0xff8a7a00, 0xff5f6875}};
  return kLight;
}

ThemeChoice themeChoiceFromWord(const QString& word) {
  if (word == QLatin1String("dark")) return ThemeChoice::Dark;
  if (word == QLatin1String("light")) return ThemeChoice::Light;
  return ThemeChoice::System;
}

QString themeChoiceWord(ThemeChoice choice) {
  switch (choice) {
    case ThemeChoice::Dark:
      return QStringLiteral("dark");
    case ThemeChoice::Light:
      return QStringLiteral("light");
    case ThemeChoice::System:
      break;
  }
  return QStringLiteral("system");
}

Theme::Theme() = default;

Theme::Theme(QApplication& app, ThemeChoice choice) : app_(&app), choice_(choice) {
  g_theme = this;
  auto* scheme = new SystemScheme(QApplication::palette(), this);
  system_dark_ = scheme->isDark();
  connect(scheme, &SystemScheme::changed, this, &Theme::onSystemScheme);
  QApplication::setStyle(new ControlStyle);
  apply();
}

Theme::~Theme() {
  if (g_theme == this) g_theme = nullptr;
}

const Theme& Theme::current() {
  if (g_theme != nullptr) return *g_theme;
  static const Theme kUndressed;
  return kUndressed;
}

Theme* Theme::instance() { return g_theme; }

void Theme::setChoice(ThemeChoice choice) {
  if (choice == choice_) return;
  choice_ = choice;
  apply();
}

void Theme::onSystemScheme(bool dark) {
  system_dark_ = dark;
  if (choice_ == ThemeChoice::System) apply();
}

void Theme::apply() {
  dark_ = choice_ == ThemeChoice::System ? system_dark_ : choice_ == ThemeChoice::Dark;
  QApplication::setFont(font(FontRole::Base));
  QApplication::setPalette(paletteOf(*this));
  app_->setStyleSheet(styleSheetOf(*this));
  Q_EMIT changed();
}

QColor Theme::color(ColorRole role, double opacity) const {
  QColor color = this->color(role);
  color.setAlphaF(static_cast<float>(opacity));
  return color;
}

QFont Theme::font(FontRole role) const {
  const bool mono = role == FontRole::Figures || role == FontRole::FiguresSmall;
  QFont font(mono ? monoFamily() : sansFamily());
  font.setPixelSize(13);
  switch (role) {
    case FontRole::Base:
      break;
    case FontRole::Strong:
      font.setWeight(QFont::DemiBold);
      break;
    case FontRole::Caption:
    case FontRole::FiguresSmall:
      font.setPixelSize(11);
      break;
    case FontRole::Title:
      font.setPixelSize(16);
      font.setWeight(QFont::DemiBold);
      break;
    case FontRole::Stat:
      font.setPixelSize(26);
      font.setWeight(QFont::DemiBold);
      break;
    case FontRole::Figures:
      font.setPixelSize(12);
      break;
  }
  font.setStyleHint(mono ? QFont::Monospace : QFont::SansSerif);
  return font;
}

ChartStyle Theme::chartStyle() const {
  ChartStyle style;
  style.panel = color(ColorRole::Panel);
  style.raised = color(ColorRole::Raised);
  style.border = color(ColorRole::Border);
  style.text = color(ColorRole::Text);
  style.secondary = color(ColorRole::Secondary);
  style.muted = color(ColorRole::Muted);
  style.accent = color(ColorRole::Accent);
  style.warning = color(ColorRole::Warning);
  style.critical = color(ColorRole::Critical);
  for (int i = 0; i < kSeriesColors; ++i) style.series[i] = series(i);
  style.base = font(FontRole::Base);
  style.caption = font(FontRole::Caption);
  style.figures = font(FontRole::Figures);
  return style;
}

QString Theme::sansFamily() {
  static const QString kFamily = firstFamily({"Inter", "DejaVu Sans"}, QFontDatabase::GeneralFont);
  return kFamily;
}

QString Theme::monoFamily() {
  static const QString kFamily = firstFamily({"JetBrains Mono", "DejaVu Sans Mono"}, QFontDatabase::FixedFont);
  return kFamily;
}

}  // namespace pulseboard::qt

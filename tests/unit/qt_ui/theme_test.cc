// The look is readable: contrast of words and lines, colours apart for colour-blind eyes, theme change at run time.
#include "client-qt/ui/theme.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QLabel>
#include <QPixmap>
#include <array>
#include <cmath>

#include "client-qt/ui/icons.h"

namespace pulseboard::qt {
namespace {

using Vec = std::array<double, 3>;
using Matrix = std::array<Vec, 3>;

// Machado, Oliveira, Fernandes 2009, severity 1.0, for linear RGB.
constexpr Matrix kNormal{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
constexpr Matrix kProtanopia{
    {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}}};
constexpr Matrix kDeuteranopia{
    {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}}};
constexpr Matrix kTritanopia{
    {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}}};

// CIE76 distance; 2.3 is just noticeable side by side, thin lines need several times that.
constexpr double kApart = 9.0;
constexpr double kTextContrast = 4.5;
constexpr double kMarkContrast = 3.0;

double linear(int channel) {
  const double c = channel / 255.0;
  return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
}

Vec linearRgb(QRgb c) { return {linear(qRed(c)), linear(qGreen(c)), linear(qBlue(c))}; }

double contrast(QRgb a, QRgb b) {
  const auto luminance = [](QRgb c) {
    const Vec v = linearRgb(c);
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2];
  };
  const double x = luminance(a);
  const double y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

Vec lab(const Vec& rgb) {
  const auto f = [](double t) { return t > 0.008856 ? std::cbrt(t) : 7.787 * t + 16.0 / 116; };
  const double x = f((0.4124 * rgb[0] + 0.3576 * rgb[1] + 0.1805 * rgb[2]) / 0.95047);
  const double y = f(0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]);
  const double z = f((0.0193 * rgb[0] + 0.1192 * rgb[1] + 0.9505 * rgb[2]) / 1.08883);
  return {116 * y - 16, 500 * (x - y), 200 * (y - z)};
}

double seenDistance(QRgb a, QRgb b, const Matrix& eye) {
  const auto seen = [&](QRgb c) {
    const Vec in = linearRgb(c);
    Vec out{};
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 3; ++j) out[i] += eye[i][j] * in[j];
      out[i] = std::clamp(out[i], 0.0, 1.0);
    }
    return lab(out);
  };
  const Vec x = seen(a);
  const Vec y = seen(b);
  return std::sqrt(std::pow(x[0] - y[0], 2) + std::pow(x[1] - y[1], 2) + std::pow(x[2] - y[2], 2));
}

QRgb token(const ThemeTokens& tokens, ColorRole role) { return tokens.colors[static_cast<int>(role)]; }

class EveryTheme : public testing::TestWithParam<const ThemeTokens*> {};

TEST_P(EveryTheme, WordsReadOnEverySurface) {
  const ThemeTokens& tokens = *GetParam();
  for (const ColorRole surface : {ColorRole::Window, ColorRole::Panel, ColorRole::Raised}) {
    for (const ColorRole words : {ColorRole::Text, ColorRole::Secondary, ColorRole::AccentText, ColorRole::Ok,
                                  ColorRole::WarningText, ColorRole::Critical, ColorRole::Unknown}) {
      EXPECT_GE(contrast(token(tokens, words), token(tokens, surface)), kTextContrast)
          << "role " << static_cast<int>(words) << " on " << static_cast<int>(surface);
    }
  }
  EXPECT_GE(contrast(token(tokens, ColorRole::OnAccent), token(tokens, ColorRole::Accent)), kTextContrast);
}

TEST_P(EveryTheme, MarksAndLinesShowOnThePanel) {
  const ThemeTokens& tokens = *GetParam();
  const QRgb panel = token(tokens, ColorRole::Panel);
  for (const QRgb series : tokens.series) EXPECT_GE(contrast(series, panel), kMarkContrast) << std::hex << series;
  for (const ColorRole mark : {ColorRole::Muted, ColorRole::Accent, ColorRole::Warning}) {
    EXPECT_GE(contrast(token(tokens, mark), panel), kMarkContrast) << static_cast<int>(mark);
  }
}

TEST_P(EveryTheme, FirstSixSeriesStayApartForEveryEye) {
  const ThemeTokens& tokens = *GetParam();
  for (const Matrix& eye : {kNormal, kProtanopia, kDeuteranopia, kTritanopia}) {
    for (int i = 0; i < 6; ++i) {
      for (int j = i + 1; j < 6; ++j) {
        EXPECT_GE(seenDistance(tokens.series[i], tokens.series[j], eye), kApart) << "series " << i + 1 << ", " << j + 1;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Themes, EveryTheme, testing::Values(&darkTokens(), &lightTokens()),
                         [](const auto& theme) { return theme.index == 0 ? "Dark" : "Light"; });

struct Dressed {
  Dressed() : app(argc, argv.data()) {}
  const bool offscreen = qputenv("QT_QPA_PLATFORM", "offscreen");
  int argc = 1;
  std::array<char*, 2> argv = {const_cast<char*>("theme_test"), nullptr};
  QApplication app;
};

TEST(Theme, ChangesAtRunTime) {
  Dressed dressed;
  Theme theme(dressed.app, ThemeChoice::Dark);
  QLabel label(QStringLiteral("words"));
  EXPECT_EQ(label.palette().color(QPalette::WindowText), theme.color(ColorRole::Text));
  int changes = 0;
  QObject::connect(&theme, &Theme::changed, [&] { ++changes; });
  theme.setChoice(ThemeChoice::Light);
  EXPECT_EQ(changes, 1);
  EXPECT_FALSE(theme.isDark());
  EXPECT_EQ(label.palette().color(QPalette::WindowText), QColor::fromRgb(token(lightTokens(), ColorRole::Text)));
  theme.setChoice(ThemeChoice::Light);
  EXPECT_EQ(changes, 1);
}

TEST(Theme, LeavesNoTokenNameUnresolvedInTheSheet) {
  Dressed dressed;
  Theme theme(dressed.app, ThemeChoice::Light);
  EXPECT_FALSE(dressed.app.styleSheet().contains(QLatin1Char('@')));
  EXPECT_FALSE(dressed.app.styleSheet().contains(QLatin1String(": ;")));
}

TEST(Theme, FindsAFontToDrawWith) {
  Dressed dressed;
  EXPECT_FALSE(Theme::sansFamily().isEmpty());
  EXPECT_FALSE(Theme::monoFamily().isEmpty());
}

TEST(Theme, RepeatsLineColoursWithAnotherDash) {
  Dressed dressed;
  const ChartStyle style = Theme::current().chartStyle();
  EXPECT_EQ(style.line(0).color, style.line(8).color);
  EXPECT_NE(style.line(0).dash, style.line(8).dash);
  EXPECT_NE(style.line(0).color, style.line(24).color);
}

TEST(Icons, PaintInTheColourOfTheTheme) {
  Dressed dressed;
  Theme theme(dressed.app, ThemeChoice::Dark);
  for (int i = 0; i <= static_cast<int>(Icon::Ring); ++i) {
    const QImage image = themedIcon(static_cast<Icon>(i)).pixmap(QSize(16, 16)).toImage();
    int inked = 0;
    for (int y = 0; y < image.height(); ++y) {
      for (int x = 0; x < image.width(); ++x) inked += qAlpha(image.pixel(x, y)) > 0 ? 1 : 0;
    }
    EXPECT_GT(inked, 8) << "icon " << i;
  }
}

}  // namespace
}  // namespace pulseboard::qt

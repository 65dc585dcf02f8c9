// A QApplication without a display for the tests of one binary: include once, in one file.
#pragma once

#include <gtest/gtest.h>

#include <QApplication>
#include <QElapsedTimer>
#include <functional>
#include <memory>

#include "client-qt/ui/theme.h"

namespace pulseboard::qt {

class OffscreenApp : public testing::Environment {
 public:
  void SetUp() override {
    qputenv("QT_QPA_PLATFORM", "offscreen");
    qputenv("TZ", "Europe/Paris");
    app_ = std::make_unique<QApplication>(argc_, argv_);
    theme_ = std::make_unique<Theme>(*app_, ThemeChoice::Dark);
  }
  void TearDown() override {
    theme_.reset();
    app_.reset();
  }

 private:
  int argc_ = 1;
  char name_[16] = "qt_ui_test";
  char* argv_[2] = {name_, nullptr};
  std::unique_ptr<QApplication> app_;
  std::unique_ptr<Theme> theme_;
};

// Turns the event loop until `condition` holds; false after the deadline.
inline bool eventually(const std::function<bool()>& condition, int deadline_ms = 5000) {
  QElapsedTimer timer;
  timer.start();
  while (!condition()) {
    if (timer.elapsed() > deadline_ms) return false;
    QCoreApplication::processEvents(QEventLoop::AllEvents, 10);
  }
  return true;
}

// Pixels of about this colour inside `area` (offscreen, a device pixel is a pixel). `near`: larger takes smoothed edges
// in.
inline int pixelsLike(const QImage& image, const QColor& color, const QRect& area, int near = 40) {
  int count = 0;
  const QRect inside = area.intersected(image.rect());
  for (int y = inside.top(); y <= inside.bottom(); ++y) {
    for (int x = inside.left(); x <= inside.right(); ++x) {
      const QColor at = image.pixelColor(x, y);
      const int distance =
          std::abs(at.red() - color.red()) + std::abs(at.green() - color.green()) + std::abs(at.blue() - color.blue());
      count += distance < near ? 1 : 0;
    }
  }
  return count;
}

}  // namespace pulseboard::qt

// What the live window costs: PANELS charts of SERIES lines with POINTS points each, new samples HZ times a second.
// usage: chart_bench [key=value...]: panels=16 series=4 points=800 hz=10 seconds=5 width=1920 height=1080 hover=0
// Run it under Xvfb (or with QT_QPA_PLATFORM=offscreen). One line: frames drawn per second, CPU of the process.
#include <QApplication>
#include <QElapsedTimer>
#include <QEventLoop>
#include <QMouseEvent>
#include <QTimer>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "client-qt/ui/main_window.h"
#include "client-qt/ui/panel_view.h"
#include "client-qt/ui/theme.h"
#include "tests/bench/own_cpu_seconds.h"
#include "tests/unit/qt_ui/synthetic_source.h"

namespace pulseboard::qt {
namespace {

constexpr int kWarmUpMs = 2000;
constexpr int kHoverMs = 16;

void runFor(int ms) {
  QEventLoop loop;
  QTimer::singleShot(ms, &loop, &QEventLoop::quit);
  loop.exec();
}

DashboardSpec wall(SyntheticSource& source, int panels, int series) {
  DashboardSpec spec;
  spec.title = QStringLiteral("Wall");
  for (int p = 0; p < panels; ++p) {
    const QString metric = QStringLiteral("bench.metric_%1").arg(p);
    for (int s = 0; s < series; ++s) {
      source.addSeries(metric, {{QStringLiteral("series"), QString::number(s)}}, QStringLiteral("%"),
                       {20.0 + 15 * s, 10, 8, 0, 100});
    }
    PanelSpec& panel = spec.addPanel(metric);
    panel.width = 3;
    panel.column = p % 4 * 3;
    panel.row = p / 4;
  }
  return spec;
}

int run(QApplication& app, std::map<std::string, int> options) {
  Theme theme(app, ThemeChoice::Dark);
  SyntheticSource source(SystemClock());
  const qint64 step = kNanosPerSecond / options["hz"];
  source.setStep(step);
  DashboardSpec spec = wall(source, options["panels"], options["series"]);
  spec.window_seconds = std::max(1, options["points"] / options["hz"]);
  MainWindow window(source, spec);
  window.resize(options["width"], options["height"]);
  window.toggleBrowser();
  window.show();

  long frames = 0;
  int drawn_points = 0;
  for (const PanelSpec& panel : spec.panels) {
    QObject::connect(window.panel(panel.id), &PanelView::painted, &window, [&frames] { ++frames; });
  }
  QTimer push;
  push.setTimerType(Qt::PreciseTimer);
  QObject::connect(&push, &QTimer::timeout, &source, [&source] { source.push(); });
  push.start(1000 / options["hz"]);
  QTimer hover;
  int at = 0;
  QObject::connect(&hover, &QTimer::timeout, &window, [&] {
    LineChart* chart = window.panel(spec.panels.first().id)->lineChart();
    const QPointF point(60 + at++ % 200, 40);
    QMouseEvent move(QEvent::MouseMove, point, chart->viewport()->mapToGlobal(point), Qt::NoButton, Qt::NoButton,
                     Qt::NoModifier);
    QCoreApplication::sendEvent(chart->viewport(), &move);
  });
  if (options["hover"] != 0) hover.start(kHoverMs);
  runFor(kWarmUpMs);

  frames = 0;
  const double cpu = OwnCpuSeconds();
  QElapsedTimer timer;
  timer.start();
  runFor(options["seconds"] * 1000);
  const double elapsed = static_cast<double>(timer.elapsed()) / 1000;
  const double used = OwnCpuSeconds() - cpu;
  for (const PanelSpec& panel : spec.panels) drawn_points += window.panel(panel.id)->lineChart()->drawnPoints();
  std::printf(
      "chart_bench panels=%d series=%d points=%d hz=%d hover=%d platform=%s panel_frames_per_s=%.1f "
      "hz_per_panel=%.1f points_drawn=%d cpu_pct=%.1f cpu_us_per_panel_frame=%.0f\n  %s\n",
      options["panels"], options["series"], options["points"], options["hz"], options["hover"],
      qPrintable(QGuiApplication::platformName()), static_cast<double>(frames) / elapsed,
      static_cast<double>(frames) / elapsed / options["panels"], drawn_points, used / elapsed * 100,
      used / static_cast<double>(std::max(1L, frames)) * 1e6, qPrintable(window.statusText()));
  return 0;
}

}  // namespace
}  // namespace pulseboard::qt

int main(int argc, char** argv) {
  std::map<std::string, int> options{{"panels", 16}, {"series", 4},   {"points", 800},  {"hz", 10},
                                     {"seconds", 5}, {"width", 1920}, {"height", 1080}, {"hover", 0}};
  QApplication app(argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = word.find('=');
    if (equals == std::string::npos || !options.contains(word.substr(0, equals))) {
      std::fprintf(stderr, "chart_bench: '%s' is none of panels= series= points= hz= seconds= width= height= hover=\n",
                   argv[i]);
      return 2;
    }
    options[word.substr(0, equals)] = std::atoi(word.c_str() + equals + 1);
  }
  return pulseboard::qt::run(app, options);
}

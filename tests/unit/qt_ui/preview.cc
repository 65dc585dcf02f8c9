// Takes pictures of the window in every state with a synthetic source: `preview OUT_DIR [SCENE...]`. For the eye; run
// it under Xvfb or with QT_QPA_PLATFORM=offscreen. Exits 1 when a picture could not be written.
#include <QApplication>
#include <QDir>
#include <QElapsedTimer>
#include <QMenu>
#include <QMouseEvent>
#include <QPainter>
#include <QPushButton>
#include <cstdio>
#include <functional>

#include "client-qt/ui/main_window.h"
#include "client-qt/ui/panel_view.h"
#include "client-qt/ui/theme.h"
#include "tests/unit/qt_ui/synthetic_source.h"

namespace pulseboard::qt {
namespace {

// 24 Nov 2026 12:25:07 in Paris.
constexpr qint64 kNow = 1'795'519'507LL * kNanosPerSecond;

struct Stage {
  ManualClock clock{kNow};
  SyntheticSource source{clock};
  DashboardSpec spec = DashboardSpec::thisMachine();
  std::unique_ptr<MainWindow> window;

  void open(QSize size) {
    window = std::make_unique<MainWindow>(source, spec, clock);
    window->resize(size);
    window->show();
    settle();
  }
  static void settle(int ms = 120) {
    QElapsedTimer timer;
    timer.start();
    while (timer.elapsed() < ms) QCoreApplication::processEvents(QEventLoop::AllEvents, 10);
  }
  void live(int seconds) {
    for (int i = 0; i < seconds; ++i) {
      clock.Advance(kNanosPerSecond);
      source.push();
      settle(40);
    }
    settle(1100);  // legends and status line are renewed now and then
    source.push();
    settle();
  }
  LineChart* chart(const char* panel) { return window->panel(QLatin1String(panel))->lineChart(); }
  void hover(const char* panel, double share) {
    LineChart* target = chart(panel);
    const QPointF at(target->scale().plot.left() + target->scale().plot.width() * share, target->height() / 2.0);
    QMouseEvent move(QEvent::MouseMove, at, target->viewport()->mapToGlobal(at), Qt::NoButton, Qt::NoButton,
                     Qt::NoModifier);
    QCoreApplication::sendEvent(target->viewport(), &move);
  }
  void lose() {
    ConnectionStatus lost = source.connection();
    lost.state = ConnectionState::Reconnecting;
    lost.retry_in_ms = 3000;
    lost.last_seen_unix_nanos = kNow;
    clock.Advance(20 * kNanosPerSecond);
    source.setConnection(lost);
    settle(1200);
  }
  void press(const char* name) {
    window->findChild<QPushButton*>(QLatin1String(name))->click();
    settle();
  }
  QPixmap picture() {
    QPixmap shot = window->grab();
    QPainter painter(&shot);
    for (QWidget* top : QApplication::topLevelWidgets()) {
      if (top == window.get() || !top->isVisible() || !(top->windowFlags() & Qt::Popup)) continue;
      painter.drawPixmap(window->mapFromGlobal(top->pos()), top->grab());
    }
    return shot;
  }
};

using Scene = std::function<void(Stage&)>;
constexpr QSize kWide(1600, 1000);

void machine(Stage& stage) {
  stage.source.addMachine(QStringLiteral("web-01"));
  stage.open(kWide);
  stage.live(4);
}

// As the app meets a server that was started a few seconds ago.
void young(Stage& stage) {
  stage.source.setBorn(kNow - 16 * kNanosPerSecond);
  machine(stage);
}

void events(Stage& stage) {
  const auto push = [&stage](qint64 id, int seconds_ago, EventSeverity severity, const char* source, const char* text) {
    EventItem event;
    event.id = id;
    event.time = kNow - seconds_ago * kNanosPerSecond;
    event.severity = severity;
    event.source = QString::fromLatin1(source);
    event.labels = {{QStringLiteral("env"), QStringLiteral("prod")},
                    {QStringLiteral("service"), QStringLiteral("api")}};
    event.text = QString::fromUtf8(text);
    stage.source.pushEvent(event);
  };
  push(1, 250, EventSeverity::Info, "deploy", "api 1.2.3 rolled out");
  push(2, 190, EventSeverity::Warning, "health", "checkout answers slowly: p99 is 840 ms, usually 120 ms");
  push(3, 130, EventSeverity::Error, "syslog", "Out of memory: Killed process 4127 (node) total-vm:22031820kB");
  push(4, 128, EventSeverity::Info, "supervisor", "node restarted");
  push(5, 126, EventSeverity::Info, "deploy", "api 1.2.2 rolled back");
  push(6, 40, EventSeverity::Critical, "pager", "no heartbeat from db-02");
  machine(stage);
  stage.hover("load", 0.565);
  stage.settle();
}

void thirty(Stage& stage) {
  stage.spec = DashboardSpec();
  stage.spec.title = QStringLiteral("Thirty hosts");
  for (int i = 0; i < 30; ++i) {
    stage.source.addSeries(QStringLiteral("system.cpu.usage"),
                           {{QStringLiteral("host"), QStringLiteral("web-%1").arg(i + 1, 2, 10, QLatin1Char('0'))}},
                           QStringLiteral("%"), {10.0 + 2.5 * i, 8, 3, 0, 100});
  }
  stage.spec.addPanel(QStringLiteral("system.cpu.usage"));
  stage.spec.panels[0].width = 12;
  stage.spec.panels[0].height = 2;
  stage.open(kWide);
  stage.live(4);
}

using Scenes = std::vector<std::pair<QString, Scene>>;

std::pair<QString, Scene> scene(const char* name, Scene body) { return {QString::fromLatin1(name), std::move(body)}; }

// The window in its sizes and themes.
Scenes sizes() {
  return {
      scene("dark", machine),
      scene("light", machine),
      scene("narrow",
            [](Stage& s) {
              s.source.addMachine(QStringLiteral("web-01"));
              s.open(QSize(360, 780));
              s.live(4);
            }),
      scene("medium",
            [](Stage& s) {
              s.source.addMachine(QStringLiteral("web-01"));
              s.open(QSize(900, 900));
              s.live(4);
            }),
      scene("drawer",
            [](Stage& s) {
              s.source.addMachine(QStringLiteral("web-01"));
              s.open(QSize(900, 900));
              s.live(2);
              s.press("showBrowser");
            }),
      scene("4k",
            [](Stage& s) {
              s.source.addMachine(QStringLiteral("web-01"));
              s.open(QSize(3840, 2160));
              s.live(4);
            }),
  };
}

// States of the panels.
Scenes states() {
  return {
      scene("empty",
            [](Stage& s) {
              s.spec = DashboardSpec();
              s.spec.title = QStringLiteral("New dashboard");
              s.open(kWide);
            }),
      scene("nodata", [](Stage& s) { s.open(kWide); }),
      scene("loading",
            [](Stage& s) {
              machine(s);
              s.source.holdAnswers(true);
              s.window->setTimeWindow(TimeWindow::last(3600));
              s.settle(500);
            }),
      scene("error",
            [](Stage& s) {
              machine(s);
              s.source.failFeeds({QStringLiteral("The server refused this selection"),
                                  QStringLiteral("It would match 40,000 series; 10,000 are allowed. Narrow it."),
                                  QStringLiteral("QUERY_TOO_BROAD")});
              s.settle();
            }),
      scene("offline",
            [](Stage& s) {
              machine(s);
              s.lose();
            }),
      scene("offline-narrow",
            [](Stage& s) {
              s.source.addMachine(QStringLiteral("web-01"));
              s.open(QSize(360, 780));
              s.live(2);
              s.lose();
            }),
      scene("keys",
            [](Stage& s) {
              machine(s);
              s.chart("network")->setFocus(Qt::TabFocusReason);
              for (int i = 0; i < 9; ++i) {
                QKeyEvent left(QEvent::KeyPress, Qt::Key_Left, Qt::NoModifier);
                QCoreApplication::sendEvent(s.chart("network"), &left);
              }
              s.settle();
            }),
      scene("gap",
            [](Stage& s) {
              s.source.setHole({kNow - 140 * kNanosPerSecond, kNow - 102 * kNanosPerSecond});
              machine(s);
            }),
      scene("hover",
            [](Stage& s) {
              machine(s);
              s.hover("cpu", 0.42);
              s.settle();
            }),
      scene("events", events),
      scene("events-light", events),
      scene("young", young),
      scene("young-light", young),
      scene("thirty", thirty),
      scene("thirty-light", thirty),
  };
}

// What a person does.
Scenes actions() {
  return {
      scene("day",
            [](Stage& s) {
              s.spec.window_seconds = 86'400;
              machine(s);
            }),
      scene("custom",
            [](Stage& s) {
              machine(s);
              s.window->setTimeWindow(TimeWindow::custom(kNow - 9000 * kNanosPerSecond, kNow - 5400 * kNanosPerSecond));
              s.settle(500);
            }),
      scene("range",
            [](Stage& s) {
              machine(s);
              s.press("timeRange");
            }),
      scene("add",
            [](Stage& s) {
              machine(s);
              s.press("addPanel");
            }),
      scene("removed",
            [](Stage& s) {
              machine(s);
              s.window->removePanel(QStringLiteral("load"));
              s.settle(300);
            }),
      scene("maximised",
            [](Stage& s) {
              machine(s);
              s.window->toggleMaximised(QStringLiteral("network"));
              s.live(1);
            }),
  };
}

}  // namespace
}  // namespace pulseboard::qt

int main(int argc, char** argv) {
  using namespace pulseboard::qt;  // NOLINT: a program of one file
  qputenv("TZ", "Europe/Paris");
  QApplication app(argc, argv);
  const QStringList args = QApplication::arguments();
  if (args.size() < 2) {
    std::fprintf(stderr, "usage: preview OUT_DIR [SCENE...]\n");
    return 2;
  }
  const QDir out(args[1]);
  out.mkpath(QStringLiteral("."));
  Theme theme(app, ThemeChoice::Dark);
  bool good = true;
  Scenes scenes = sizes();
  for (Scenes part : {states(), actions()}) scenes.insert(scenes.end(), part.begin(), part.end());
  for (const auto& [name, body] : scenes) {
    if (args.size() > 2 && !args.mid(2).contains(name)) continue;
    theme.setChoice(name.contains(QLatin1String("light")) ? ThemeChoice::Light : ThemeChoice::Dark);
    Stage stage;
    body(stage);
    const QString file = out.filePath(name + QStringLiteral(".png"));
    good = stage.picture().save(file) && good;
    std::printf("%s  %s\n", qPrintable(file), qPrintable(stage.window->statusText()));
  }
  return good ? 0 : 1;
}

#include "client-qt/app/desktop.h"

#include <QApplication>
#include <QDir>
#include <QFileInfo>
#include <QPixmap>
#include <QScreen>
#include <cstdio>
#include <utility>

#include "client-qt/ui/main_window.h"
#include "common/base/log.h"

namespace pulseboard::qt {
namespace {

// Where `pulseboardd serve` listens unless told otherwise: the likeliest server of a first start.
constexpr const char* kFirstServer = "127.0.0.1:7443";
constexpr int kMovingPanels = 3;
constexpr int kScreenshotPollMs = 200;
constexpr int kStillMs = 1'000;  // until a window without live data has settled
const QSize kDefaultSize(1600, 1000);

NetOptions netOptions(const CommandLine& options) {
  NetOptions out;
  out.trusted_fingerprint = options.trusted_fingerprint;
  return out;
}

QSize fitting(const QSize& wanted) {
  const QScreen* screen = QGuiApplication::primaryScreen();
  return screen == nullptr ? wanted : wanted.boundedTo(screen->availableSize());
}

}  // namespace

Desktop::Desktop(CommandLine options) : options_(std::move(options)), source_(netOptions(options_)) {
  dialog_ = std::make_unique<LoginDialog>(&source_, memory_.servers());
  if (!options_.server.isEmpty()) {
    dialog_->setServer(options_.server);
  } else if (memory_.servers().isEmpty()) {
    dialog_->setServer(QString::fromLatin1(kFirstServer));
  }
  if (!options_.user.isEmpty()) dialog_->setUser(options_.user);
  connect(&source_, &MetricsSource::loggedIn, this, &Desktop::onLoggedIn);
  connect(&source_, &MetricsSource::loginFailed, this, &Desktop::onLoginFailed);
  connect(&source_, &MetricsSource::certificateQuestion, this, [this](const CertificateQuestion& question) {
    if (failUnattended({tr("Certificate not known"),
                        tr("Give --trust-fingerprint %1 to trust it.").arg(question.fingerprint_sha256),
                        {}}))
      return;
    dialog_->show();
  });
  connect(&source_, &MetricsSource::sessionEnded, this, [this](const UserError& error) {
    showDialog(error);
    closeWindow();
  });
  // Going from the dialog to the window and back is no end: only when neither is there any more.
  connect(
      qApp, &QGuiApplication::lastWindowClosed, this,
      [this] {
        if (!dialog_->isVisible() && !(window_ && window_->isVisible())) QApplication::quit();
      },
      Qt::QueuedConnection);
  connect(dialog_.get(), &QDialog::rejected, this, [this] {
    if (!window_) QApplication::quit();
  });
  if (Theme::instance() != nullptr) {
    connect(Theme::instance(), &Theme::changed, this, [this] { memory_.rememberTheme(Theme::instance()->choice()); });
  }
  connect(&screenshot_timer_, &QTimer::timeout, this, &Desktop::checkScreenshot);
}

Desktop::~Desktop() { closeWindow(); }

void Desktop::start() {
  if (!options_.screenshot.isEmpty()) {
    screenshot_wait_.start();
    screenshot_timer_.start(kScreenshotPollMs);
  }
  if (options_.hasCredentials()) return source_.login({options_.server, options_.user, options_.password, false});
  const QVector<RememberedServer> servers = memory_.servers();
  const QString server =
      !options_.server.isEmpty() ? options_.server : (servers.isEmpty() ? QString() : servers.front().server);
  if (!server.isEmpty() && source_.keptServers().contains(server)) return source_.resumeSession(server);
  showDialog({});
}

void Desktop::onLoggedIn() {
  memory_.rememberServer({source_.connection().server, source_.connection().user});
  window_ = std::make_unique<MainWindow>(source_, memory_.dashboard());
  connect(window_.get(), &MainWindow::dashboardChanged, this,
          [this](const DashboardSpec& spec) { memory_.rememberDashboard(spec); });
  connect(
      window_.get(), &MainWindow::logoutRequested, this,
      [this] {
        source_.logout();
        showDialog({});
        closeWindow();
      },
      Qt::QueuedConnection);  // the window is gone afterwards
  const bool restored = options_.size.isEmpty() && window_->restoreGeometry(memory_.geometry());
  if (!restored) window_->resize(fitting(options_.size.isEmpty() ? kDefaultSize : options_.size));
  window_->show();
  dialog_->hide();
}

void Desktop::closeWindow() {
  if (!window_) return;
  if (options_.screenshot.isEmpty()) memory_.rememberGeometry(window_->saveGeometry());
  window_.reset();
}

void Desktop::onLoginFailed(const UserError& error) {
  if (failUnattended(error) || dialog_->isVisible()) return;
  showDialog(error.reason == QLatin1String("NO_KEPT_SESSION") ? UserError() : error);
}

void Desktop::showDialog(const UserError& error) {
  dialog_->show();
  dialog_->raise();
  if (!error.isEmpty()) dialog_->showError(error);
}

bool Desktop::failUnattended(const UserError& error) {
  if (options_.screenshot.isEmpty() || !options_.hasCredentials()) return false;
  std::fprintf(stderr, "pulseboard: %s. %s\n", qPrintable(error.title), qPrintable(error.detail));
  QApplication::exit(1);
  return true;
}

bool Desktop::screenshotIsDue() {
  if (!options_.screenshot_when_moving) return screenshot_wait_.elapsed() >= kStillMs;
  if (!moving_.isValid() && window_ && window_->movingPanels() >= kMovingPanels) moving_.start();
  return moving_.isValid() && moving_.elapsed() >= 1'000 * options_.screenshot_after_s;
}

void Desktop::checkScreenshot() {
  QWidget* shown = window_ ? static_cast<QWidget*>(window_.get()) : dialog_.get();
  if (!shown->isVisible()) return;
  if (!screenshotIsDue()) {
    if (moving_.isValid() || screenshot_wait_.elapsed() < 1'000 * options_.screenshot_timeout_s) return;
    screenshot_timer_.stop();
    failUnattended({tr("Nothing moves"),
                    tr("No live data in %1 panels within %2 s.").arg(kMovingPanels).arg(options_.screenshot_timeout_s),
                    {}});
    return;
  }
  screenshot_timer_.stop();
  const QString path = QFileInfo(options_.screenshot).absoluteFilePath();
  QDir().mkpath(QFileInfo(path).absolutePath());
  const bool saved = shown->grab().save(path, "PNG");
  if (saved) {
    std::printf("%s\n", qPrintable(path));
    std::fflush(stdout);
  } else {
    std::fprintf(stderr, "pulseboard: cannot write %s\n", qPrintable(path));
  }
  if (!options_.stay) QApplication::exit(saved ? 0 : 1);
}

}  // namespace pulseboard::qt

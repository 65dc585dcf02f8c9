#include "tests/gui/desk.h"

#include <QApplication>
#include <QDir>
#include <QLineEdit>
#include <QSettings>
#include <cmath>

namespace pulseboard::qt {

absl::Status LiveServer::start() {
  if (absl::Status status = server_.Start(); !status.ok()) return status;
  if (agent_) return absl::OkStatus();
  agent_ = std::make_unique<pulseboard::testing::Process>(
      std::vector<std::string>{pulseboard::testing::BinaryPath("pulseboardd"), "agent", "--server", server_.address(),
                               "--user", "admin", "--password-file", server_.password_file(), "--pins",
                               server_.dir().File("agent.pins")},
      server_.dir().File("agent"));
  return absl::OkStatus();
}

Desk::Desk() {
  // Nothing of the person who runs the tests is read or changed.
  qputenv("XDG_STATE_HOME", QByteArray::fromStdString(dir_.File("state")));
  qputenv("XDG_CONFIG_HOME", QByteArray::fromStdString(dir_.File("config")));
  QSettings::setPath(QSettings::IniFormat, QSettings::UserScope, QString::fromStdString(dir_.File("config")));
}

Desk::~Desk() { close(); }

void Desk::open(CommandLine options) {
  close();
  if (options.size.isEmpty()) options.size = QSize(1600, 1000);
  desktop_ = std::make_unique<Desktop>(std::move(options));
  desktop_->start();
}

void Desk::close() { desktop_.reset(); }

void Desk::typeLogin(const QString& server, const QString& user, const QString& password) {
  ASSERT_TRUE(eventually([this] { return dialog()->isVisible() && dialog()->isEnabled(); }));
  QApplication::setActiveWindow(dialog());  // there is no window manager here
  const auto type = [this](const char* field, const QString& text) {
    auto* edit = child<QLineEdit>(dialog(), field);
    edit->setFocus();
    edit->selectAll();
    QTest::keyClicks(edit, text);
    EXPECT_EQ(edit->text(), text);
  };
  type("server", server);
  type("user", user);
  type("password", password);
  QTest::keyClick(child<QLineEdit>(dialog(), "password"), Qt::Key_Return);
}

bool Desk::logIn(LiveServer& server) {
  open();
  typeLogin(server.address(), QStringLiteral("admin"), server.password());
  return eventually([this] { return window() != nullptr && window()->isVisible(); });
}

bool eventually(const std::function<bool()>& condition, int timeout_ms) {
  return QTest::qWaitFor(condition, timeout_ms);
}

int pixelsLike(const QImage& image, const QColor& color) {
  constexpr int kNear = 110;  // a line 1.5 px wide is nowhere less than three quarters its colour
  int count = 0;
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      const QRgb pixel = image.pixel(x, y);
      const int distance = std::abs(qRed(pixel) - color.red()) + std::abs(qGreen(pixel) - color.green()) +
                           std::abs(qBlue(pixel) - color.blue());
      if (distance <= kNear) ++count;
    }
  }
  return count;
}

void saveScreenshot(QWidget* widget, const char* name) {
  const QDir dir(QStringLiteral(PULSEBOARD_SCREENSHOT_DIR));
  dir.mkpath(QStringLiteral("."));
  QCoreApplication::processEvents();  // layouts that were asked for
  EXPECT_TRUE(widget->grab().save(dir.filePath(QLatin1String(name) + QStringLiteral(".png"))));
}

void click(QWidget* widget) {
  ASSERT_NE(widget, nullptr);
  QTest::mouseClick(widget, Qt::LeftButton);
}

}  // namespace pulseboard::qt

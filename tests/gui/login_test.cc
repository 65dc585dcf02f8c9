// Getting in: the dialog as a person uses it.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <QApplication>
#include <QCheckBox>
#include <QLabel>
#include <QLineEdit>
#include <filesystem>
#include <fstream>

#include "client-qt/ui/theme.h"
#include "tests/gui/desk.h"

namespace pulseboard::qt {
namespace {

QString fieldError(LoginDialog* dialog, const char* name) {
  const auto* label = child<QLabel>(dialog, name);
  return label->isVisible() ? label->text() : QString();
}

QString noticeText(LoginDialog* dialog) {
  const auto* notice = child<QWidget>(dialog, "loginNotice");
  return notice->isVisible() ? notice->accessibleName() : QString();
}

class Login : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new LiveServer();
    ASSERT_TRUE(server_->start().ok());
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  static LiveServer* server_;
  Desk desk_;
};
LiveServer* Login::server_ = nullptr;

TEST_F(Login, SaysWhenThePasswordIsWrongAndLetsOneTryAgain) {
  desk_.open();
  desk_.typeLogin(server_->address(), "admin", "not the password");
  ASSERT_TRUE(eventually([&] { return !fieldError(desk_.dialog(), "passwordError").isEmpty(); }));
  EXPECT_TRUE(fieldError(desk_.dialog(), "passwordError").contains("password is wrong"));
  EXPECT_TRUE(desk_.dialog()->isVisible());
  saveScreenshot(desk_.dialog(), "login-wrong-password");
  desk_.typeLogin(server_->address(), "admin", server_->password());
  EXPECT_TRUE(eventually([&] { return desk_.window() != nullptr && desk_.window()->isVisible(); }));
  EXPECT_TRUE(eventually([&] { return !desk_.dialog()->isVisible(); }));
}

TEST_F(Login, SaysWhatIsMissingBeforeAskingTheServer) {
  desk_.open();
  desk_.typeLogin(server_->address(), "admin", "");
  EXPECT_FALSE(fieldError(desk_.dialog(), "passwordError").isEmpty());
  EXPECT_EQ(desk_.desktop().source().connection().state, ConnectionState::Offline);
}

TEST_F(Login, SaysWhenNobodyAnswers) {
  desk_.open();
  desk_.typeLogin("127.0.0.1:1", "admin", "secret");
  ASSERT_TRUE(eventually([&] { return !fieldError(desk_.dialog(), "serverError").isEmpty(); }));
  EXPECT_TRUE(fieldError(desk_.dialog(), "serverError").contains("not reachable"));
}

TEST_F(Login, ShowsWhatKindOfConnectionItIs) {
  desk_.open();
  child<QLineEdit>(desk_.dialog(), "server")->setText(server_->address());
  EXPECT_TRUE(eventually([&] { return child<QLabel>(desk_.dialog(), "serverMark")->text() == "this computer"; }));
}

TEST_F(Login, RemembersTheServerAndKeepsTheSessionWhenAsked) {
  desk_.open();
  child<QCheckBox>(desk_.dialog(), "keepLoggedIn")->setChecked(true);
  desk_.typeLogin(server_->address(), "admin", server_->password());
  ASSERT_TRUE(eventually([&] { return desk_.window() != nullptr; }));
  const std::string file = desk_.dir().File("state/pulseboard/sessions.json");
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(file); }));
  struct stat info {};
  ASSERT_EQ(stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const std::string content = pulseboard::testing::ReadFile(file);
  EXPECT_NE(content.find(server_->address().toStdString()), std::string::npos);
  EXPECT_EQ(content.find(server_->password().toStdString()), std::string::npos);

  desk_.open();  // a new start goes on without a question
  ASSERT_TRUE(eventually([&] { return desk_.window() != nullptr && desk_.window()->isVisible(); }));
  EXPECT_FALSE(desk_.dialog()->isVisible());
  EXPECT_EQ(desk_.desktop().source().connection().user, "admin");

  QMetaObject::invokeMethod(desk_.window(), "logoutRequested");
  ASSERT_TRUE(eventually([&] { return desk_.window() == nullptr && desk_.dialog()->isVisible(); }));
  EXPECT_TRUE(eventually(
      [&] { return pulseboard::testing::ReadFile(file).find(server_->address().toStdString()) == std::string::npos; }));
}

TEST_F(Login, SaysThatTheSessionIsOverWhenTheAccountIsDeactivated) {
  using pulseboard::testing::RunToEnd;
  const std::string pins = desk_.dir().File("admin.pins");
  const std::string password_file = desk_.dir().File("viewer.password");
  std::ofstream(password_file) << "a long enough one\n";
  const auto user = [&](std::vector<std::string> arguments) {
    std::vector<std::string> argv = {pulseboard::testing::BinaryPath("pulseboardd"), "user"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    for (const std::string& more :
         {std::string("--server"), server_->process().address(), std::string("--user"), std::string("admin"),
          std::string("--password-file"), server_->process().password_file()}) {
      argv.push_back(more);
    }
    const auto output = RunToEnd(argv);
    EXPECT_EQ(output.exit_code, 0) << output.err;
  };
  user({"create", "--name", "visitor", "--role", "VIEWER", "--new-password-file", password_file});
  desk_.open();
  desk_.typeLogin(server_->address(), "visitor", "a long enough one");
  ASSERT_TRUE(eventually([&] { return desk_.window() != nullptr; }));
  EXPECT_EQ(desk_.desktop().source().connection().role, "viewer");
  user({"deactivate", "--name", "visitor"});
  ASSERT_TRUE(eventually([&] { return desk_.window() == nullptr && desk_.dialog()->isVisible(); }, 60'000));
  EXPECT_TRUE(eventually([&] { return !noticeText(desk_.dialog()).isEmpty(); }));
  saveScreenshot(desk_.dialog(), "login-session-over");
}

TEST_F(Login, CanBeDoneByKeyboardAlone) {
  desk_.open();
  LoginDialog* dialog = desk_.dialog();
  ASSERT_TRUE(eventually([&] { return dialog->isVisible(); }));
  QApplication::setActiveWindow(dialog);  // there is no window manager here
  child<QLineEdit>(dialog, "server")->setFocus();
  QStringList order;
  for (int i = 0; i < 5; ++i) {
    ASSERT_NE(QApplication::focusWidget(), nullptr);
    order << QApplication::focusWidget()->objectName();
    QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
  }
  EXPECT_EQ(order, (QStringList{"server", "user", "password", "keepLoggedIn", "logIn"}));
  for (const char* name : {"server", "user", "password"}) {
    EXPECT_FALSE(child<QLineEdit>(dialog, name)->accessibleName().isEmpty());
  }
}

TEST_F(Login, IsDressedInBothThemes) {
  desk_.open();
  {
    Memory memory;
    memory.rememberServer({"staging.example.com:7443", "analyst"});
    memory.rememberServer({server_->address(), "admin"});
  }
  desk_.open();
  ASSERT_TRUE(eventually([&] { return child<QLabel>(desk_.dialog(), "serverMark")->text() == "this computer"; }));
  QApplication::setActiveWindow(desk_.dialog());
  QTest::keyClicks(child<QLineEdit>(desk_.dialog(), "password"), "twelve chars");
  saveScreenshot(desk_.dialog(), "login-dark");
  const QColor dark = desk_.dialog()->grab().toImage().pixelColor(700, 500);
  Theme::instance()->setChoice(ThemeChoice::Light);
  QCoreApplication::processEvents();
  saveScreenshot(desk_.dialog(), "login-light");
  EXPECT_GT(desk_.dialog()->grab().toImage().pixelColor(700, 500).lightness(), dark.lightness() + 100);
  Theme::instance()->setChoice(ThemeChoice::Dark);
}

class LoginOverTls : public ::testing::Test {
 protected:
  LoginOverTls() : server_(options()) {}
  static pulseboard::testing::ServerProcessOptions options() {
    pulseboard::testing::ServerProcessOptions options;
    options.set = {"server.tls=on"};
    return options;
  }
  LiveServer server_;
  Desk desk_;
};

TEST_F(LoginOverTls, AsksAboutTheCertificateOnceAndShoutsWhenItChanges) {
  ASSERT_TRUE(server_.start().ok());
  ASSERT_TRUE(server_.process().tls());
  desk_.open();
  desk_.typeLogin(server_.address(), "admin", server_.password());
  ASSERT_TRUE(eventually([&] { return noticeText(desk_.dialog()).contains("First visit"); }));
  click(child<QPushButton>(desk_.dialog(), "compareFingerprints"));
  QString shown = child<QLabel>(desk_.dialog(), "fingerprints")->text();
  EXPECT_TRUE(shown.replace('\n', ':').contains(QString::fromStdString(server_.process().fingerprint())));
  ASSERT_TRUE(eventually([&] { return child<QLabel>(desk_.dialog(), "serverMark")->text() == "TLS"; }));
  QCoreApplication::processEvents();
  saveScreenshot(desk_.dialog(), "login-first-visit");
  click(child<QPushButton>(desk_.dialog(), "trustCertificate"));
  ASSERT_TRUE(eventually([&] { return desk_.window() != nullptr && desk_.window()->isVisible(); }));
  EXPECT_TRUE(desk_.desktop().source().connection().tls);

  desk_.open();  // known now
  desk_.typeLogin(server_.address(), "admin", server_.password());
  ASSERT_TRUE(eventually([&] { return desk_.window() != nullptr; }));
  EXPECT_TRUE(noticeText(desk_.dialog()).isEmpty());
  desk_.close();

  // The server comes back with another certificate.
  server_.process().Kill();
  int removed = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(server_.process().data_dir())) {
    const std::string name = entry.path().extension().string();
    if (name == ".pem" || name == ".crt" || name == ".key") removed += std::filesystem::remove(entry.path()) ? 1 : 0;
  }
  ASSERT_GT(removed, 0);
  const std::string before = server_.process().fingerprint();
  ASSERT_TRUE(server_.start().ok());
  ASSERT_NE(server_.process().fingerprint(), before);
  desk_.open();
  desk_.typeLogin(server_.address(), "admin", server_.password());
  ASSERT_TRUE(eventually([&] { return noticeText(desk_.dialog()).contains("New certificate"); }));
  click(child<QPushButton>(desk_.dialog(), "compareFingerprints"));
  EXPECT_TRUE(QString(child<QLabel>(desk_.dialog(), "pinnedFingerprint")->text())
                  .replace('\n', ':')
                  .contains(QString::fromStdString(before)));
  QCoreApplication::processEvents();
  saveScreenshot(desk_.dialog(), "login-changed-certificate");
  QTest::keyClick(child<QPushButton>(desk_.dialog(), "refuseCertificate"), Qt::Key_Space);
  EXPECT_TRUE(eventually([&] { return noticeText(desk_.dialog()).contains("not trusted"); }));
  EXPECT_EQ(desk_.window(), nullptr);
}

}  // namespace
}  // namespace pulseboard::qt

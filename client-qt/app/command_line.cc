#include "client-qt/app/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <string>

#include "common/client/channel.h"

namespace pulseboard::qt {
namespace {

constexpr size_t kMaxPasswordBytes = 1'024;

// The first line of the file, without its end.
std::string readPassword(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!file || !std::getline(file, line))
    throw CLI::ValidationError("--password-file", path + " cannot be read, or is empty");
  if (!line.empty() && line.back() == '\r') line.pop_back();
  if (line.empty() || line.size() > kMaxPasswordBytes) {
    throw CLI::ValidationError("--password-file", "the first line of " + path + " is not 1 to 1024 bytes long");
  }
  return line;
}

QSize readSize(const std::string& text) {
  int width = 0, height = 0;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%dx%d%c", &width, &height, &rest) != 2 || width < 320 || height < 320 ||
      width > 16'384 || height > 16'384) {
    throw CLI::ValidationError("--size", "'" + text + "' is not WIDTHxHEIGHT, each from 320 to 16384");
  }
  return {width, height};
}

}  // namespace

std::optional<CommandLine> parseCommandLine(int argc, char** argv, int* exit_code) {
  CLI::App app("Pulseboard: see what is happening now, and what led to it.", "pulseboard");
  std::string server, user, password_file, fingerprint, screenshot, theme, size;
  CommandLine out;
  app.add_option("--server", server, "Server to log in to, host:port");
  app.add_option("--user", user, "User name or e-mail");
  app.add_option("--password-file", password_file,
                 "File whose first line is the password; with --server and --user: no dialog");
  app.add_option("--trust-fingerprint", fingerprint, "Trust the server certificate with this SHA-256 without asking");
  app.add_option("--screenshot", screenshot, "Save the window as a PNG file, then exit");
  app.add_flag("--screenshot-when-moving", out.screenshot_when_moving,
               "Wait until live data moves in at least 3 panels");
  app.add_option("--screenshot-after", out.screenshot_after_s, "Seconds that it has to move before (default 0)")
      ->check(CLI::Range(0, 3600));
  app.add_option("--screenshot-timeout", out.screenshot_timeout_s, "Seconds to wait for data to move (default 90)")
      ->check(CLI::Range(1, 3600));
  app.add_flag("--stay", out.stay, "Go on after the screenshot");
  app.add_option("--theme", theme, "dark, light or system")->check(CLI::IsMember({"dark", "light", "system"}));
  app.add_option("--size", size, "Window size, WIDTHxHEIGHT");
  app.set_version_flag("--version", PULSEBOARD_VERSION);
  try {
    app.parse(argc, argv);
    if (!password_file.empty()) out.password = QString::fromStdString(readPassword(password_file));
    if (!size.empty()) out.size = readSize(size);
    if (!fingerprint.empty() && client::NormalizeFingerprint(fingerprint).empty()) {
      throw CLI::ValidationError("--trust-fingerprint", "'" + fingerprint + "' is not 32 bytes of hex");
    }
  } catch (const CLI::ParseError& error) {
    *exit_code = app.exit(error);
    return std::nullopt;
  }
  out.server = QString::fromStdString(server);
  out.user = QString::fromStdString(user);
  out.trusted_fingerprint = QString::fromStdString(fingerprint);
  out.screenshot = QString::fromStdString(screenshot);
  if (!theme.empty()) out.theme = themeChoiceFromWord(QString::fromStdString(theme));
  return out;
}

}  // namespace pulseboard::qt

#include "tests/bench/peers/report.h"

#include <sys/utsname.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <thread>

#include "tests/support/temp_dir.h"

namespace pulseboard::bench {

std::string MachineLine() {
  utsname name{};
  uname(&name);
  std::string cpu = "unknown CPU";
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name")) {
      cpu = line.substr(line.find(':') + 2);
      break;
    }
  }
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", std::gmtime(&now));
  double load = -1;
  if (getloadavg(&load, 1) != 1) load = -1;
  return Text("%s, %u cores (%s), %s %s, load average %.1f", date, std::thread::hardware_concurrency(), cpu.c_str(),
              name.sysname, name.release, load);
}

MarkdownTable::MarkdownTable(std::vector<std::string> heading) {
  Add(heading);
  text_ += "|";
  for (size_t i = 0; i < heading.size(); ++i) text_ += " --- |";
  text_ += "\n";
}

void MarkdownTable::Add(const std::vector<std::string>& cells) {
  text_ += "|";
  for (const std::string& cell : cells) text_ += " " + cell + " |";
  text_ += "\n";
}

std::string TargetsTable(const std::vector<Verdict>& verdicts) {
  MarkdownTable table({"target", "asked for", "measured", ""});
  size_t met = 0;
  for (const Verdict& verdict : verdicts) {
    met += verdict.met ? 1 : 0;
    table.Add({verdict.what, verdict.target, verdict.measured, verdict.met ? "met" : "**missed**"});
  }
  return table.text() + Text("\n%zu of %zu met.\n", met, verdicts.size());
}

std::string Text(const char* format, ...) {
  char buffer[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof(buffer), format, arguments);
  va_end(arguments);
  return buffer;
}

absl::Status WriteSection(const std::string& path, std::string_view title, std::string_view body) {
  std::string text = testing::ReadFile(path);
  if (text.empty()) return absl::NotFoundError("no file " + path);
  const std::string heading = "## " + std::string(title) + "\n";
  const std::string section = heading + "\n" + std::string(body) + "\n";
  size_t begin = text.starts_with(heading) ? 0 : text.find("\n" + heading);
  if (begin == std::string::npos) {
    text += "\n" + section;
  } else {
    if (text[begin] == '\n') ++begin;
    const size_t end = text.find("\n## ", begin);
    text = text.substr(0, begin) + section + (end == std::string::npos ? "" : text.substr(end + 1));
  }
  std::ofstream out(path, std::ios::trunc);
  out << text;
  return out.good() ? absl::OkStatus() : absl::InternalError("cannot write " + path);
}

}  // namespace pulseboard::bench

// insight_bench nab --data DIR --out DIR
// insight_bench m4 --train FILE --horizon N --out FILE --lower FILE --upper FILE
// Runs the shipped anomaly detector and forecaster over public corpora and writes what their scorers read (scores for
// NAB, point forecasts and 95 % bounds for M4). Nothing about the files is known beforehand: no names, no periods.
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/insight/m4_run.h"
#include "tests/bench/insight/nab_run.h"

namespace pulseboard {
namespace {

constexpr std::string_view kUsage =
    "usage: insight_bench nab --data DIR --out DIR\n"
    "       insight_bench m4 --train FILE --horizon N --out FILE --lower FILE --upper FILE\n";

int Run(int argc, char** argv) {
  std::map<std::string, std::string> flags;
  for (int i = 2; i + 1 < argc; i += 2) flags[argv[i]] = argv[i + 1];
  const std::string mode = argc > 1 ? argv[1] : "";
  absl::Status status = absl::InvalidArgumentError("neither nab nor m4 with all their flags");
  if (mode == "nab" && flags.contains("--data") && flags.contains("--out")) {
    status = RunNab(flags["--data"], flags["--out"]);
  }
  int horizon = 0;
  if (mode == "m4" && flags.contains("--train") && absl::SimpleAtoi(flags["--horizon"], &horizon) &&
      flags.contains("--out") && flags.contains("--lower") && flags.contains("--upper")) {
    status = RunM4({flags["--train"], flags["--out"], flags["--lower"], flags["--upper"]}, horizon);
  }
  if (status.ok()) return 0;
  std::fprintf(stderr, "error: %s\n%s", std::string(status.message()).c_str(), std::string(kUsage).c_str());
  return 1;
}

}  // namespace
}  // namespace pulseboard

int main(int argc, char** argv) { return pulseboard::Run(argc, argv); }

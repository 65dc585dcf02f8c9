// codec_bench over the columns, beside what the published codecs need for them.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>

#include "absl/status/status.h"
#include "common/base/errors.h"
#include "tests/bench/peers/report.h"
#include "tests/bench/peers/sections.h"
#include "tests/support/process.h"

namespace pulseboard::bench {
namespace {

constexpr double kMostOf = 0.75;  // of the columns, on which the target is to be below all others
constexpr double kDecimalDecodeRate = 300, kDecodeRate = 100;
// Two-decimal walks: what monitoring data is like.
constexpr std::string_view kDecimalColumn = "walk2";

// Bits per value of the best of Gorilla, Chimp, Chimp128, ALP and zstd -3, as measured for each column of
// `data/columns` over the whole of it: shared/BENCH.md, section 3.
const std::map<std::string, double, std::less<>>& BestOfOthers() {
  static const std::map<std::string, double, std::less<>> bits = {{"rowgroup/bitcoin_transactions_f", 38.44},
                                                                  {"rowgroup/nyc29", 25.87},
                                                                  {"sample/air_sensor_f", 51.75},
                                                                  {"sample/basel_temp_f", 31.77},
                                                                  {"sample/bird_migration_f", 17.26},
                                                                  {"sample/bitcoin_transactions_f", 33.49},
                                                                  {"sample/cms1", 41.88},
                                                                  {"sample/cms9", 11.10},
                                                                  {"sample/gov10", 28.16},
                                                                  {"sample/gov30", 0.41},
                                                                  {"sample/gov40", 0.32},
                                                                  {"sample/medicare9", 11.10},
                                                                  {"sample/neon_bio_temp_c", 10.10},
                                                                  {"sample/neon_pm10_dust", 8.10},
                                                                  {"sample/nyc29", 16.05},
                                                                  {"sample/poi_lon", 61.51},
                                                                  {"sample/stocks_de", 10.49},
                                                                  {"sample/stocks_usa_c", 7.10}};
  return bits;
}

struct Line {
  std::string path, values, bits, encode, decode, bytes;

  std::string Name() const {
    const std::filesystem::path file(path);
    return file.has_parent_path() ? (file.parent_path().filename() / file.stem().stem()).string() : path;
  }
};

absl::StatusOr<std::vector<Line>> RunCodecBench(const BenchSettings& settings, const std::vector<std::string>& files) {
  std::vector<std::string> command = {testing::BinaryPath("codec_bench"), "--repeat-ms", settings.quick ? "5" : "40",
                                      std::string(kDecimalColumn), "walk"};
  command.insert(command.end(), files.begin(), files.end());
  const testing::Output output = testing::RunToEnd(command, std::chrono::seconds(300));
  if (output.exit_code != 0) return absl::InternalError("codec_bench: " + output.err);
  std::vector<Line> lines;
  std::istringstream in(output.out);
  for (Line line; in >> line.path >> line.values >> line.bits >> line.encode >> line.decode >> line.bytes;) {
    lines.push_back(line);
  }
  return lines;
}

}  // namespace

absl::StatusOr<SectionResult> RunCodec(const BenchSettings& settings) {
  std::fprintf(stderr, "codec\n");
  std::error_code error;
  std::vector<std::string> files;
  for (std::filesystem::recursive_directory_iterator it(settings.data_folder + "/columns", error), end;
       !error && it != end; it.increment(error)) {
    if (it->path().string().ends_with(".gz")) files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  PB_ASSIGN_OR_RETURN(const std::vector<Line> lines, RunCodecBench(settings, files));
  MarkdownTable table(
      {"column", "values", "bits/value", "best of the others", "encode M/s", "decode M/s", "B/sample with times"});
  int compared = 0, below = 0;
  double slowest = 1e9, decimal = 0;
  std::string slowest_name;
  for (const Line& line : lines) {
    const auto best = BestOfOthers().find(line.Name());
    const bool known = best != BestOfOthers().end();
    table.Add({line.Name(), line.values, line.bits, known ? Text("%.2f", best->second) : "-", line.encode, line.decode,
               line.bytes});
    compared += known ? 1 : 0;
    below += known && std::atof(line.bits.c_str()) < best->second ? 1 : 0;
    const double rate = std::atof(line.decode.c_str());
    if (line.path == kDecimalColumn) decimal = rate;
    if (rate < slowest) {
      slowest = rate;
      slowest_name = line.Name();
    }
  }
  SectionResult result;
  result.text = table.text() +
                "\nIn blocks of 2,048, as the store seals them; the others, per column the best of Gorilla, Chimp, "
                "Chimp128, ALP and zstd, over the whole column (shared/BENCH.md). Rates per second of one core.\n" +
                (files.empty() ? "\nNo real columns in `" + settings.data_folder + "`.\n" : "");
  if (compared > 0) {
    result.verdicts.push_back({"bits per value below the best of the others", Text("%d of %d columns", below, compared),
                               ">= 3 of 4 columns", below >= kMostOf * compared});
  }
  result.verdicts.push_back({"decode, decimals (" + std::string(kDecimalColumn) + ")", Text("%.0f M/s", decimal),
                             Text(">= %.0f M/s", kDecimalDecodeRate), decimal >= kDecimalDecodeRate});
  result.verdicts.push_back({"decode, slowest column (" + slowest_name + ")", Text("%.0f M/s", slowest),
                             Text(">= %.0f M/s", kDecodeRate), slowest >= kDecodeRate});
  return result;
}

}  // namespace pulseboard::bench

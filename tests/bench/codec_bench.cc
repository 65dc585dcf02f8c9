// codec_bench [--block N] [--repeat-ms N] FILE...
// Codes every file (one number per line, or `timestamp,value` rows; a header line is skipped; plain or .gz) in blocks
// of N values (default: what the store seals), checks the round trip bit for bit and prints one line per file:
//   file values bits_per_value encode_Mvalues_per_s decode_Mvalues_per_s bytes_per_sample
// bits_per_value counts the value column alone, as the published figures do; the rates are of whole blocks with evenly
// spaced times per second of CPU time, and so is the last column. `walk2` and `walk` instead of a file are the peers'
// random walks (x += N(0,1), clamped to 0..100), rounded to two decimals and as they are.
#include <time.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/codec/block.h"
#include "common/codec/values.h"

namespace pulseboard {
namespace {

struct Settings {
  size_t block_samples = 2'048;
  int64_t repeat_millis = 40;
};

std::vector<double> RandomWalk(bool rounded) {
  std::vector<double> values;
  for (uint32_t seed = 0; seed < 100; ++seed) {
    std::mt19937_64 random(seed);
    double x = std::uniform_real_distribution<double>(0, 100)(random);
    std::normal_distribution<double> step;
    for (int i = 0; i < 8640; ++i) {
      x = std::clamp(x + step(random), 0.0, 100.0);
      values.push_back(rounded ? std::round(x * 100) / 100 : x);
    }
  }
  return values;
}

// Empty when the file cannot be read; rows that hold no number (a header) are left out.
std::vector<double> ReadColumn(const std::string& path) {
  std::vector<double> values;
  if (path == "walk" || path == "walk2") return RandomWalk(path == "walk2");
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) return values;
  char line[4096];
  while (gzgets(file, line, sizeof(line)) != nullptr) {
    const char* comma = std::strchr(line, ',');
    const char* text = comma == nullptr ? line : comma + 1;
    char* end = nullptr;
    const double value = std::strtod(text, &end);
    if (end != text) values.push_back(value);
  }
  gzclose(file);
  return values;
}

double ThreadCpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Of CPU time, not of the wall clock: what one core does, whatever else the machine is busy with. The best of five
// measurements of `millis` each.
template <typename Work>
double MillionPerSecond(size_t values, int64_t millis, const Work& work) {
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    const double start = ThreadCpuSeconds();
    size_t rounds = 0;
    double taken = 0;
    do {
      work();
      ++rounds;
      taken = ThreadCpuSeconds() - start;
    } while (taken < static_cast<double>(millis) / 1e3);
    best = std::max(best, static_cast<double>(values * rounds) / taken / 1e6);
  }
  return best;
}

bool Measure(const std::string& path, const Settings& settings) {
  const std::vector<double> values = ReadColumn(path);
  if (values.empty()) {
    std::fprintf(stderr, "%s: no numbers\n", path.c_str());
    return false;
  }
  std::vector<int64_t> times(values.size());
  for (size_t i = 0; i < times.size(); ++i) {
    times[i] = (1'700'000'000 + 10 * static_cast<int64_t>(i)) * kNanosPerSecond;
  }
  std::vector<std::string> blocks;
  const auto encode = [&] {
    blocks.clear();
    for (size_t at = 0; at < values.size(); at += settings.block_samples) {
      const size_t n = std::min(settings.block_samples, values.size() - at);
      blocks.push_back(EncodeBlock({times.data() + at, n}, {values.data() + at, n}));
    }
  };
  SampleColumns out;
  bool ok = true;
  const auto decode = [&] {
    for (const std::string& block : blocks) {
      out.clear();
      ok &= DecodeBlock(block, &out).ok();
    }
  };
  const double encode_rate = MillionPerSecond(values.size(), settings.repeat_millis, encode);
  size_t block_bytes = 0, column_bytes = 0;
  SampleColumns all;
  for (size_t at = 0, i = 0; at < values.size(); at += settings.block_samples, ++i) {
    const std::span<const double> part(values.data() + at, std::min(settings.block_samples, values.size() - at));
    ok &= DecodeBlock(blocks[i], &all).ok();
    block_bytes += blocks[i].size();
    std::string column;
    // A constant is one double in the header.
    const bool constant = ReadBlockHeader(blocks[i])->value_encoding == ValueEncoding::kConstant;
    if (!constant) EncodeValues(part, &column);
    column_bytes += constant ? sizeof(double) : 1 + column.size();
  }
  ok &= all.times == times && std::memcmp(all.values.data(), values.data(), values.size() * sizeof(double)) == 0;
  const double decode_rate = MillionPerSecond(values.size(), settings.repeat_millis, decode);
  if (!ok) {
    std::fprintf(stderr, "%s: round trip failed\n", path.c_str());
    return false;
  }
  const auto count = static_cast<double>(values.size());
  std::printf("%s %zu %.2f %.1f %.1f %.3f\n", path.c_str(), values.size(),
              static_cast<double>(column_bytes) * 8 / count, encode_rate, decode_rate,
              static_cast<double>(block_bytes) / count);
  return true;
}

}  // namespace
}  // namespace pulseboard

int main(int argc, char** argv) {
  pulseboard::Settings settings;
  bool ok = argc > 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--block" && i + 1 < argc) {
      settings.block_samples =
          std::clamp<size_t>(std::strtoul(argv[++i], nullptr, 10), 1, pulseboard::kMaxBlockSamples);
    } else if (argument == "--repeat-ms" && i + 1 < argc) {
      settings.repeat_millis = std::atoi(argv[++i]);
    } else {
      ok &= pulseboard::Measure(argv[i], settings);
    }
  }
  if (argc < 2) std::fprintf(stderr, "usage: codec_bench [--block N] [--repeat-ms N] FILE|walk|walk2...\n");
  return ok ? 0 : 1;
}

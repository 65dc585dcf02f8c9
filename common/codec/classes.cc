#include "common/codec/classes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "common/codec/bits.h"
#include "common/codec/huffman.h"
#include "common/codec/residuals.h"

namespace pulseboard {
namespace {

// Magnitudes 0 to 3 are a class each; above, every power of two has two classes: the highest bit and the one after are
// in the symbol, the others follow raw.
constexpr uint64_t kExact = 4;
constexpr int kMaxMagnitudeBits = 32;
constexpr size_t kSample = 256;

constexpr size_t ClassOf(uint64_t magnitude) {
  if (magnitude < kExact) return magnitude;
  const auto high = static_cast<size_t>(std::bit_width(magnitude)) - 1;
  return kExact + 2 * (high - 2) + ((magnitude >> (high - 1)) & 1);
}
constexpr int ExtraBits(size_t symbol) { return symbol < kExact ? 0 : static_cast<int>(symbol - kExact) / 2 + 1; }
constexpr uint64_t LeastOf(size_t symbol) {
  if (symbol < kExact) return symbol;
  return (2 + (symbol - kExact) % 2) << ExtraBits(symbol);
}
static_assert(ClassOf((uint64_t{1} << kMaxMagnitudeBits) - 1) == kMaxSymbols - 1);
static_assert(ClassOf(LeastOf(40)) == 40 && ClassOf(LeastOf(41) - 1) == 40);

struct Class {
  uint64_t least;
  uint64_t mask;
  int extra_bits;
};
constexpr std::array<Class, kMaxSymbols> MakeClasses() {
  std::array<Class, kMaxSymbols> out = {};
  for (size_t s = 0; s < kMaxSymbols; ++s) out[s] = {LeastOf(s), LowBits(ExtraBits(s)), ExtraBits(s)};
  return out;
}
constexpr std::array<Class, kMaxSymbols> kClasses = MakeClasses();

int64_t BaseOf(std::span<const int64_t> residuals, ResidualSign sign) {
  return sign == ResidualSign::kSigned ? 0 : *std::min_element(residuals.begin(), residuals.end());
}
uint64_t MagnitudeOf(int64_t residual, int64_t base, ResidualSign sign) {
  return sign == ResidualSign::kSigned ? ToZigZag(residual) : static_cast<uint64_t>(WrappingSubtract(residual, base));
}

// c log2 c, for what a sample can count.
double CountTimesLog(size_t count) {
  static const auto table = [] {
    std::array<double, kSample + 1> out = {};
    for (size_t c = 1; c <= kSample; ++c) out[c] = static_cast<double>(c) * std::log2(static_cast<double>(c));
    return out;
  }();
  return table[count];
}

}  // namespace

size_t EstimateClasses(std::span<const int64_t> residuals, ResidualSign sign) {
  constexpr size_t kImpossible = size_t{1} << 60;
  if (residuals.empty()) return kImpossible;
  const int64_t base = BaseOf(residuals, sign);
  const size_t n = std::min(kSample, residuals.size());
  std::array<uint16_t, kMaxSymbols> counts = {};
  size_t extra = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint64_t magnitude = MagnitudeOf(residuals[i * residuals.size() / n], base, sign);
    if (magnitude >> kMaxMagnitudeBits != 0) return kImpossible;
    const size_t symbol = ClassOf(magnitude);
    ++counts[symbol];
    extra += static_cast<size_t>(kClasses[symbol].extra_bits);
  }
  double bits = static_cast<double>(extra) + CountTimesLog(n);
  for (const uint16_t count : counts) bits -= CountTimesLog(count);
  return static_cast<size_t>(bits / 8 * static_cast<double>(residuals.size()) / static_cast<double>(n));
}

bool EncodeClasses(std::span<const int64_t> residuals, ResidualSign sign, size_t limit, std::string* out) {
  if (residuals.empty()) return false;
  const int64_t base = BaseOf(residuals, sign);
  std::vector<uint8_t> symbols(residuals.size());
  std::array<uint32_t, kMaxSymbols> counts = {};
  std::string extra;
  BitWriter bits(&extra);
  for (size_t i = 0; i < residuals.size(); ++i) {
    const uint64_t magnitude = MagnitudeOf(residuals[i], base, sign);
    if (magnitude >> kMaxMagnitudeBits != 0) return false;
    const size_t symbol = ClassOf(magnitude);
    symbols[i] = static_cast<uint8_t>(symbol);
    ++counts[symbol];
    bits.Write(magnitude & kClasses[symbol].mask, kClasses[symbol].extra_bits);
  }
  bits.Finish();
  // Symbols are counted from the lowest one: a single one must be 0, and the table of code lengths is shorter.
  size_t lowest = 0;
  while (counts[lowest] == 0) ++lowest;
  std::rotate(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(lowest), counts.end());
  for (uint8_t& symbol : symbols) symbol = static_cast<uint8_t>(symbol - lowest);
  const size_t start = out->size();
  out->push_back(static_cast<char>(static_cast<size_t>(sign) << 6 | lowest));
  if (sign == ResidualSign::kOffset) PutZigZag(out, base);
  PutLengthPrefixed(out, extra);
  EncodeSymbols(symbols, BuildCodeLengths(counts), out);
  if (out->size() - start <= limit) return true;
  out->resize(start);
  return false;
}

bool DecodeClasses(ByteReader* in, size_t count, int64_t* out) {
  const size_t head = in->Fixed<uint8_t>();
  const size_t lowest = head % kMaxSymbols;
  if (head / kMaxSymbols > static_cast<size_t>(ResidualSign::kSigned)) in->Fail();
  const bool is_signed = head / kMaxSymbols == static_cast<size_t>(ResidualSign::kSigned);
  const int64_t base = is_signed ? 0 : in->ZigZag();
  const std::string_view extra = in->LengthPrefixed();
  if (!in->ok()) return false;
  const std::unique_ptr<uint8_t[]> symbols(new uint8_t[count]);
  if (!DecodeSymbols(in, count, symbols.get())) return false;
  size_t extra_bits = 0;
  for (size_t i = 0; i < count; ++i) {
    symbols[i] = static_cast<uint8_t>((symbols[i] + lowest) % kMaxSymbols);
    extra_bits += static_cast<size_t>(kClasses[symbols[i]].extra_bits);
  }
  if ((extra_bits + 7) / 8 != extra.size()) {
    in->Fail();
    return false;
  }
  // Padded, so that whole words can be loaded.
  const std::unique_ptr<char[]> padded(new char[extra.size() + sizeof(uint64_t)]);
  std::memset(std::copy(extra.begin(), extra.end(), padded.get()), 0, sizeof(uint64_t));
  size_t bit = 0;
  for (size_t i = 0; i < count; ++i) {
    const Class& c = kClasses[symbols[i]];
    uint64_t word;
    std::memcpy(&word, padded.get() + bit / 8, sizeof(word));
    out[i] = static_cast<int64_t>(c.least + ((word >> (bit % 8)) & c.mask));
    bit += static_cast<size_t>(c.extra_bits);
  }
  if (is_signed) {
    for (size_t i = 0; i < count; ++i) out[i] = FromZigZag(static_cast<uint64_t>(out[i]));
  } else {
    for (size_t i = 0; i < count; ++i) out[i] = WrappingAdd(out[i], base);
  }
  return true;
}

}  // namespace pulseboard

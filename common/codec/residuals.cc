#include "common/codec/residuals.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <vector>

#include "common/codec/bits.h"
#include "common/codec/huffman.h"
#include "common/codec/unpack.h"
#include "common/codec/zstd_bytes.h"

namespace pulseboard {
namespace {

constexpr size_t kGroup = kUnpackGroup;
constexpr int kMaxShift = 60;
// The central 96 % of the residuals spread over 8 to 15 symbols: finer would cost table, coarser compression.
constexpr int kCoreBits = 4;
constexpr size_t kSplitSample = 128;

struct Group {
  int64_t low;
  int width;
};

Group Measure(std::span<const int64_t> residuals) {
  int64_t low = residuals[0], high = residuals[0];
  for (const int64_t r : residuals) {
    low = std::min(low, r);
    high = std::max(high, r);
  }
  return {low, static_cast<int>(std::bit_width(static_cast<uint64_t>(WrappingSubtract(high, low))))};
}

struct Split {
  int64_t base = 0;
  int shift = 0;
};

// From the quantiles of a sample, so that a few far-off residuals do not widen all.
Split PlanSplit(std::span<const int64_t> residuals) {
  std::array<int64_t, kSplitSample> sample;
  const size_t n = std::min(kSplitSample, residuals.size());
  for (size_t i = 0; i < n; ++i) sample[i] = residuals[i * residuals.size() / n];
  std::sort(sample.begin(), sample.begin() + static_cast<std::ptrdiff_t>(n));
  const size_t cut = n / 50;
  const int64_t low = sample[cut];
  const uint64_t core = static_cast<uint64_t>(WrappingSubtract(sample[n - 1 - cut], low));
  Split split;
  split.shift = std::max(0, static_cast<int>(std::bit_width(core)) - kCoreBits);
  const uint64_t margin = (kMaxSymbols - (core >> split.shift)) / 2;
  split.base = WrappingSubtract(low, static_cast<int64_t>(margin << split.shift));
  return split;
}

struct Symbols {
  std::vector<uint8_t> symbols;
  std::vector<uint64_t> low_bits;
  std::vector<size_t> exceptions;  // places
  std::array<uint32_t, kMaxSymbols> counts = {};
};

// False when too many lie outside.
bool TakeSymbols(std::span<const int64_t> residuals, Split* split, Symbols* out) {
  const size_t n = residuals.size();
  out->symbols.resize(n);
  out->low_bits.resize(n);
  const uint64_t mask = LowBits(split->shift);
  for (size_t i = 0; i < n; ++i) {
    const uint64_t offset = static_cast<uint64_t>(WrappingSubtract(residuals[i], split->base));
    const uint64_t symbol = offset >> split->shift;
    out->low_bits[i] = offset & mask;
    if (symbol < kMaxSymbols) {
      out->symbols[i] = static_cast<uint8_t>(symbol);
      ++out->counts[symbol];
    } else {
      out->exceptions.push_back(i);
    }
  }
  if (out->exceptions.size() > n / 8) return false;
  auto& counts = out->counts;
  const auto commonest = static_cast<uint8_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
  for (const size_t i : out->exceptions) {
    out->symbols[i] = commonest;
    out->low_bits[i] = 0;
  }
  counts[commonest] += static_cast<uint32_t>(out->exceptions.size());
  size_t lowest = 0;
  while (counts[lowest] == 0) ++lowest;
  if (lowest == 0) return true;
  std::copy(counts.begin() + static_cast<std::ptrdiff_t>(lowest), counts.end(), counts.begin());
  std::fill(counts.end() - static_cast<std::ptrdiff_t>(lowest), counts.end(), 0);
  for (uint8_t& symbol : out->symbols) symbol = static_cast<uint8_t>(symbol - lowest);
  split->base = WrappingAdd(split->base, static_cast<int64_t>(lowest << split->shift));
  return true;
}

}  // namespace

size_t PackedSize(std::span<const int64_t> residuals) {
  size_t size = 0;
  for (size_t at = 0; at < residuals.size(); at += kGroup) {
    const auto group = residuals.subspan(at, std::min(kGroup, residuals.size() - at));
    const Group m = Measure(group);
    size += VarintSize(ToZigZag(m.low)) + 1 + PackedBytes(group.size(), m.width);
  }
  return size;
}

void Pack(std::span<const int64_t> residuals, std::string* out) {
  for (size_t at = 0; at < residuals.size(); at += kGroup) {
    const auto group = residuals.subspan(at, std::min(kGroup, residuals.size() - at));
    const Group m = Measure(group);
    PutZigZag(out, m.low);
    out->push_back(static_cast<char>(m.width));
    BitWriter bits(out);
    for (const int64_t r : group) bits.Write(static_cast<uint64_t>(WrappingSubtract(r, m.low)), m.width);
    bits.Finish();
  }
}

bool Unpack(ByteReader* in, size_t count, int64_t* out) {
  for (size_t at = 0; at < count; at += kGroup) {
    const size_t size = std::min(kGroup, count - at);
    const int64_t low = in->ZigZag();
    const int width = in->Fixed<uint8_t>();
    if (width > 64) in->Fail();
    const std::string_view packed = in->Bytes(PackedBytes(size, width));
    if (!in->ok()) return false;
    UnpackBits(packed, size, width, low, out + at);
  }
  return true;
}

bool EncodeSplit(std::span<const int64_t> residuals, size_t limit, std::string* out) {
  if (residuals.empty()) return false;
  Split split = PlanSplit(residuals);
  Symbols parts;
  if (!TakeSymbols(residuals, &split, &parts)) return false;
  const CodeLengths lengths = BuildCodeLengths(parts.counts);
  size_t bits = residuals.size() * static_cast<size_t>(split.shift);
  for (size_t s = 0; s < kMaxSymbols; ++s) bits += size_t{parts.counts[s]} * lengths[s];
  if (bits / 8 > limit) return false;
  const size_t start = out->size();
  PutZigZag(out, split.base);
  out->push_back(static_cast<char>(split.shift));
  PutVarint(out, parts.exceptions.size());
  size_t next = 0;
  for (const size_t i : parts.exceptions) {
    PutVarint(out, i - next);
    PutZigZag(out, residuals[i]);
    next = i + 1;
  }
  BitWriter low(out);
  for (const uint64_t v : parts.low_bits) low.Write(v, split.shift);
  low.Finish();
  EncodeSymbols(parts.symbols, lengths, out);
  if (out->size() - start <= limit) return true;
  out->resize(start);
  return false;
}

bool DecodeSplit(ByteReader* in, size_t count, int64_t* out) {
  const int64_t base = in->ZigZag();
  const int shift = in->Fixed<uint8_t>();
  const uint64_t exceptions = in->Varint();
  if (shift > kMaxShift || exceptions > count || count == 0) in->Fail();
  ByteReader list = *in;  // read again once the rest is there
  for (uint64_t i = 0; i < exceptions && in->ok(); ++i) {
    in->Varint();
    in->Varint();
  }
  const std::string_view packed = in->Bytes(PackedBytes(count, shift));
  if (!in->ok()) return false;
  const std::unique_ptr<uint8_t[]> symbols(new uint8_t[count]);
  if (!DecodeSymbols(in, count, symbols.get())) return false;
  UnpackBits(packed, count, shift, base, out);
  for (size_t i = 0; i < count; ++i) {
    out[i] = WrappingAdd(out[i], static_cast<int64_t>(static_cast<uint64_t>(symbols[i]) << shift));
  }
  uint64_t at = 0;
  for (uint64_t i = 0; i < exceptions; ++i, ++at) {
    const uint64_t gap = list.Varint();
    if (gap >= count - at) {
      in->Fail();
      return false;
    }
    at += gap;
    out[at] = list.ZigZag();
  }
  return true;
}

bool LooksRepetitive(std::span<const int64_t> residuals) {
  constexpr size_t kLooked = 512;
  constexpr size_t kSlots = 1024;
  if (residuals.size() < 64) return false;
  std::array<uint64_t, kSlots> seen = {};
  const size_t n = std::min(kLooked, residuals.size());
  size_t repeated = 0;
  for (size_t i = 2; i < n; ++i) {
    // Three in a row, so that small integers do not look repetitive by themselves.
    uint64_t hash = 0;
    for (size_t j = i - 2; j <= i; ++j) hash = (hash ^ static_cast<uint64_t>(residuals[j])) * 0x9E3779B97F4A7C15u;
    hash |= 1;
    uint64_t& slot = seen[hash >> 54];
    repeated += slot == hash ? 1 : 0;
    slot = hash;
  }
  return repeated > n / 4;
}

bool EncodeRows(std::span<const int64_t> residuals, size_t limit, std::string* out) {
  uint64_t all = 0;
  for (const int64_t r : residuals) all |= ToZigZag(r);
  const auto width = std::bit_ceil(std::max<size_t>(1, (static_cast<size_t>(std::bit_width(all)) + 7) / 8));
  std::string rows(residuals.size() * width, '\0');
  for (size_t i = 0; i < residuals.size(); ++i) {
    const uint64_t row = ToZigZag(residuals[i]);
    std::memcpy(rows.data() + i * width, &row, width);
  }
  const size_t start = out->size();
  out->push_back(static_cast<char>(width));
  if (limit > 1 && CompressZstd(rows, limit - 1, out)) return true;
  out->resize(start);
  return false;
}

bool DecodeRows(ByteReader* in, size_t count, int64_t* out) {
  const size_t width = in->Fixed<uint8_t>();
  const std::string_view frame = in->Bytes(in->remaining());
  if (width > sizeof(uint64_t) || !std::has_single_bit(width)) in->Fail();
  if (!in->ok()) return false;
  const std::unique_ptr<char[]> rows(new char[count * width]);
  if (!DecompressZstd(frame, {rows.get(), count * width})) {
    in->Fail();
    return false;
  }
  const auto widen = [&]<typename Row>(Row row) {
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(&row, rows.get() + i * sizeof(Row), sizeof(Row));
      out[i] = FromZigZag(row);
    }
  };
  if (width == 1) widen(uint8_t{});
  if (width == 2) widen(uint16_t{});
  if (width == 4) widen(uint32_t{});
  if (width == 8) widen(uint64_t{});
  return true;
}

}  // namespace pulseboard

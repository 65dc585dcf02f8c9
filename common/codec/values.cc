#include "common/codec/values.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "common/codec/doubles.h"
#include "common/codec/integers.h"
#include "common/codec/zstd_bytes.h"

namespace pulseboard {
namespace {

constexpr size_t kMinRunLength = 4;      // values per run on average, for runs to be tried
constexpr size_t kMinForZstd = 32;       // values; a frame alone takes some ten bytes
constexpr size_t kGoodDecimalBits = 12;  // per value; below, a dictionary is not even tried

struct Candidate {
  ValueEncoding encoding = ValueEncoding::kRaw;
  std::string bytes;
};

std::string_view AsBytes(std::span<const double> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

void TakeIfSmaller(ValueEncoding encoding, std::string bytes, Candidate* best) {
  if (bytes.size() < best->bytes.size()) *best = {encoding, std::move(bytes)};
}

std::string EncodeBits(std::span<const double> values) {
  std::vector<int64_t> integers(values.size());
  for (size_t i = 0; i < values.size(); ++i) integers[i] = OrderedBits(std::bit_cast<int64_t>(values[i]));
  std::string out;
  EncodeIntegers(integers, &out);
  return out;
}

std::string EncodeDecimals(std::span<const double> values, const Decimals& decimals) {
  std::string out;
  out.push_back(static_cast<char>(decimals.exponent));
  PutVarint(&out, decimals.exceptions.size());
  size_t next = 0;
  for (const size_t i : decimals.exceptions) {
    PutVarint(&out, i - next);
    PutLittleEndian(&out, values[i]);
    next = i + 1;
  }
  EncodeIntegers(decimals.integers, &out);
  return out;
}

std::string EncodeNearDecimals(const NearDecimals& near) {
  std::string out, integers;
  out.push_back(static_cast<char>(near.exponent));
  EncodeIntegers(near.integers, &integers);
  PutLengthPrefixed(&out, integers);
  EncodeIntegers(near.corrections, &out);
  return out;
}

// Distinct bit patterns in order, as ordered integers.
std::vector<int64_t> Distinct(std::span<const double> values) {
  std::vector<int64_t> distinct(values.size());
  for (size_t i = 0; i < values.size(); ++i) distinct[i] = OrderedBits(std::bit_cast<int64_t>(values[i]));
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  return distinct;
}

// What of a stretch from the middle was there before, as far as a small table of those seen remembers.
struct Repeats {
  bool often = false;   // a third of the values or more: a dictionary may pay
  bool halves = false;  // the lower half of one in sixteen or more, as in multiples of a common fraction: zstd may pay
};

Repeats LookForRepeats(std::span<const double> values) {
  constexpr size_t kLooked = 1024;
  constexpr size_t kSlots = 2048;
  const size_t n = std::min(kLooked, values.size());
  std::array<uint64_t, kSlots> seen = {};
  size_t repeated = 0, repeated_halves = 0;
  for (const double v : values.subspan((values.size() - n) / 2, n)) {
    const uint64_t bits = std::bit_cast<uint64_t>(v);
    const uint64_t half = bits & 0xffffffff;
    uint64_t& slot = seen[(half * 0x9E3779B97F4A7C15u) >> 53];
    repeated += slot == bits ? 1 : 0;
    repeated_halves += (slot & 0xffffffff) == half && half != 0 ? 1 : 0;
    slot = bits;
  }
  return {repeated >= n / 3, repeated_halves >= n / 16};
}

std::string EncodeDictionary(std::span<const double> values, std::span<const int64_t> distinct) {
  std::vector<int64_t> places(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t bits = OrderedBits(std::bit_cast<int64_t>(values[i]));
    places[i] = std::lower_bound(distinct.begin(), distinct.end(), bits) - distinct.begin();
  }
  // The entries are a value column themselves, so that decimals stay short; in it nothing repeats.
  std::vector<double> entries(distinct.size());
  for (size_t i = 0; i < entries.size(); ++i) entries[i] = std::bit_cast<double>(OrderedBits(distinct[i]));
  std::string column = EncodeBits(entries);
  ValueEncoding encoding = ValueEncoding::kBits;
  const auto take = [&](ValueEncoding other, std::string bytes) {
    if (bytes.size() >= column.size()) return;
    column = std::move(bytes);
    encoding = other;
  };
  Decimals decimals;
  const bool exact = ToDecimals(entries, &decimals);
  if (exact) take(ValueEncoding::kDecimal, EncodeDecimals(entries, decimals));
  if (NearDecimals near; (!exact || !decimals.exceptions.empty()) && ToNearDecimals(entries, &near)) {
    take(ValueEncoding::kNearDecimal, EncodeNearDecimals(near));
  }
  std::string out;
  PutVarint(&out, entries.size());
  out.push_back(static_cast<char>(encoding));
  PutLengthPrefixed(&out, column);
  EncodeIntegers(places, &out);
  return out;
}

Candidate Choose(std::span<const double> values, bool may_nest);

std::string EncodeRuns(std::span<const double> values, size_t runs) {
  std::vector<int64_t> lengths;
  std::vector<double> of_runs;
  lengths.reserve(runs);
  of_runs.reserve(runs);
  for (const double v : values) {
    if (of_runs.empty() || std::bit_cast<uint64_t>(v) != std::bit_cast<uint64_t>(of_runs.back())) {
      of_runs.push_back(v);
      lengths.push_back(0);
    }
    ++lengths.back();
  }
  std::string length_column;
  EncodeIntegers(lengths, &length_column);
  const Candidate nested = Choose(of_runs, false);
  std::string out;
  PutVarint(&out, of_runs.size());
  PutLengthPrefixed(&out, length_column);
  out.push_back(static_cast<char>(nested.encoding));
  out += nested.bytes;
  return out;
}

size_t CountRuns(std::span<const double> values) {
  size_t runs = 1;
  for (size_t i = 1; i < values.size(); ++i) {
    runs += std::bit_cast<uint64_t>(values[i]) != std::bit_cast<uint64_t>(values[i - 1]) ? 1 : 0;
  }
  return runs;
}

Candidate Choose(std::span<const double> values, bool may_nest) {
  Candidate best = {ValueEncoding::kRaw, std::string(AsBytes(values))};
  const size_t n = values.size();
  Decimals decimals;
  const bool exact = ToDecimals(values, &decimals);
  if (exact) TakeIfSmaller(ValueEncoding::kDecimal, EncodeDecimals(values, decimals), &best);
  if (NearDecimals near; (!exact || !decimals.exceptions.empty()) && ToNearDecimals(values, &near)) {
    TakeIfSmaller(ValueEncoding::kNearDecimal, EncodeNearDecimals(near), &best);
  }
  // Short decimals are hardly ever better off as anything else.
  const bool good = best.bytes.size() * 8 <= n * kGoodDecimalBits;
  if (best.bytes.size() > n * sizeof(double) / 2) TakeIfSmaller(ValueEncoding::kBits, EncodeBits(values), &best);
  if (may_nest) {
    if (const size_t runs = CountRuns(values); runs <= n / kMinRunLength) {
      TakeIfSmaller(ValueEncoding::kRuns, EncodeRuns(values, runs), &best);
    }
  }
  if (n < kMinForZstd || good) return best;
  const Repeats repeats = LookForRepeats(values);
  if (repeats.often) {
    const std::vector<int64_t> distinct = Distinct(values);
    if (distinct.size() <= n / 2) TakeIfSmaller(ValueEncoding::kDictionary, EncodeDictionary(values, distinct), &best);
  }
  // Much slower to read than all others: must be worth it.
  std::string frame;
  if ((repeats.often || repeats.halves) &&
      CompressZstd(AsBytes(values), best.bytes.size() - best.bytes.size() / 32, &frame)) {
    TakeIfSmaller(ValueEncoding::kZstd, std::move(frame), &best);
  }
  return best;
}

bool DecodeDecimals(ByteReader* in, size_t count, double* out) {
  const int exponent = in->Fixed<uint8_t>();
  const uint64_t exceptions = in->Varint();
  if (!in->ok() || exponent > kMaxDecimalExponent || exceptions > count) return false;
  ByteReader list = *in;  // read again once the rest is there
  for (uint64_t i = 0; i < exceptions && in->ok(); ++i) {
    in->Varint();
    in->Bytes(sizeof(double));
  }
  const std::unique_ptr<int64_t[]> integers(new int64_t[count]);
  if (!in->ok() || !DecodeIntegers(in, count, integers.get())) return false;
  FromDecimals({integers.get(), count}, exponent, out);
  uint64_t at = 0;
  for (uint64_t i = 0; i < exceptions; ++i, ++at) {
    const uint64_t gap = list.Varint();
    if (gap >= count - at) return false;
    at += gap;
    out[at] = list.Fixed<double>();
  }
  return true;
}

bool DecodeNearDecimals(ByteReader* in, size_t count, double* out) {
  const int exponent = in->Fixed<uint8_t>();
  ByteReader column(in->LengthPrefixed());
  if (!in->ok() || exponent > kMaxDecimalExponent) return false;
  const std::unique_ptr<int64_t[]> integers(new int64_t[2 * count]);
  int64_t* const corrections = integers.get() + count;
  if (!DecodeIntegers(&column, count, integers.get()) || column.remaining() != 0) return false;
  if (!DecodeIntegers(in, count, corrections)) return false;
  FromNearDecimals({integers.get(), count}, {corrections, count}, exponent, out);
  return true;
}

bool DecodeBits(ByteReader* in, size_t count, double* out) {
  const std::unique_ptr<int64_t[]> integers(new int64_t[count]);
  if (!DecodeIntegers(in, count, integers.get())) return false;
  for (size_t i = 0; i < count; ++i) out[i] = std::bit_cast<double>(OrderedBits(integers[i]));
  return true;
}

bool DecodeDictionary(ByteReader* in, size_t count, double* out) {
  const uint64_t size = in->Varint();
  const auto encoding = static_cast<ValueEncoding>(in->Fixed<uint8_t>());
  ByteReader column(in->LengthPrefixed());
  if (!in->ok() || size == 0 || size > count) return false;
  if (encoding != ValueEncoding::kBits && encoding != ValueEncoding::kDecimal &&
      encoding != ValueEncoding::kNearDecimal) {
    return false;
  }
  std::vector<double> entries(size);
  if (!DecodeValues(encoding, &column, size, entries.data())) return false;
  const std::unique_ptr<int64_t[]> places(new int64_t[count]);
  if (!DecodeIntegers(in, count, places.get())) return false;
  uint64_t greatest = 0;
  for (size_t i = 0; i < count; ++i) greatest = std::max(greatest, static_cast<uint64_t>(places[i]));
  if (greatest >= size) return false;
  for (size_t i = 0; i < count; ++i) out[i] = entries[static_cast<size_t>(places[i])];
  return true;
}

bool DecodeRuns(ByteReader* in, size_t count, double* out) {
  const uint64_t runs = in->Varint();
  ByteReader length_column(in->LengthPrefixed());
  const auto encoding = static_cast<ValueEncoding>(in->Fixed<uint8_t>());
  if (!in->ok() || runs == 0 || runs > count || encoding == ValueEncoding::kRuns) return false;
  std::vector<int64_t> lengths(runs);
  if (!DecodeIntegers(&length_column, runs, lengths.data()) || length_column.remaining() != 0) return false;
  std::vector<double> of_runs(runs);
  if (!DecodeValues(encoding, in, runs, of_runs.data())) return false;
  size_t at = 0;
  for (uint64_t i = 0; i < runs; ++i) {
    if (lengths[i] < 1 || static_cast<uint64_t>(lengths[i]) > count - at) return false;
    std::fill_n(out + at, lengths[i], of_runs[i]);
    at += static_cast<size_t>(lengths[i]);
  }
  return at == count;
}

bool DecodeOne(ValueEncoding encoding, ByteReader* in, size_t count, double* out) {
  switch (encoding) {
    case ValueEncoding::kDecimal:
      return DecodeDecimals(in, count, out);
    case ValueEncoding::kNearDecimal:
      return DecodeNearDecimals(in, count, out);
    case ValueEncoding::kBits:
      return DecodeBits(in, count, out);
    case ValueEncoding::kDictionary:
      return DecodeDictionary(in, count, out);
    case ValueEncoding::kRuns:
      return DecodeRuns(in, count, out);
    case ValueEncoding::kRaw: {
      const std::string_view raw = in->Bytes(count * sizeof(double));
      if (in->ok()) std::memcpy(out, raw.data(), raw.size());
      return in->ok();
    }
    case ValueEncoding::kZstd:
      return DecompressZstd(in->Bytes(in->remaining()), {reinterpret_cast<char*>(out), count * sizeof(double)});
    case ValueEncoding::kConstant:
    case ValueEncoding::kXor:
      break;
  }
  return false;
}

}  // namespace

ValueEncoding EncodeValues(std::span<const double> values, std::string* out) {
  const Candidate best = Choose(values, true);
  *out += best.bytes;
  return best.encoding;
}

bool DecodeValues(ValueEncoding encoding, ByteReader* in, size_t count, double* out) {
  return DecodeOne(encoding, in, count, out) && in->ok() && in->remaining() == 0;
}

}  // namespace pulseboard

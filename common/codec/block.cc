#include "common/codec/block.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "common/base/checksum.h"
#include "common/base/errors.h"
#include "common/codec/bytes.h"
#include "common/codec/doubles.h"
#include "common/codec/integers.h"

namespace pulseboard {
namespace {

constexpr size_t kChecksumBytes = sizeof(uint32_t);

absl::Status Corrupt(std::string_view what) {
  return MakeError(ErrorReason::kBlockCorrupt, "block: " + std::string(what));
}

bool AllSameBits(std::span<const double> values) {
  const uint64_t first = std::bit_cast<uint64_t>(values[0]);
  return std::all_of(values.begin(), values.end(), [first](double v) { return std::bit_cast<uint64_t>(v) == first; });
}

std::pair<double, double> ValueBounds(std::span<const double> values) {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  bool any = false;
  for (const double v : values) {
    if (std::isnan(v)) continue;
    low = std::min(low, v);
    high = std::max(high, v);
    any = true;
  }
  if (!any) low = high = std::numeric_limits<double>::quiet_NaN();
  return {low, high};
}

constexpr int kRawBounds = kMaxDecimalExponent + 1;  // instead of an exponent
constexpr int kMaxTimeExponent = 12;
constexpr std::array<int64_t, kMaxTimeExponent + 1> kTimeUnits = {
    1,          10,          100,           1'000,          10'000,          100'000,          1'000'000,
    10'000'000, 100'000'000, 1'000'000'000, 10'000'000'000, 100'000'000'000, 1'000'000'000'000};

uint64_t WrappingSpan(int64_t from, int64_t to) { return static_cast<uint64_t>(to) - static_cast<uint64_t>(from); }

void PutTimeBounds(int64_t first, int64_t last, std::string* out) {
  const uint64_t span = WrappingSpan(first, last);
  int exponent = 0;
  const auto fits = [&](int e) {
    const int64_t unit = kTimeUnits[static_cast<size_t>(e)];
    return first % unit == 0 && span % static_cast<uint64_t>(unit) == 0;
  };
  while (exponent < kMaxTimeExponent && fits(exponent + 1)) ++exponent;
  const int64_t unit = kTimeUnits[static_cast<size_t>(exponent)];
  out->push_back(static_cast<char>(exponent));
  PutZigZag(out, first / unit);
  PutVarint(out, span / static_cast<uint64_t>(unit));
}

void TakeTimeBounds(ByteReader* in, BlockHeader* header) {
  const size_t exponent = in->Fixed<uint8_t>();
  if (exponent > kMaxTimeExponent) return in->Fail();
  const auto unit = static_cast<uint64_t>(kTimeUnits[exponent]);
  header->min_time = static_cast<int64_t>(static_cast<uint64_t>(in->ZigZag()) * unit);
  header->max_time = static_cast<int64_t>(static_cast<uint64_t>(header->min_time) + in->Varint() * unit);
}

void PutValueBounds(double low, double high, std::string* out) {
  int exponent = 0;
  int64_t low_integer = 0, high_integer = 0;
  if (ToDecimalBounds(low, high, &exponent, &low_integer, &high_integer)) {
    out->push_back(static_cast<char>(exponent));
    PutZigZag(out, low_integer);
    PutVarint(out, WrappingSpan(low_integer, high_integer));
  } else {
    out->push_back(static_cast<char>(kRawBounds));
    PutLittleEndian(out, low);
    PutLittleEndian(out, high);
  }
}

void TakeValueBounds(ByteReader* in, BlockHeader* header) {
  const int exponent = in->Fixed<uint8_t>();
  if (exponent > kRawBounds) return in->Fail();
  if (exponent == kRawBounds) {
    header->min_value = in->Fixed<double>();
    header->max_value = in->Fixed<double>();
    return;
  }
  const double power = PowerOfTen(exponent);
  const int64_t low = in->ZigZag();
  const auto high = static_cast<int64_t>(static_cast<uint64_t>(low) + in->Varint());
  header->min_value = static_cast<double>(low) / power;
  header->max_value = static_cast<double>(high) / power;
}

// Returns the version, 0 with `in` failed when there is no readable header.
uint8_t TakeHeader(ByteReader* in, BlockHeader* header) {
  const auto version = in->Fixed<uint8_t>();
  if (version < 1 || version > kBlockVersion) in->Fail();
  header->value_encoding = static_cast<ValueEncoding>(in->Fixed<uint8_t>());
  const uint64_t count = in->Varint();
  if (count == 0 || count > kMaxBlockSamples) in->Fail();
  header->count = static_cast<uint32_t>(count);
  const bool constant = header->value_encoding == ValueEncoding::kConstant;
  if (version == 1) {
    header->min_time = in->Fixed<int64_t>();
    header->max_time = static_cast<int64_t>(static_cast<uint64_t>(header->min_time) + in->Varint());
  } else {
    TakeTimeBounds(in, header);
  }
  if (header->max_time < header->min_time) in->Fail();
  if (constant || version == 1) {
    header->min_value = in->Fixed<double>();
    header->max_value = constant ? header->min_value : in->Fixed<double>();
  } else {
    TakeValueBounds(in, header);
  }
  return in->ok() ? version : 0;
}

// Empty when the times are evenly spaced: the header says all then.
std::string EncodeTimes(std::span<const int64_t> times) {
  std::vector<int64_t> offsets(times.size());
  for (size_t i = 0; i < times.size(); ++i) offsets[i] = static_cast<int64_t>(WrappingSpan(times[0], times[i]));
  const uint64_t step = times.size() > 1 ? WrappingSpan(times[0], times[1]) : 0;
  bool regular = true;
  for (size_t i = 0; i < times.size(); ++i) regular &= static_cast<uint64_t>(offsets[i]) == step * i;
  std::string out;
  if (!regular) EncodeIntegers(offsets, &out);
  return out;
}

bool FillRegularTimes(const BlockHeader& header, int64_t* times) {
  const auto start = static_cast<uint64_t>(header.min_time);
  const uint64_t span = WrappingSpan(header.min_time, header.max_time);
  if (header.count == 1) {
    times[0] = header.min_time;
    return span == 0;
  }
  const uint64_t steps = header.count - 1;
  if (span == 0 || span % steps != 0) return false;
  const uint64_t step = span / steps;
  for (size_t i = 0; i < header.count; ++i) times[i] = static_cast<int64_t>(start + step * i);
  return true;
}

bool DecodeTimes(ByteReader* in, uint8_t version, const BlockHeader& header, int64_t* times) {
  ByteReader column(in->LengthPrefixed());
  if (!in->ok()) return false;
  if (version > 1 && column.remaining() == 0) return FillRegularTimes(header, times);
  if (!DecodeIntegers(&column, header.count, times) || column.remaining() != 0) return false;
  const auto start = static_cast<uint64_t>(header.min_time);
  for (size_t i = 0; i < header.count; ++i) times[i] = static_cast<int64_t>(start + static_cast<uint64_t>(times[i]));
  bool ascending = true;
  for (size_t i = 1; i < header.count; ++i) ascending &= times[i] > times[i - 1];
  return ascending && times[0] == header.min_time && times[header.count - 1] == header.max_time;
}

bool DecodeDecimalsV1(ByteReader* in, size_t count, double* values) {
  const int exponent = in->Fixed<uint8_t>();
  if (!in->ok() || exponent > kMaxDecimalExponent) return false;
  std::vector<int64_t> integers(count);
  if (!DecodeIntegers(in, count, integers.data()) || in->remaining() != 0) return false;
  FromDecimals(integers, exponent, values);
  return true;
}

bool DecodeColumn(ByteReader* in, uint8_t version, const BlockHeader& header, double* values) {
  const ValueEncoding encoding = header.value_encoding;
  if (encoding == ValueEncoding::kConstant) {
    std::fill_n(values, header.count, header.min_value);
    return in->remaining() == 0;
  }
  if (version > 1 || encoding == ValueEncoding::kRaw) return DecodeValues(encoding, in, header.count, values);
  if (encoding == ValueEncoding::kDecimal) return DecodeDecimalsV1(in, header.count, values);
  return encoding == ValueEncoding::kXor && DecodeXor(in->rest(), header.count, values);
}

}  // namespace

std::string EncodeBlock(std::span<const int64_t> times, std::span<const double> values) {
  const std::string time_column = EncodeTimes(times);
  const bool constant = AllSameBits(values);
  std::string value_column;
  const ValueEncoding encoding = constant ? ValueEncoding::kConstant : EncodeValues(values, &value_column);

  std::string out;
  out.reserve(64 + time_column.size() + value_column.size());
  out.push_back(static_cast<char>(kBlockVersion));
  out.push_back(static_cast<char>(encoding));
  PutVarint(&out, times.size());
  PutTimeBounds(times.front(), times.back(), &out);
  if (constant) {
    PutLittleEndian(&out, values[0]);
  } else {
    const auto [low, high] = ValueBounds(values);
    PutValueBounds(low, high, &out);
  }
  PutLengthPrefixed(&out, time_column);
  out += value_column;
  PutLittleEndian(&out, Crc32(out));
  return out;
}

absl::StatusOr<BlockHeader> ReadBlockHeader(std::string_view bytes) {
  ByteReader in(bytes);
  BlockHeader header;
  if (TakeHeader(&in, &header) == 0) return Corrupt("header is not readable (version, count or times)");
  return header;
}

absl::Status DecodeBlock(std::string_view bytes, SampleColumns* out) {
  if (bytes.size() < kChecksumBytes) return Corrupt(std::to_string(bytes.size()) + " bytes are no block");
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (Crc32(body) != GetLittleEndian<uint32_t>(bytes.substr(body.size()))) return Corrupt("checksum mismatch");
  ByteReader in(body);
  BlockHeader header;
  const uint8_t version = TakeHeader(&in, &header);
  if (version == 0) return Corrupt("header is not readable (version, count or times)");
  const size_t old_size = out->size();
  out->times.resize(old_size + header.count);
  out->values.resize(old_size + header.count);
  const bool decoded = DecodeTimes(&in, version, header, out->times.data() + old_size) &&
                       DecodeColumn(&in, version, header, out->values.data() + old_size);
  if (decoded) return absl::OkStatus();
  out->times.resize(old_size);
  out->values.resize(old_size);
  return Corrupt("columns do not decode");
}

}  // namespace pulseboard

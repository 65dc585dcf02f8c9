#include "common/codec/block.h"

#include <algorithm>
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

// Appends the smallest of decimal, XOR and raw.
ValueEncoding EncodeValues(std::span<const double> values, std::string* out) {
  std::vector<int64_t> integers;
  int exponent = 0;
  std::string decimal;
  if (ToDecimals(values, &integers, &exponent)) {
    decimal.push_back(static_cast<char>(exponent));
    EncodeIntegers(integers, &decimal);
  }
  const size_t raw_size = values.size() * sizeof(double);
  const size_t decimal_size = decimal.empty() ? raw_size : decimal.size();
  const size_t xor_size = XorSize(values);
  if (!decimal.empty() && decimal_size <= xor_size && decimal_size < raw_size) {
    out->append(decimal);
    return ValueEncoding::kDecimal;
  }
  if (xor_size < raw_size) {
    EncodeXor(values, out);
    return ValueEncoding::kXor;
  }
  out->append(reinterpret_cast<const char*>(values.data()), raw_size);
  return ValueEncoding::kRaw;
}

BlockHeader TakeHeader(ByteReader* in) {
  BlockHeader header;
  if (in->Fixed<uint8_t>() != kBlockVersion) in->Fail();
  header.value_encoding = static_cast<ValueEncoding>(in->Fixed<uint8_t>());
  const uint64_t count = in->Varint();
  if (count == 0 || count > kMaxBlockSamples) in->Fail();
  header.count = static_cast<uint32_t>(count);
  header.min_time = in->Fixed<int64_t>();
  header.max_time = static_cast<int64_t>(static_cast<uint64_t>(header.min_time) + in->Varint());
  if (header.max_time < header.min_time) in->Fail();
  header.min_value = in->Fixed<double>();
  header.max_value = header.value_encoding == ValueEncoding::kConstant ? header.min_value : in->Fixed<double>();
  return header;
}

bool DecodeTimes(ByteReader* in, const BlockHeader& header, int64_t* times) {
  ByteReader column(in->LengthPrefixed());
  if (!in->ok() || !DecodeIntegers(&column, header.count, times) || column.remaining() != 0) return false;
  for (size_t i = 0; i < header.count; ++i) {
    times[i] = static_cast<int64_t>(static_cast<uint64_t>(header.min_time) + static_cast<uint64_t>(times[i]));
    if (i > 0 && times[i] <= times[i - 1]) return false;
  }
  return times[0] == header.min_time && times[header.count - 1] == header.max_time;
}

bool DecodeDecimals(ByteReader* in, size_t count, double* values) {
  const int exponent = in->Fixed<uint8_t>();
  if (!in->ok() || exponent > kMaxDecimalExponent) return false;
  std::vector<int64_t> integers(count);
  if (!DecodeIntegers(in, count, integers.data()) || in->remaining() != 0) return false;
  const double power = PowerOfTen(exponent);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<double>(integers[i]) / power;
  return true;
}

bool DecodeValues(ByteReader* in, const BlockHeader& header, double* values) {
  const size_t count = header.count;
  switch (header.value_encoding) {
    case ValueEncoding::kConstant:
      std::fill_n(values, count, header.min_value);
      return in->remaining() == 0;
    case ValueEncoding::kDecimal:
      return DecodeDecimals(in, count, values);
    case ValueEncoding::kXor:
      return DecodeXor(in->rest(), count, values);
    case ValueEncoding::kRaw:
      if (in->remaining() != count * sizeof(double)) return false;
      std::memcpy(values, in->rest().data(), in->remaining());
      return true;
  }
  return false;
}

}  // namespace

std::string EncodeBlock(std::span<const int64_t> times, std::span<const double> values) {
  const bool constant = AllSameBits(values);
  std::string time_column;
  std::vector<int64_t> offsets(times.size());
  for (size_t i = 0; i < times.size(); ++i) {
    offsets[i] = static_cast<int64_t>(static_cast<uint64_t>(times[i]) - static_cast<uint64_t>(times[0]));
  }
  EncodeIntegers(offsets, &time_column);
  std::string value_column;
  const ValueEncoding encoding = constant ? ValueEncoding::kConstant : EncodeValues(values, &value_column);

  std::string out;
  out.reserve(64 + time_column.size() + value_column.size());
  out.push_back(static_cast<char>(kBlockVersion));
  out.push_back(static_cast<char>(encoding));
  PutVarint(&out, times.size());
  PutLittleEndian(&out, times.front());
  PutVarint(&out, static_cast<uint64_t>(times.back()) - static_cast<uint64_t>(times.front()));
  if (constant) {
    PutLittleEndian(&out, values[0]);
  } else {
    const auto [low, high] = ValueBounds(values);
    PutLittleEndian(&out, low);
    PutLittleEndian(&out, high);
  }
  PutLengthPrefixed(&out, time_column);
  out += value_column;
  PutLittleEndian(&out, Crc32(out));
  return out;
}

absl::StatusOr<BlockHeader> ReadBlockHeader(std::string_view bytes) {
  ByteReader in(bytes);
  const BlockHeader header = TakeHeader(&in);
  if (!in.ok()) return Corrupt("header is not readable (version, count or times)");
  return header;
}

absl::Status DecodeBlock(std::string_view bytes, SampleColumns* out) {
  if (bytes.size() < kChecksumBytes) return Corrupt(std::to_string(bytes.size()) + " bytes are no block");
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (Crc32(body) != GetLittleEndian<uint32_t>(bytes.substr(body.size()))) return Corrupt("checksum mismatch");
  ByteReader in(body);
  const BlockHeader header = TakeHeader(&in);
  if (!in.ok()) return Corrupt("header is not readable (version, count or times)");
  const size_t old_size = out->size();
  out->times.resize(old_size + header.count);
  out->values.resize(old_size + header.count);
  const bool decoded = DecodeTimes(&in, header, out->times.data() + old_size) &&
                       DecodeValues(&in, header, out->values.data() + old_size);
  if (decoded) return absl::OkStatus();
  out->times.resize(old_size);
  out->values.resize(old_size);
  return Corrupt("columns do not decode");
}

}  // namespace pulseboard

#include "common/codec/integers.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "common/codec/classes.h"
#include "common/codec/residuals.h"

namespace pulseboard {
namespace {

constexpr int kKinds = 3;              // offset, delta, delta of delta: the forms of one kind are that far apart
constexpr size_t kFewForClasses = 64;  // residuals; fewer say little about their classes

uint64_t Magnitude(int64_t v) { return v < 0 ? ~static_cast<uint64_t>(v) + 1 : static_cast<uint64_t>(v); }

// The greatest number that divides every delta, 1 when some delta does not fit 64 bits (offsets could wrap then).
int64_t LearnUnit(std::span<const int64_t> values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  int64_t span = 0;
  if (__builtin_sub_overflow(*high, *low, &span)) return 1;
  uint64_t unit = 0;
  for (size_t i = 1; i < values.size() && unit != 1; ++i) {
    const uint64_t delta = Magnitude(values[i] - values[i - 1]);
    // Equal or already divisible deltas are the common case and cheaper than a gcd.
    if (unit == 0 || delta % unit != 0) unit = std::gcd(unit, delta);
  }
  return unit == 0 ? 1 : static_cast<int64_t>(unit);
}

bool IsLinear(std::span<const int64_t> values) {
  if (values.size() < 2) return true;
  const int64_t step = WrappingSubtract(values[1], values[0]);
  for (size_t i = 2; i < values.size(); ++i) {
    if (WrappingSubtract(values[i], values[i - 1]) != step) return false;
  }
  return true;
}

// Appends the residuals in their smallest form and returns how far that form is from packed. `packed_size`:
// PackedSize().
int PutResiduals(std::span<const int64_t> residuals, ResidualSign sign, size_t packed_size, std::string* out) {
  // Reading symbols costs more than unpacking, zstd more than symbols: they must be worth it.
  std::string best;
  int form = 0;
  size_t limit = packed_size - packed_size / 64;
  if (EncodeSplit(residuals, limit, &best)) {
    form = 1;
    limit = best.size() - best.size() / 64;
  }
  if (std::string classes;
      EstimateClasses(residuals, sign) < limit && EncodeClasses(residuals, sign, limit, &classes)) {
    form = 3;
    best = std::move(classes);
    limit = best.size();
  }
  limit -= form == 0 ? 0 : limit / 16;
  std::string rows;
  if (LooksRepetitive(residuals) && EncodeRows(residuals, limit, &rows)) {
    form = 2;
    best = std::move(rows);
  }
  if (form == 0) {
    Pack(residuals, out);
  } else {
    *out += best;
  }
  return form;
}

bool TakeResiduals(ByteReader* in, int form, size_t count, int64_t* out) {
  if (form == 0) return Unpack(in, count, out);
  if (form == 1) return DecodeSplit(in, count, out);
  return form == 2 ? DecodeRows(in, count, out) : DecodeClasses(in, count, out);
}

// By size packed; where offsets and deltas are close in that, by what their classes suggest, since packing looks at the
// widest of a group only.
IntegerEncoding ChooseKind(std::span<const int64_t> offsets, std::span<const int64_t> deltas,
                           std::span<const int64_t> second, const size_t (&packed)[kKinds]) {
  const size_t delta_size = packed[1], second_size = packed[2] + VarintSize(ToZigZag(second[0]));
  if (second_size < std::min(packed[0], delta_size)) return IntegerEncoding::kDeltaOfDelta;
  const auto [less, more] = std::minmax(packed[0], delta_size);
  const bool close = more - less <= less / 2 && offsets.size() > kFewForClasses;
  if (!close) return packed[0] <= delta_size ? IntegerEncoding::kOffset : IntegerEncoding::kDelta;
  const size_t offset_classes = EstimateClasses(offsets, ResidualSign::kOffset);
  const size_t delta_classes = EstimateClasses(deltas, ResidualSign::kSigned);
  if (offset_classes == delta_classes) {
    return packed[0] <= delta_size ? IntegerEncoding::kOffset : IntegerEncoding::kDelta;
  }
  return offset_classes < delta_classes ? IntegerEncoding::kOffset : IntegerEncoding::kDelta;
}

}  // namespace

void EncodeIntegers(std::span<const int64_t> values, std::string* out) {
  if (IsLinear(values)) {
    out->push_back(static_cast<char>(IntegerEncoding::kLinear));
    PutZigZag(out, values[0]);
    PutZigZag(out, values.size() < 2 ? 0 : WrappingSubtract(values[1], values[0]));
    return;
  }
  const int64_t unit = LearnUnit(values);
  const size_t n = values.size() - 1;
  std::vector<int64_t> offsets(n), deltas(n), second(n);
  for (size_t i = 0; i < n; ++i) {
    offsets[i] = WrappingSubtract(values[i + 1], values[0]);
    deltas[i] = WrappingSubtract(values[i + 1], values[i]);
    if (unit != 1) {
      offsets[i] /= unit;
      deltas[i] /= unit;
    }
    second[i] = i == 0 ? deltas[0] : WrappingSubtract(deltas[i], deltas[i - 1]);
  }
  const std::span<const int64_t> second_tail = std::span(second).subspan(1);
  const size_t packed_sizes[kKinds] = {PackedSize(offsets), PackedSize(deltas), PackedSize(second_tail)};
  const size_t encoding_at = out->size();
  out->push_back(0);
  PutZigZag(out, values[0]);
  PutVarint(out, static_cast<uint64_t>(unit));
  const IntegerEncoding kind = ChooseKind(offsets, deltas, second, packed_sizes);
  int form = 0;
  if (kind == IntegerEncoding::kOffset) {
    form = PutResiduals(offsets, ResidualSign::kOffset, packed_sizes[0], out);
  } else if (kind == IntegerEncoding::kDelta) {
    form = PutResiduals(deltas, ResidualSign::kSigned, packed_sizes[1], out);
  } else {
    PutZigZag(out, second[0]);
    form = PutResiduals(second_tail, ResidualSign::kSigned, packed_sizes[2], out);
  }
  (*out)[encoding_at] = static_cast<char>(static_cast<int>(kind) + form * kKinds);
}

bool DecodeIntegers(ByteReader* in, size_t count, int64_t* out) {
  const int encoding = in->Fixed<uint8_t>();
  out[0] = in->ZigZag();
  if (encoding == static_cast<int>(IntegerEncoding::kLinear)) {
    const int64_t step = in->ZigZag();
    for (size_t i = 1; i < count; ++i) {
      out[i] = WrappingAdd(out[0], WrappingMultiply(step, static_cast<int64_t>(i)));
    }
    return in->ok();
  }
  const auto unit = static_cast<int64_t>(in->Varint());
  if (encoding < static_cast<int>(IntegerEncoding::kOffset) ||
      encoding > static_cast<int>(IntegerEncoding::kDeltaOfDeltaClasses) || count < 2) {
    in->Fail();
    return false;
  }
  const int form = (encoding - static_cast<int>(IntegerEncoding::kOffset)) / kKinds;
  const auto kind = static_cast<IntegerEncoding>(encoding - form * kKinds);
  const bool second = kind == IntegerEncoding::kDeltaOfDelta;
  int64_t delta = second ? in->ZigZag() : 0;
  const size_t done = second ? 2 : 1;
  if (!TakeResiduals(in, form, count - done, out + done)) return false;
  if (second) {
    out[1] = delta;
    for (size_t i = 2; i < count; ++i) out[i] = delta = WrappingAdd(delta, out[i]);
  }
  if (unit != 1) {
    for (size_t i = 1; i < count; ++i) out[i] = WrappingMultiply(out[i], unit);
  }
  if (kind == IntegerEncoding::kOffset) {
    const int64_t first = out[0];
    for (size_t i = 1; i < count; ++i) out[i] = WrappingAdd(first, out[i]);
  } else {
    int64_t value = out[0];
    for (size_t i = 1; i < count; ++i) out[i] = value = WrappingAdd(value, out[i]);
  }
  return in->ok();
}

}  // namespace pulseboard

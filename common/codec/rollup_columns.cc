#include "common/codec/rollup_columns.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "common/codec/doubles.h"
#include "common/codec/values.h"

namespace pulseboard {
namespace {

// Order on disk.
enum Slot : size_t {
  kCounts,
  kNanCounts,
  kLasts,  // its first byte says how first, last, min and max became integers
  kFirsts,
  kMins,
  kMaxs,
  kSums,
  kResets,
  kFirstTimes,
  kLastTimes,
  kMinTimes,
  kMaxTimes,
  kSlots
};

constexpr int kOrderedBits = 255;   // instead of a decimal exponent
constexpr uint8_t kPredicted = 16;  // instead of a value encoding: sums as integers beside what the ends let expect

using Integers = std::vector<int64_t>;

int64_t Add(int64_t a, int64_t b) { return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); }
int64_t Subtract(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
int64_t Multiply(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

// first, last, min and max of all buckets as integers of one scale.
struct Corners {
  int exponent = kOrderedBits;
  Integers firsts, lasts, mins, maxs;
};

Integers ToOrderedBits(std::span<const double> values) {
  Integers out(values.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = OrderedBits(std::bit_cast<int64_t>(values[i]));
  return out;
}

// Buckets without a number have NaN in all four, which is known from their count: they repeat what was before.
std::vector<double> WithoutNans(const std::vector<double>& values, const Integers& counts) {
  std::vector<double> out = values;
  for (size_t i = 0; i < out.size(); ++i) {
    if (counts[i] == 0) out[i] = i == 0 ? 0 : out[i - 1];
  }
  return out;
}

Corners MakeCorners(const RollupColumns& c) {
  const size_t n = c.size();
  std::vector<double> all;
  all.reserve(4 * n);
  for (const std::vector<double>* column : {&c.firsts, &c.lasts, &c.mins, &c.maxs}) {
    const std::vector<double> values = WithoutNans(*column, c.counts);
    all.insert(all.end(), values.begin(), values.end());
  }
  Corners out;
  Integers integers;
  if (Decimals decimals; ToDecimalsExactly(all, &decimals)) {
    out.exponent = decimals.exponent;
    integers = std::move(decimals.integers);
  } else {
    integers = ToOrderedBits(all);
  }
  const auto part = [&](size_t i) {
    const auto begin = integers.begin() + static_cast<std::ptrdiff_t>(i * n);
    return Integers(begin, begin + static_cast<std::ptrdiff_t>(n));
  };
  out.firsts = part(0);
  out.lasts = part(1);
  out.mins = part(2);
  out.maxs = part(3);
  return out;
}

void PutColumn(std::span<const int64_t> integers, std::string* out) {
  std::string column;
  EncodeIntegers(integers, &column);
  PutLengthPrefixed(out, column);
}

void PutCorners(const Corners& corners, std::string* out) {
  const size_t n = corners.lasts.size();
  std::string column(1, static_cast<char>(corners.exponent));
  EncodeIntegers(corners.lasts, &column);
  PutLengthPrefixed(out, column);
  Integers rest(n);
  for (size_t i = 0; i < n; ++i) rest[i] = Subtract(corners.firsts[i], corners.lasts[i == 0 ? 0 : i - 1]);
  PutColumn(rest, out);
  for (size_t i = 0; i < n; ++i) rest[i] = Subtract(std::min(corners.firsts[i], corners.lasts[i]), corners.mins[i]);
  PutColumn(rest, out);
  for (size_t i = 0; i < n; ++i) rest[i] = Subtract(corners.maxs[i], std::max(corners.firsts[i], corners.lasts[i]));
  PutColumn(rest, out);
}

// What a sum would be, were the line straight.
int64_t PredictedSum(int64_t count, int64_t first, int64_t last) { return Multiply(count, Add(first, last)) >> 1; }

std::string EncodeDoubles(std::span<const double> values) {
  const uint64_t bits = std::bit_cast<uint64_t>(values[0]);
  std::string out(1, static_cast<char>(ValueEncoding::kConstant));
  if (std::all_of(values.begin(), values.end(), [&](double v) { return std::bit_cast<uint64_t>(v) == bits; })) {
    PutLittleEndian(&out, values[0]);
    return out;
  }
  out[0] = static_cast<char>(EncodeValues(values, &out));
  return out;
}

// The sums as integers of the given decimal exponent; nothing when they are not.
std::optional<Integers> SumIntegers(std::span<const double> sums, int exponent) {
  Decimals decimals;
  if (exponent == kOrderedBits || !ToDecimalsExactly(sums, &decimals)) return std::nullopt;
  if (decimals.exponent > exponent) return std::nullopt;
  constexpr double kMax = 9007199254740992.0;  // 2^53
  const double factor = PowerOfTen(exponent - decimals.exponent);
  for (int64_t& k : decimals.integers) {
    if (std::fabs(static_cast<double>(k) * factor) >= kMax) return std::nullopt;
    k *= static_cast<int64_t>(factor);
  }
  return std::move(decimals.integers);
}

void PutSums(const RollupColumns& c, const Corners& corners, std::string* out) {
  std::string best = EncodeDoubles(c.sums);
  if (const std::optional<Integers> sums = SumIntegers(c.sums, corners.exponent)) {
    Integers rest(c.size());
    for (size_t i = 0; i < rest.size(); ++i) {
      rest[i] = Subtract((*sums)[i], PredictedSum(c.counts[i], corners.firsts[i], corners.lasts[i]));
    }
    std::string predicted(1, static_cast<char>(kPredicted));
    EncodeIntegers(rest, &predicted);
    if (predicted.size() < best.size()) best = std::move(predicted);
  }
  PutLengthPrefixed(out, best);
}

void PutTimes(const RollupColumns& c, std::string* out) {
  Integers rest(c.size());
  const auto put = [&](const Integers& times, const Integers& from) {
    for (size_t i = 0; i < rest.size(); ++i) rest[i] = Subtract(times[i], from[i]);
    PutColumn(rest, out);
  };
  put(c.first_times, c.starts);
  put(c.last_times, c.first_times);
  put(c.min_times, c.first_times);
  put(c.max_times, c.first_times);
}

// Decodes columns as they are asked for; others they lean on first, once.
class Columns {
 public:
  Columns(ByteReader* in, std::span<const int64_t> starts) : starts_(starts) {
    for (std::string_view& column : bytes_) column = in->LengthPrefixed();
    ok_ = in->ok() && in->remaining() == 0;
    if (!ok_) return;
    counts_ = Read(kCounts);
    for (const int64_t count : counts_) ok_ &= count >= 0;
    ByteReader lasts(bytes_[kLasts]);
    exponent_ = lasts.Fixed<uint8_t>();
    ok_ &= lasts.ok() && (exponent_ <= kMaxDecimalExponent || exponent_ == kOrderedBits);
    bytes_[kLasts] = lasts.rest();
  }

  bool ok() const { return ok_; }
  const Integers& counts() const { return counts_; }

  Integers Read(Slot slot) {
    Integers out(starts_.size());
    ByteReader in(bytes_[slot]);
    ok_ = ok_ && DecodeIntegers(&in, out.size(), out.data()) && in.remaining() == 0;
    return out;
  }
  const Integers& Lasts() {
    if (lasts_.empty()) lasts_ = Read(kLasts);
    return lasts_;
  }
  const Integers& Firsts() {
    if (!firsts_.empty()) return firsts_;
    const Integers& lasts = Lasts();
    firsts_ = Read(kFirsts);
    for (size_t i = firsts_.size(); i-- > 1;) firsts_[i] = Add(firsts_[i], lasts[i - 1]);
    firsts_[0] = Add(firsts_[0], lasts[0]);
    return firsts_;
  }
  Integers Extremes(bool greatest) {
    const Integers& lasts = Lasts();
    const Integers& firsts = Firsts();
    Integers out = Read(greatest ? kMaxs : kMins);
    if (greatest) {
      for (size_t i = 0; i < out.size(); ++i) out[i] = Add(std::max(firsts[i], lasts[i]), out[i]);
    } else {
      for (size_t i = 0; i < out.size(); ++i) out[i] = Subtract(std::min(firsts[i], lasts[i]), out[i]);
    }
    return out;
  }
  // Corner integers as values.
  void ToValues(const Integers& integers, double* out) const {
    if (exponent_ == kOrderedBits) {
      for (size_t i = 0; i < integers.size(); ++i) out[i] = std::bit_cast<double>(OrderedBits(integers[i]));
    } else {
      FromDecimals(integers, exponent_, out);
    }
    for (size_t i = 0; i < integers.size(); ++i) {
      if (counts_[i] == 0) out[i] = std::numeric_limits<double>::quiet_NaN();
    }
  }
  void ReadDoubles(Slot slot, double* out) {
    ByteReader in(bytes_[slot]);
    const auto encoding = in.Fixed<uint8_t>();
    if (encoding == static_cast<uint8_t>(ValueEncoding::kConstant)) {
      std::fill_n(out, starts_.size(), in.Fixed<double>());
      ok_ &= in.ok() && in.remaining() == 0;
    } else if (slot == kSums && encoding == kPredicted && exponent_ != kOrderedBits) {
      bytes_[slot] = in.rest();
      Integers sums = Read(slot);
      const Integers& firsts = Firsts();
      const Integers& lasts = Lasts();
      for (size_t i = 0; i < sums.size(); ++i) sums[i] = Add(sums[i], PredictedSum(counts_[i], firsts[i], lasts[i]));
      FromDecimals(sums, exponent_, out);
    } else {
      ok_ = ok_ && in.ok() && DecodeValues(static_cast<ValueEncoding>(encoding), &in, starts_.size(), out);
    }
  }
  const Integers& FirstTimes() {
    if (first_times_.empty()) {
      first_times_ = Read(kFirstTimes);
      for (size_t i = 0; i < first_times_.size(); ++i) first_times_[i] = Add(first_times_[i], starts_[i]);
    }
    return first_times_;
  }
  Integers OtherTimes(Slot slot) {
    const Integers& first_times = FirstTimes();
    Integers out = Read(slot);
    for (size_t i = 0; i < out.size(); ++i) out[i] = Add(out[i], first_times[i]);
    return out;
  }

 private:
  const std::span<const int64_t> starts_;
  std::array<std::string_view, kSlots> bytes_;
  bool ok_ = false;
  int exponent_ = kOrderedBits;
  Integers counts_, lasts_, firsts_, first_times_;
};

}  // namespace

void EncodeRollupColumns(const RollupColumns& columns, std::string* out) {
  PutColumn(columns.counts, out);
  PutColumn(columns.nan_counts, out);
  const Corners corners = MakeCorners(columns);
  PutCorners(corners, out);
  PutSums(columns, corners, out);
  PutLengthPrefixed(out, EncodeDoubles(columns.resets));
  PutTimes(columns, out);
}

bool DecodeRollupColumns(ByteReader* in, RollupFields fields, size_t first, RollupColumns* out) {
  const size_t n = out->starts.size() - first;
  Columns columns(in, {out->starts.data() + first, n});
  if (!columns.ok()) return false;
  const auto append = [&](RollupField field, const auto& integers, std::vector<int64_t>* column) {
    if (!fields.Has(field)) return;
    const Integers& values = integers();
    column->insert(column->end(), values.begin(), values.end());
  };
  const auto values = [&](RollupField field, const auto& integers, std::vector<double>* column) {
    if (!fields.Has(field)) return;
    column->resize(first + n);
    columns.ToValues(integers(), column->data() + first);
  };
  const auto doubles = [&](RollupField field, Slot slot, std::vector<double>* column) {
    if (!fields.Has(field)) return;
    column->resize(first + n);
    columns.ReadDoubles(slot, column->data() + first);
  };
  append(
      RollupField::kCount, [&] { return columns.counts(); }, &out->counts);
  append(
      RollupField::kNanCount, [&] { return columns.Read(kNanCounts); }, &out->nan_counts);
  values(
      RollupField::kLast, [&]() -> const Integers& { return columns.Lasts(); }, &out->lasts);
  values(
      RollupField::kFirst, [&]() -> const Integers& { return columns.Firsts(); }, &out->firsts);
  values(
      RollupField::kMin, [&] { return columns.Extremes(false); }, &out->mins);
  values(
      RollupField::kMax, [&] { return columns.Extremes(true); }, &out->maxs);
  doubles(RollupField::kSum, kSums, &out->sums);
  doubles(RollupField::kResets, kResets, &out->resets);
  append(
      RollupField::kFirstTime, [&]() -> const Integers& { return columns.FirstTimes(); }, &out->first_times);
  append(
      RollupField::kLastTime, [&] { return columns.OtherTimes(kLastTimes); }, &out->last_times);
  append(
      RollupField::kMinTime, [&] { return columns.OtherTimes(kMinTimes); }, &out->min_times);
  append(
      RollupField::kMaxTime, [&] { return columns.OtherTimes(kMaxTimes); }, &out->max_times);
  return columns.ok();
}

}  // namespace pulseboard

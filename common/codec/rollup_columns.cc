#include "common/codec/rollup_columns.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
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
  Columns(ByteReader* in, std::span<const int64_t> starts)
      : starts_(starts), room_(new int64_t[kRoom * starts.size()]) {
    for (std::string_view& column : bytes_) column = in->LengthPrefixed();
    ok_ = in->ok() && in->remaining() == 0;
    if (!ok_) return;
    Read(kCounts, counts());
    for (size_t i = 0; ok_ && i < size(); ++i) {
      ok_ &= counts()[i] >= 0;
      all_have_numbers_ &= counts()[i] > 0;
    }
    ByteReader lasts(bytes_[kLasts]);
    exponent_ = lasts.Fixed<uint8_t>();
    ok_ &= lasts.ok() && (exponent_ <= kMaxDecimalExponent || exponent_ == kOrderedBits);
    bytes_[kLasts] = lasts.rest();
  }

  bool ok() const { return ok_; }
  void ReadCounts(int64_t* out) const { std::copy_n(counts(), size(), out); }
  void Read(Slot slot, int64_t* out) {
    ByteReader in(bytes_[slot]);
    ok_ = ok_ && DecodeIntegers(&in, size(), out) && in.remaining() == 0;
  }
  void ReadLasts(double* out) { ToValues(Lasts(), out); }
  void ReadFirsts(double* out) { ToValues(Firsts(), out); }
  void ReadExtremes(Slot slot, double* out) {
    const int64_t* const lasts = Lasts();
    const int64_t* const firsts = Firsts();
    int64_t* const at = spare();
    Read(slot, at);
    if (!ok_) return;
    if (slot == kMaxs) {
      for (size_t i = 0; i < size(); ++i) at[i] = Add(std::max(firsts[i], lasts[i]), at[i]);
    } else {
      for (size_t i = 0; i < size(); ++i) at[i] = Subtract(std::min(firsts[i], lasts[i]), at[i]);
    }
    ToValues(at, out);
  }
  void ReadDoubles(Slot slot, double* out) {
    ByteReader in(bytes_[slot]);
    const auto encoding = in.Fixed<uint8_t>();
    if (encoding == static_cast<uint8_t>(ValueEncoding::kConstant)) {
      std::fill_n(out, size(), in.Fixed<double>());
      ok_ &= in.ok() && in.remaining() == 0;
    } else if (slot == kSums && encoding == kPredicted && exponent_ != kOrderedBits) {
      const int64_t* const lasts = Lasts();
      const int64_t* const firsts = Firsts();
      bytes_[slot] = in.rest();
      int64_t* const sums = spare();
      Read(slot, sums);
      if (!ok_) return;
      for (size_t i = 0; i < size(); ++i) sums[i] = Add(sums[i], PredictedSum(counts()[i], firsts[i], lasts[i]));
      FromDecimals({sums, size()}, exponent_, out);
    } else {
      ok_ = ok_ && in.ok() && DecodeValues(static_cast<ValueEncoding>(encoding), &in, size(), out);
    }
  }
  void ReadFirstTimes(int64_t* out) { std::copy_n(FirstTimes(), size(), out); }
  void ReadOtherTimes(Slot slot, int64_t* out) {
    const int64_t* const first_times = FirstTimes();
    Read(slot, out);
    for (size_t i = 0; ok_ && i < size(); ++i) out[i] = Add(out[i], first_times[i]);
  }

 private:
  static constexpr size_t kRoom = 5;  // columns that others lean on, and one to work in

  size_t size() const { return starts_.size(); }
  int64_t* counts() const { return room_.get(); }
  int64_t* spare() const { return room_.get() + 4 * size(); }
  const int64_t* Lasts() {
    int64_t* const lasts = room_.get() + size();
    if (!std::exchange(has_lasts_, true)) Read(kLasts, lasts);
    return lasts;
  }
  const int64_t* Firsts() {
    int64_t* const firsts = room_.get() + 2 * size();
    if (std::exchange(has_firsts_, true)) return firsts;
    const int64_t* const lasts = Lasts();
    Read(kFirsts, firsts);
    if (!ok_) return firsts;
    firsts[0] = Add(firsts[0], lasts[0]);
    for (size_t i = 1; i < size(); ++i) firsts[i] = Add(firsts[i], lasts[i - 1]);
    return firsts;
  }
  const int64_t* FirstTimes() {
    int64_t* const times = room_.get() + 3 * size();
    if (std::exchange(has_first_times_, true)) return times;
    Read(kFirstTimes, times);
    for (size_t i = 0; ok_ && i < size(); ++i) times[i] = Add(times[i], starts_[i]);
    return times;
  }
  // Corner integers as values.
  void ToValues(const int64_t* integers, double* out) const {
    if (!ok_) return;
    if (exponent_ == kOrderedBits) {
      for (size_t i = 0; i < size(); ++i) out[i] = std::bit_cast<double>(OrderedBits(integers[i]));
    } else {
      FromDecimals({integers, size()}, exponent_, out);
    }
    if (all_have_numbers_) return;
    for (size_t i = 0; i < size(); ++i) {
      if (counts()[i] == 0) out[i] = std::numeric_limits<double>::quiet_NaN();
    }
  }

  const std::span<const int64_t> starts_;
  const std::unique_ptr<int64_t[]> room_;
  std::array<std::string_view, kSlots> bytes_;
  bool ok_ = false;
  bool all_have_numbers_ = true;
  bool has_lasts_ = false, has_firsts_ = false, has_first_times_ = false;
  int exponent_ = kOrderedBits;
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
  // Straight to the end of the output.
  const auto read = [&](RollupField field, auto* column, const auto& into) {
    if (!fields.Has(field) || !columns.ok()) return;
    column->resize(first + n);
    into(column->data() + first);
  };
  read(RollupField::kCount, &out->counts, [&](int64_t* to) { columns.ReadCounts(to); });
  read(RollupField::kNanCount, &out->nan_counts, [&](int64_t* to) { columns.Read(kNanCounts, to); });
  read(RollupField::kLast, &out->lasts, [&](double* to) { columns.ReadLasts(to); });
  read(RollupField::kFirst, &out->firsts, [&](double* to) { columns.ReadFirsts(to); });
  read(RollupField::kMin, &out->mins, [&](double* to) { columns.ReadExtremes(kMins, to); });
  read(RollupField::kMax, &out->maxs, [&](double* to) { columns.ReadExtremes(kMaxs, to); });
  read(RollupField::kSum, &out->sums, [&](double* to) { columns.ReadDoubles(kSums, to); });
  read(RollupField::kResets, &out->resets, [&](double* to) { columns.ReadDoubles(kResets, to); });
  read(RollupField::kFirstTime, &out->first_times, [&](int64_t* to) { columns.ReadFirstTimes(to); });
  read(RollupField::kLastTime, &out->last_times, [&](int64_t* to) { columns.ReadOtherTimes(kLastTimes, to); });
  read(RollupField::kMinTime, &out->min_times, [&](int64_t* to) { columns.ReadOtherTimes(kMinTimes, to); });
  read(RollupField::kMaxTime, &out->max_times, [&](int64_t* to) { columns.ReadOtherTimes(kMaxTimes, to); });
  return columns.ok();
}

}  // namespace pulseboard

#include "server/storage/wal_record.h"

#include <array>
#include <utility>

#include "common/codec/bytes.h"

namespace pulseboard {
namespace {

// Times are written in the coarsest of these units that divides every delta.
constexpr std::array<int64_t, 4> kUnits = {kNanosPerSecond, kNanosPerMilli, kNanosPerMicro, 1};
constexpr size_t kMinSampleBytes = 2 + sizeof(double);

int64_t WrappingDelta(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

size_t CoarsestUnit(std::span<const int64_t> times) {
  size_t unit = 0;
  int64_t previous = times[0];
  for (const int64_t time : times) {
    const int64_t delta = WrappingDelta(time, previous);
    previous = time;
    while (delta % kUnits[unit] != 0) ++unit;
  }
  return unit;
}

// The output is sized for the worst case first and cut afterwards: one bounds decision per column, not per value.
template <typename Write>
void PutColumn(size_t max_bytes, std::string* out, const Write& write) {
  const size_t at = out->size();
  out->resize(at + max_bytes);
  const char* end = write(out->data() + at);
  out->resize(static_cast<size_t>(end - out->data()));
}

void PutSeriesColumn(std::span<const SeriesId> series, std::string* out) {
  PutColumn(series.size() * kMaxVarintBytes, out, [series](char* p) {
    SeriesId previous = 0;
    for (const SeriesId id : series) {
      p = WriteVarint(p, ToZigZag(static_cast<int64_t>(id - previous)));
      previous = id;
    }
    return p;
  });
}

void PutTimeColumn(std::span<const int64_t> times, std::string* out) {
  const size_t unit = CoarsestUnit(times);
  out->push_back(static_cast<char>(unit));
  PutLittleEndian(out, times[0]);
  PutColumn(times.size() * kMaxVarintBytes, out, [times, unit](char* p) {
    int64_t previous = times[0];
    const auto write = [&](auto divide) {
      for (const int64_t time : times) {
        p = WriteVarint(p, ToZigZag(divide(WrappingDelta(time, previous))));
        previous = time;
      }
    };
    // Constant divisors, so that the compiler turns division into multiplication.
    if (unit == 0) write([](int64_t d) { return d / kUnits[0]; });
    if (unit == 1) write([](int64_t d) { return d / kUnits[1]; });
    if (unit == 2) write([](int64_t d) { return d / kUnits[2]; });
    if (unit == 3) write([](int64_t d) { return d; });
    return p;
  });
}

bool TakeColumns(ByteReader* in, size_t count, AppendBatch* batch) {
  batch->series.resize(count);
  batch->times.resize(count);
  batch->values.resize(count);
  if (count == 0) return in->ok();
  SeriesId id = 0;
  for (SeriesId& out : batch->series) out = id += static_cast<SeriesId>(in->ZigZag());
  const auto unit = in->Fixed<uint8_t>();
  auto time = static_cast<uint64_t>(in->Fixed<int64_t>());
  if (unit >= kUnits.size()) in->Fail();
  if (!in->ok()) return false;
  const auto nanos = static_cast<uint64_t>(kUnits[unit]);
  for (int64_t& out : batch->times) {
    out = static_cast<int64_t>(time += static_cast<uint64_t>(in->ZigZag()) * nanos);
  }
  const std::string_view values = in->Bytes(count * sizeof(double));
  if (!in->ok()) return false;
  std::memcpy(batch->values.data(), values.data(), values.size());
  return true;
}

// Indices as differences from the one before, the first from -1: all are positive.
void PutLate(std::span<const uint32_t> late, std::string* out) {
  PutVarint(out, late.size());
  uint64_t previous = 0;
  for (const uint32_t index : late) {
    PutVarint(out, index + 1 - previous);
    previous = index + 1;
  }
}

bool TakeLate(ByteReader* in, uint64_t samples, std::vector<uint32_t>* late) {
  late->clear();
  if (in->remaining() == 0) return true;
  const uint64_t count = in->Varint();
  if (!in->ok() || count == 0 || count > samples) return false;
  late->reserve(count);
  uint64_t next = 0;
  for (uint64_t n = 0; n < count; ++n) {
    const uint64_t step = in->Varint();
    if (!in->ok() || step == 0 || step > samples - next) return false;
    next += step;
    late->push_back(static_cast<uint32_t>(next - 1));
  }
  return true;
}

}  // namespace

CommittedBatch WalRecord::View() const {
  CommittedBatch view;
  view.commit_sequence = commit_sequence;
  view.tenant = batch.tenant;
  view.series = batch.series;
  view.times = batch.times;
  view.values = batch.values;
  view.pushed_unix_nanos = batch.pushed_unix_nanos;
  view.received_unix_nanos = batch.received_unix_nanos;
  view.committed_unix_nanos = committed_unix_nanos;
  view.late = late;
  return view;
}

void EncodeSeriesInfo(const SeriesInfo& info, std::string* out) {
  PutVarint(out, info.id);
  PutVarint(out, info.tenant);
  PutLengthPrefixed(out, info.key.Encode());
  out->push_back(static_cast<char>(info.metadata.kind));
  PutLengthPrefixed(out, info.metadata.unit);
  PutLengthPrefixed(out, info.metadata.description);
}

std::shared_ptr<const SeriesInfo> DecodeSeriesInfo(std::string_view bytes) {
  ByteReader in(bytes);
  auto info = std::make_shared<SeriesInfo>();
  info->id = in.Varint();
  info->tenant = static_cast<TenantId>(in.Varint());
  const bool has_key = SeriesKey::Decode(in.LengthPrefixed(), &info->key);
  info->metadata.kind = static_cast<MetricKind>(in.Fixed<uint8_t>());
  info->metadata.unit = in.LengthPrefixed();
  info->metadata.description = in.LengthPrefixed();
  if (!in.ok() || !has_key || in.remaining() != 0 || info->id == 0) return nullptr;
  return info;
}

void EncodeWalRecord(int64_t commit_sequence, int64_t committed_unix_nanos, const AppendBatch& batch,
                     std::span<const std::shared_ptr<const SeriesInfo>> definitions, std::span<const uint32_t> late,
                     std::string* out) {
  PutVarint(out, static_cast<uint64_t>(commit_sequence));
  PutVarint(out, batch.tenant);
  PutLittleEndian(out, batch.pushed_unix_nanos);
  PutLittleEndian(out, batch.received_unix_nanos);
  PutLittleEndian(out, committed_unix_nanos);
  PutLengthPrefixed(out, batch.producer_id);
  PutZigZag(out, batch.sequence);
  PutVarint(out, definitions.size());
  std::string definition;
  for (const auto& info : definitions) {
    definition.clear();
    EncodeSeriesInfo(*info, &definition);
    PutLengthPrefixed(out, definition);
  }
  PutVarint(out, batch.size());
  if (batch.size() == 0) return;
  PutSeriesColumn(batch.series, out);
  PutTimeColumn(batch.times, out);
  out->append(reinterpret_cast<const char*>(batch.values.data()), batch.size() * sizeof(double));
  if (!late.empty()) PutLate(late, out);
}

bool DecodeWalRecord(std::string_view bytes, WalRecord* record) {
  ByteReader in(bytes);
  record->commit_sequence = static_cast<int64_t>(in.Varint());
  record->batch.tenant = static_cast<TenantId>(in.Varint());
  record->batch.pushed_unix_nanos = in.Fixed<int64_t>();
  record->batch.received_unix_nanos = in.Fixed<int64_t>();
  record->committed_unix_nanos = in.Fixed<int64_t>();
  record->batch.producer_id = in.LengthPrefixed();
  record->batch.sequence = in.ZigZag();
  record->definitions.clear();
  for (uint64_t n = in.Varint(); n > 0 && in.ok(); --n) {
    record->definitions.push_back(DecodeSeriesInfo(in.LengthPrefixed()));
    if (record->definitions.back() == nullptr) return false;
  }
  const uint64_t count = in.Varint();
  if (!in.ok() || count > in.remaining() / kMinSampleBytes) return false;
  return TakeColumns(&in, count, &record->batch) && TakeLate(&in, count, &record->late) && in.remaining() == 0;
}

}  // namespace pulseboard

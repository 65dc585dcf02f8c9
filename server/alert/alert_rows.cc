#include "server/alert/alert_rows.h"

#include "common/base/endian.h"
#include "common/codec/bytes.h"

namespace pulseboard::alert_rows {
namespace {

constexpr char kVersion = 1;
constexpr size_t kNumberBytes = sizeof(uint64_t);

std::string Begin(char kind, TenantId tenant) {
  std::string key(1, kind);
  PutBigEndian(&key, tenant);
  return key;
}

void PutNewestFirst(std::string* key, int64_t sequence) { PutBigEndian(key, ~static_cast<uint64_t>(sequence)); }

void PutSeries(std::string* out, const SeriesKey& series) { PutLengthPrefixed(out, series.Encode()); }
void TakeSeries(ByteReader* in, SeriesKey* series) {
  if (!SeriesKey::Decode(in->LengthPrefixed(), series)) in->Fail();
}

}  // namespace

std::string TransitionPrefix(TenantId tenant) { return Begin('l', tenant); }

std::string TransitionKey(TenantId tenant, int64_t sequence) {
  std::string key = TransitionPrefix(tenant);
  PutNewestFirst(&key, sequence);
  return key;
}

std::string EncodeTransition(const AlertTransition& t) {
  std::string out(1, kVersion);
  PutLengthPrefixed(&out, t.rule_id);
  PutLengthPrefixed(&out, t.rule_name);
  PutZigZag(&out, t.rule_revision);
  PutSeries(&out, t.series);
  for (const uint8_t number :
       {static_cast<uint8_t>(t.from), static_cast<uint8_t>(t.to), static_cast<uint8_t>(t.from_severity),
        static_cast<uint8_t>(t.severity), static_cast<uint8_t>(t.cause)}) {
    out.push_back(static_cast<char>(number));
  }
  PutLittleEndian(&out, t.value);
  for (const int64_t time : {t.time_unix_nanos, t.since_unix_nanos, t.sample_unix_nanos, t.committed_unix_nanos}) {
    PutZigZag(&out, time);
  }
  return out;
}

bool DecodeTransition(std::string_view bytes, AlertTransition* t) {
  ByteReader in(bytes);
  if (in.Fixed<char>() != kVersion) return false;
  t->rule_id = in.LengthPrefixed();
  t->rule_name = in.LengthPrefixed();
  t->rule_revision = in.ZigZag();
  TakeSeries(&in, &t->series);
  t->from = in.Enum(AlertState::kUnknown);
  t->to = in.Enum(AlertState::kUnknown);
  t->from_severity = in.Enum(AlertSeverity::kCritical);
  t->severity = in.Enum(AlertSeverity::kCritical);
  t->cause = in.Enum(AlertCause::kRule);
  t->value = in.Fixed<double>();
  for (int64_t* time : {&t->time_unix_nanos, &t->since_unix_nanos, &t->sample_unix_nanos, &t->committed_unix_nanos}) {
    *time = in.ZigZag();
  }
  return in.ok() && in.remaining() == 0;
}

std::string RulePrefix(TenantId tenant, std::string_view rule_id) {
  std::string key = Begin('r', tenant);
  // With its size, so that no id is the beginning of another.
  PutBigEndian(&key, static_cast<uint32_t>(rule_id.size()));
  return key.append(rule_id);
}

std::string RuleKeyOf(TenantId tenant, std::string_view rule_id, int64_t sequence) {
  std::string key = RulePrefix(tenant, rule_id);
  PutNewestFirst(&key, sequence);
  return key;
}

int64_t SequenceOf(std::string_view key) {
  return static_cast<int64_t>(~GetBigEndian<uint64_t>(key.substr(key.size() - kNumberBytes)));
}

std::string OrderKey(int64_t sequence) {
  std::string key(kAllInOrder);
  PutBigEndian(&key, static_cast<uint64_t>(sequence));
  return key;
}

int64_t SequenceOfOrderKey(std::string_view key) { return static_cast<int64_t>(GetBigEndian<uint64_t>(key.substr(1))); }

std::string EncodeOrder(const OrderValue& value) {
  std::string out;
  PutLittleEndian(&out, value.tenant);
  PutLittleEndian(&out, value.time_unix_nanos);
  return out;
}

bool DecodeOrder(std::string_view bytes, OrderValue* value) {
  ByteReader in(bytes);
  value->tenant = in.Fixed<TenantId>();
  value->time_unix_nanos = in.Fixed<int64_t>();
  return in.ok() && in.remaining() == 0;
}

std::string EncodeStateKey(const StateKey& key) {
  std::string out = Begin('s', key.tenant);
  PutBigEndian(&out, key.series);
  return out + key.rule_id;
}

bool DecodeStateKey(std::string_view bytes, StateKey* key) {
  constexpr size_t kFixed = 1 + sizeof(TenantId) + sizeof(SeriesId);
  if (bytes.size() <= kFixed) return false;
  key->tenant = GetBigEndian<TenantId>(bytes.substr(1));
  key->series = GetBigEndian<SeriesId>(bytes.substr(1 + sizeof(TenantId)));
  key->rule_id = bytes.substr(kFixed);
  return true;
}

std::string EncodeState(const StateValue& v) {
  std::string out(1, kVersion);
  PutZigZag(&out, v.rule_revision);
  PutLengthPrefixed(&out, v.machine);
  PutZigZag(&out, v.since_unix_nanos);
  PutLittleEndian(&out, v.value);
  PutZigZag(&out, v.sample_unix_nanos);
  PutZigZag(&out, v.committed_unix_nanos);
  PutZigZag(&out, v.interval_ns);
  PutZigZag(&out, v.arrivals);
  PutSeries(&out, v.series);
  return out;
}

bool DecodeState(std::string_view bytes, StateValue* v) {
  ByteReader in(bytes);
  if (in.Fixed<char>() != kVersion) return false;
  v->rule_revision = in.ZigZag();
  v->machine = in.LengthPrefixed();
  v->since_unix_nanos = in.ZigZag();
  v->value = in.Fixed<double>();
  v->sample_unix_nanos = in.ZigZag();
  v->committed_unix_nanos = in.ZigZag();
  v->interval_ns = in.ZigZag();
  v->arrivals = static_cast<int32_t>(in.ZigZag());
  TakeSeries(&in, &v->series);
  return in.ok() && in.remaining() == 0;
}

std::string EncodeProgress(const Progress& progress) {
  std::string out(1, kVersion);
  PutLittleEndian(&out, progress.alert_time);
  PutLittleEndian(&out, progress.epoch);
  PutLittleEndian(&out, progress.commit_sequence);
  PutLittleEndian(&out, progress.last_sequence);
  return out;
}

bool DecodeProgress(std::string_view bytes, Progress* progress) {
  ByteReader in(bytes);
  if (in.Fixed<char>() != kVersion) return false;
  progress->alert_time = in.Fixed<int64_t>();
  progress->epoch = in.Fixed<uint64_t>();
  progress->commit_sequence = in.Fixed<int64_t>();
  progress->last_sequence = in.Fixed<int64_t>();
  return in.ok() && in.remaining() == 0;
}

}  // namespace pulseboard::alert_rows

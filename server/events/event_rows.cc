#include "server/events/event_rows.h"

#include "common/base/endian.h"
#include "common/codec/bytes.h"

namespace pulseboard::event_rows {
namespace {

constexpr size_t kTenantBytes = sizeof(TenantId);
constexpr size_t kNumberBytes = sizeof(uint64_t);

std::string Begin(char kind, TenantId tenant) {
  std::string key(1, kind);
  PutBigEndian(&key, tenant);
  return key;
}

}  // namespace

std::string TimePrefix(TenantId tenant) { return Begin('e', tenant); }

std::string TimeKey(TenantId tenant, int64_t time_unix_nanos, int64_t id) {
  std::string key = TimePrefix(tenant);
  PutBigEndian(&key, TimeToOrdered(time_unix_nanos));
  PutBigEndian(&key, static_cast<uint64_t>(id));
  return key;
}

int64_t TimeOf(std::string_view time_key) {
  return OrderedToTime(GetBigEndian<uint64_t>(time_key.substr(1 + kTenantBytes)));
}

int64_t IdOf(std::string_view time_key) {
  return static_cast<int64_t>(GetBigEndian<uint64_t>(time_key.substr(1 + kTenantBytes + kNumberBytes)));
}

std::string IdPrefix(TenantId tenant) { return Begin('i', tenant); }

std::string IdKey(TenantId tenant, int64_t id) {
  std::string key = IdPrefix(tenant);
  PutBigEndian(&key, static_cast<uint64_t>(id));
  return key;
}

TenantId TenantOf(std::string_view id_key) { return GetBigEndian<TenantId>(id_key.substr(1)); }

int64_t IdOfIdKey(std::string_view id_key) {
  return static_cast<int64_t>(GetBigEndian<uint64_t>(id_key.substr(1 + kTenantBytes)));
}

std::string TimeValue(int64_t time_unix_nanos) {
  std::string value;
  PutLittleEndian(&value, time_unix_nanos);
  return value;
}

int64_t TimeOfValue(std::string_view value) {
  return value.size() == kNumberBytes ? GetLittleEndian<int64_t>(value) : 0;
}

std::string RequestKey(TenantId tenant, std::string_view request_id) {
  return Begin('r', tenant) + std::string(request_id);
}

std::string RequestValue(const Receipt& receipt) {
  std::string value;
  PutZigZag(&value, receipt.first_id);
  PutZigZag(&value, receipt.count);
  return value;
}

bool ParseRequestValue(std::string_view value, Receipt* receipt) {
  ByteReader in(value);
  receipt->first_id = in.ZigZag();
  receipt->count = in.ZigZag();
  return in.ok() && in.remaining() == 0;
}

std::string ExpiryKey(int64_t created_unix_nanos, TenantId tenant, std::string_view request_id) {
  std::string key(kAllExpiries);
  PutBigEndian(&key, TimeToOrdered(created_unix_nanos));
  PutBigEndian(&key, tenant);
  return key + std::string(request_id);
}

int64_t CreatedOf(std::string_view expiry_key) { return OrderedToTime(GetBigEndian<uint64_t>(expiry_key.substr(1))); }

std::string RequestKeyOf(std::string_view expiry_key) { return "r" + std::string(expiry_key.substr(1 + kNumberBytes)); }

}  // namespace pulseboard::event_rows

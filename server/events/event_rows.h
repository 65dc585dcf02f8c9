// Rows of the table `events`, as FORMAT.md has them. Plain functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/model/labels.h"

namespace pulseboard::event_rows {

// By time: `e` tenant time id -> event.
std::string TimePrefix(TenantId tenant);
std::string TimeKey(TenantId tenant, int64_t time_unix_nanos, int64_t id);
// REQUIRES: a key that TimeKey made.
int64_t TimeOf(std::string_view time_key);
int64_t IdOf(std::string_view time_key);

// In order of arrival: `i` tenant id -> time.
inline constexpr std::string_view kAllIds = "i";
std::string IdPrefix(TenantId tenant);
std::string IdKey(TenantId tenant, int64_t id);
TenantId TenantOf(std::string_view id_key);
int64_t IdOfIdKey(std::string_view id_key);
std::string TimeValue(int64_t time_unix_nanos);
int64_t TimeOfValue(std::string_view value);

// Requests that were answered: `r` tenant request_id -> receipt; `x` time tenant request_id -> nothing, to forget them
// by.
struct Receipt {
  int64_t first_id = 0;
  int64_t count = 0;
};
std::string RequestKey(TenantId tenant, std::string_view request_id);
std::string RequestValue(const Receipt& receipt);
bool ParseRequestValue(std::string_view value, Receipt* receipt);
inline constexpr std::string_view kAllExpiries = "x";
std::string ExpiryKey(int64_t created_unix_nanos, TenantId tenant, std::string_view request_id);
int64_t CreatedOf(std::string_view expiry_key);
// The RequestKey it stands for.
std::string RequestKeyOf(std::string_view expiry_key);

// `n` -> the last id given out, so that none is given out again when all events are gone.
inline constexpr std::string_view kLastIdKey = "n";

}  // namespace pulseboard::event_rows

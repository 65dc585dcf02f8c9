// Rows of the table `ledger`, as FORMAT.md has them: transitions, and the states that they led to, so that both change
// in one write. Plain functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/model/labels.h"
#include "server/alert/transition.h"

namespace pulseboard::alert_rows {

// Transitions, newest first: `l` tenant ~sequence -> transition.
std::string TransitionPrefix(TenantId tenant);
std::string TransitionKey(TenantId tenant, int64_t sequence);
std::string EncodeTransition(const AlertTransition& transition);
// All but sequence and tenant.
bool DecodeTransition(std::string_view bytes, AlertTransition* transition);

// Those of one rule, newest first: `r` tenant size(rule_id) rule_id ~sequence -> nothing.
std::string RulePrefix(TenantId tenant, std::string_view rule_id);
std::string RuleKeyOf(TenantId tenant, std::string_view rule_id, int64_t sequence);
// Of a transition's key of either kind.
int64_t SequenceOf(std::string_view key);

// All of them in order: `a` sequence -> tenant time.
inline constexpr std::string_view kAllInOrder = "a";
std::string OrderKey(int64_t sequence);
int64_t SequenceOfOrderKey(std::string_view key);
struct OrderValue {
  TenantId tenant = 0;
  int64_t time_unix_nanos = 0;
};
std::string EncodeOrder(const OrderValue& value);
bool DecodeOrder(std::string_view bytes, OrderValue* value);

// States: `s` tenant series rule_id -> state.
inline constexpr std::string_view kAllStates = "s";
struct StateKey {
  TenantId tenant = 0;
  SeriesId series = 0;
  std::string rule_id;
};
std::string EncodeStateKey(const StateKey& key);
bool DecodeStateKey(std::string_view bytes, StateKey* key);
struct StateValue {
  int64_t rule_revision = 0;     // by which it was judged last
  std::string machine;           // AlertMachine::Encode
  int64_t since_unix_nanos = 0;  // by the clock of the machine room
  double value = 0;
  int64_t sample_unix_nanos = 0;
  int64_t committed_unix_nanos = 0;
  int64_t interval_ns = 0;  // of its cadence
  int32_t arrivals = 0;
  SeriesKey series;
};
std::string EncodeState(const StateValue& value);
bool DecodeState(std::string_view bytes, StateValue* value);

// `v` -> how far evaluation got.
inline constexpr std::string_view kProgressKey = "v";
struct Progress {
  int64_t alert_time = 0;       // of the time line on which the machines run
  uint64_t epoch = 0;           // of the store
  int64_t commit_sequence = 0;  // all commits up to this one have been judged
  int64_t last_sequence = 0;    // of the ledger
};
std::string EncodeProgress(const Progress& progress);
bool DecodeProgress(std::string_view bytes, Progress* progress);

}  // namespace pulseboard::alert_rows

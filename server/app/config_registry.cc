#include "server/app/config_registry.h"

#include <algorithm>
#include <array>
#include <vector>

#include "server/app/config_value.h"

namespace pulseboard {
namespace {

using C = ServerConfig;
using Target = ConfigKey::Target;
using TargetFn = Target (*)(C&);

constexpr bool kReloadable = true;
constexpr bool kFixed = false;
constexpr int64_t kSecond = kNanosPerSecond;
constexpr int64_t kMinute = 60 * kNanosPerSecond;
constexpr int64_t kMilli = kNanosPerMilli;
constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kGiB = 1 << 30;

ConfigKey Text(std::string_view name, std::string_view unit, bool reloadable, std::string_view doc, TargetFn target) {
  return {name, ConfigKind::kText, unit, 0, 0, {}, reloadable, doc, target};
}
ConfigKey Choice(std::string_view name, std::string_view choices, bool reloadable, std::string_view doc,
                 TargetFn target) {
  return {name, ConfigKind::kChoice, {}, 0, 0, choices, reloadable, doc, target};
}
ConfigKey Bool(std::string_view name, bool reloadable, std::string_view doc, TargetFn target) {
  return {name, ConfigKind::kBool, {}, 0, 0, {}, reloadable, doc, target};
}
ConfigKey Integer(std::string_view name, std::string_view unit, int64_t min, int64_t max, std::string_view doc,
                  TargetFn target) {
  return {name, ConfigKind::kInteger, unit, min, max, {}, kFixed, doc, target};
}
ConfigKey Bytes(std::string_view name, int64_t min, int64_t max, std::string_view doc, TargetFn target) {
  return {name, ConfigKind::kBytes, "bytes", min, max, {}, kFixed, doc, target};
}
ConfigKey Duration(std::string_view name, int64_t min, int64_t max, bool reloadable, std::string_view doc,
                   TargetFn target) {
  return {name, ConfigKind::kDuration, "duration", min, max, {}, reloadable, doc, target};
}

#define PB_FIELD(path) [](C& c) -> Target { return &c.path; }

const std::vector<ConfigKey>& Table() {
  static const std::vector<ConfigKey> table = {
      Choice("log.level", "trace|debug|info|warn|error", kReloadable, "The least important lines to log.",
             PB_FIELD(log_level)),

      Text("server.listen", "HOST:PORT", kFixed, "Where to take calls. Port 0 takes a free one.", PB_FIELD(rpc.listen)),
      Choice("server.tls", "auto|on|off", kFixed,
             "TLS. auto: plaintext on loopback addresses, TLS on all others.", PB_FIELD(tls.mode)),
      Bool("server.allow_plaintext", kFixed,
           "Lets tls = \"off\" be used on an address that other machines can reach. Passwords and data are then readable "
           "on the way.",
           PB_FIELD(tls.allow_plaintext)),
      Text("server.tls_certificate", "file", kFixed,
           "Certificate chain, PEM. Empty: a self-signed certificate, made at the first start with TLS and kept in the "
           "data directory.",
           PB_FIELD(tls.certificate_file)),
      Text("server.tls_key", "file", kFixed, "Private key of server.tls_certificate, PEM.", PB_FIELD(tls.key_file)),
      Bytes("server.max_receive_message", 64 << 10, 256 * kMiB, "The largest message a client may send.",
            PB_FIELD(rpc.max_receive_bytes)),
      Bytes("server.max_send_message", 64 << 10, 256 * kMiB, "The largest message the server sends.",
            PB_FIELD(rpc.max_send_bytes)),
      Integer("server.max_streams_per_connection", "calls", 1, 1'000'000, "Calls at the same time on one connection.",
              PB_FIELD(rpc.max_concurrent_streams)),
      Bytes("server.memory_quota", 16 * kMiB, 64 * kGiB, "Memory for gRPC's buffers; calls wait beyond it.",
            PB_FIELD(rpc.memory_quota_bytes)),
      Integer("server.max_threads", "threads", 8, 10'000, "Threads that gRPC may start.", PB_FIELD(rpc.max_threads)),
      Duration("server.keepalive_interval", kSecond, 3600 * kSecond, kFixed, "How often an idle connection is pinged.",
               PB_FIELD(rpc.keepalive_interval_ns)),
      Duration("server.keepalive_timeout", kSecond, 600 * kSecond, kFixed,
               "A connection that does not answer a ping for this long is closed.", PB_FIELD(rpc.keepalive_timeout_ns)),
      Duration("server.drain", 0, 60 * kSecond, kFixed, "At shutdown, streams get this long to end by themselves.",
               PB_FIELD(lifecycle.drain_ns)),
      Duration("server.exit", kSecond, 120 * kSecond, kFixed,
               "At shutdown, the process syncs the log and exits after this long at the latest, whatever hangs.",
               PB_FIELD(lifecycle.exit_ns)),
      Duration("server.self_metrics_interval", 100 * kMilli, 3600 * kSecond, kFixed,
               "How often the server writes its own metrics into tenant _system.", PB_FIELD(self_metrics_interval_ns)),

      Text("storage.directory", "directory", kFixed,
           "Where all data is kept. Empty: $XDG_STATE_HOME/pulseboard, else ~/.local/state/pulseboard.",
           PB_FIELD(store.directory)),
      Bool("storage.fsync", kFixed,
           "Whether a push is acknowledged only once it is on the disk. false loses acknowledged samples when the "
           "machine stops.",
           PB_FIELD(store.fsync)),
      Bytes("storage.append_queue", kMiB, 16 * kGiB, "Samples that may wait to be committed; beyond it "
            "INGEST_BACKLOG_FULL.", PB_FIELD(store.append_queue_bytes)),
      Bytes("storage.wal_segment", kMiB, 4 * kGiB, "Size of one file of the write-ahead log.",
            PB_FIELD(store.wal_segment_bytes)),
      Bytes("storage.wal_retain", kMiB, 1024 * kGiB,
            "Log kept for subscribers that resume, beyond what recovery needs.", PB_FIELD(store.wal_retain_bytes)),
      Integer("storage.block_samples", "samples", 16, 65'536, "Samples per sealed block, at most.",
              PB_FIELD(store.block_samples)),
      Duration("storage.seal_age", 10 * kSecond, 24 * 60 * kMinute, kFixed,
               "Open blocks older than this are sealed, which frees the log.", PB_FIELD(store.seal_age_ns)),
      Duration("storage.checkpoint_interval", kSecond, 60 * kMinute, kFixed, "How often sealing and freeing is looked at.",
               PB_FIELD(store.checkpoint_interval_ns)),
      Duration("storage.raw_retention", kNanosPerDay, 36'500 * kNanosPerDay, kFixed,
               "Whole days of samples older than this are dropped.", PB_FIELD(store.raw_retention_ns)),
      Bytes("storage.block_cache", kMiB, 256 * kGiB, "Cache of compressed blocks read from disk.",
            PB_FIELD(store.block_cache_bytes)),
      Integer("storage.max_producers_per_tenant", "producers", 1, 100'000'000,
              "Producers whose sequence is remembered; the oldest are forgotten first.",
              PB_FIELD(store.max_producers_per_tenant)),

      Duration("ingest.max_sample_age", kMinute, 36'500 * kNanosPerDay, kFixed,
               "Samples older than this, or than storage.raw_retention, are refused as TOO_OLD.",
               PB_FIELD(intake.max_sample_age_ns)),
      Duration("ingest.max_sample_lead", kSecond, 366 * kNanosPerDay, kFixed,
               "Samples further in the future than this are refused as IN_FUTURE.", PB_FIELD(intake.max_sample_lead_ns)),
      Integer("ingest.max_labels", "labels", 1, 256, "Labels per series.", PB_FIELD(intake.max_labels)),
      Integer("ingest.max_series_per_tenant", "series", 1, 1'000'000'000,
              "Series of one tenant; new ones beyond it are refused as SERIES_LIMIT.",
              PB_FIELD(intake.max_series_per_tenant)),
      Integer("ingest.max_series_per_metric", "series", 1, 1'000'000'000, "The same per tenant and metric.",
              PB_FIELD(intake.max_series_per_metric)),
      Integer("ingest.max_refs_per_stream", "series", 1, 16'777'215, "Series that one stream may bind.",
              PB_FIELD(intake.max_refs_per_stream)),
      Integer("ingest.max_unacked_batches", "batches", 1, 1'024, "Batches of one stream in work; then it is not read.",
              PB_FIELD(intake.max_unacked_batches)),
      Integer("ingest.backlog_retry", "ms", 1, 60'000, "What RetryInfo says with INGEST_BACKLOG_FULL.",
              PB_FIELD(intake.backlog_retry_ms)),

      Integer("live.max_subscriptions", "streams", 1, 1'000'000, "Subscriptions at the same time; beyond it "
              "TOO_MANY_SUBSCRIPTIONS.", PB_FIELD(live.max_subscriptions)),
      Integer("live.max_series_per_subscription", "series", 1, 10'000'000, "Series one subscription may select; beyond it "
              "QUERY_TOO_BROAD.", PB_FIELD(live.max_series_per_subscription)),
      Bytes("live.default_buffer", kMinLiveBufferBytes, kMaxLiveBufferBytes,
            "Unsent bytes held per subscription when it asks for no size of its own.",
            PB_FIELD(live.default_buffer_bytes)),
      Integer("live.default_frames_per_second", "1/s", 1, kMaxLiveFramesPerSecond,
              "Frames per second when a subscription asks for no rate of its own.",
              PB_FIELD(live.default_frames_per_second)),
      Duration("live.progress_interval", 100 * kMilli, 60 * kSecond, kFixed, "Heartbeat of an idle subscription.",
               PB_FIELD(live.progress_interval_ns)),
      Duration("live.max_stall", kSecond, 60 * kMinute, kFixed,
               "A subscriber that takes nothing for this long is ended with SLOW_CONSUMER.",
               PB_FIELD(live.max_stall_ns)),
      Duration("live.max_backfill_duration", kSecond, 60 * kMinute, kFixed,
               "A backfill that takes longer is ended with SLOW_CONSUMER.", PB_FIELD(live.max_backfill_ns)),
      Integer("live.pump_threads", "threads", 1, 16, "Threads that build and hand over frames.",
              PB_FIELD(live.pump_threads)),
      Integer("live.reader_threads", "threads", 1, 16, "Threads that read backfills and the log.",
              PB_FIELD(live.reader_threads)),
      Integer("live.busy_retry", "ms", 1, 60'000, "What RetryInfo says with TOO_MANY_SUBSCRIPTIONS.",
              PB_FIELD(live.busy_retry_ms)),

      Integer("query.threads", "threads", 1, 64, "Threads that answer queries.", PB_FIELD(query.threads)),
      Integer("query.max_active", "calls", 1, 100'000, "Queries running or waiting; beyond it QUERY_BUSY.",
              PB_FIELD(query.max_active)),
      Integer("query.max_series", "series", 1, 10'000'000, "Series one query may select; beyond it QUERY_TOO_BROAD.",
              PB_FIELD(query.max_series)),
      Integer("query.max_samples", "samples", 1, 1'000'000'000'000, "Raw samples one range query may read, likewise.",
              PB_FIELD(query.max_samples)),
      Duration("query.max_duration", 100 * kMilli, 60 * kMinute, kFixed, "Longest life of one query, sending included.",
               PB_FIELD(query.max_duration_ns)),
      Integer("query.busy_retry", "ms", 1, 60'000, "What RetryInfo says with QUERY_BUSY.", PB_FIELD(query.busy_retry_ms)),
      Integer("query.chunk_samples", "samples", 1, 1'000'000, "Samples per message of a range query's answer.",
              PB_FIELD(query.chunk_samples)),

      Bool("identity.self_registration", kReloadable, "Whether anybody may create an account with role VIEWER.",
           PB_FIELD(accounts.self_registration)),
      Duration("identity.access_token_life", kSecond, 24 * 60 * kMinute, kReloadable,
               "How long an access token is good. Streams end with it, too.", PB_FIELD(sessions.access_token_life_ns)),
      Duration("identity.refresh_token_life", kMinute, 366 * kNanosPerDay, kReloadable,
               "A session that is not renewed for this long ends.", PB_FIELD(sessions.refresh_token_life_ns)),
      Integer("identity.max_users_per_tenant", "accounts", 1, 1'000'000, "Accounts of one tenant.",
              PB_FIELD(users.max_users_per_tenant)),
      Integer("identity.max_sessions_per_user", "sessions", 1, 100'000,
              "Sessions of one account; one more ends the one longest without renewal.",
              PB_FIELD(sessions.max_sessions_per_user)),
      Integer("identity.login_threads", "threads", 1, 64, "Passwords hashed at the same time; 19 MiB each.",
              PB_FIELD(accounts.hashing.threads)),
      Integer("identity.max_queued_logins", "logins", 1, 100'000, "Logins that may wait; beyond it LOGIN_BUSY.",
              PB_FIELD(accounts.hashing.max_queued)),
      Integer("identity.max_queued_changes", "calls", 1, 1'000'000,
              "Changes of accounts and sessions that may wait; beyond it LOGIN_BUSY.",
              PB_FIELD(accounts.max_queued_calls)),
      Integer("identity.free_login_failures", "failures", 1, 1'000,
              "Wrong passwords in a row for one account before it has to wait.",
              PB_FIELD(accounts.throttle.free_failures)),
      Duration("identity.first_login_wait", 10 * kMilli, 60 * kMinute, kFixed,
               "Wait after one more failure; doubles with each further one.", PB_FIELD(accounts.throttle.first_wait_ns)),
      Duration("identity.max_login_wait", 10 * kMilli, 24 * 60 * kMinute, kFixed, "The longest such wait.",
               PB_FIELD(accounts.throttle.max_wait_ns)),
      Duration("identity.forget_login_failures", kSecond, 24 * 60 * kMinute, kFixed,
               "After this long without a failure the count starts anew.",
               PB_FIELD(accounts.throttle.forget_after_ns)),
      Integer("identity.max_throttled_accounts", "accounts", 1, 10'000'000,
              "Accounts with failures that are remembered; the oldest are forgotten first.",
              PB_FIELD(accounts.throttle.max_accounts)),
  };
  return table;
}

#undef PB_FIELD

std::vector<std::string_view> SplitChoices(std::string_view choices) {
  std::vector<std::string_view> out;
  while (!choices.empty()) {
    const size_t bar = choices.find('|');
    out.push_back(choices.substr(0, bar));
    choices.remove_prefix(bar == std::string_view::npos ? choices.size() : bar + 1);
  }
  return out;
}

std::string FormatNumber(ConfigKind kind, int64_t value) {
  if (kind == ConfigKind::kBytes) return FormatBytes(value);
  if (kind == ConfigKind::kDuration) return FormatDuration(value);
  return std::to_string(value);
}

std::optional<int64_t> ParseNumber(ConfigKind kind, std::string_view text) {
  if (kind == ConfigKind::kBytes) return ParseBytes(text);
  if (kind == ConfigKind::kDuration) return ParseDuration(text);
  return ParseInteger(text);
}

bool IsNumber(ConfigKind kind) {
  return kind == ConfigKind::kInteger || kind == ConfigKind::kBytes || kind == ConfigKind::kDuration;
}

// Edits to make one text of the other.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string QuoteToml(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + '"';
}

// `text` as comment lines of at most 118 bytes.
void AppendComment(std::string_view text, std::string* out) {
  constexpr size_t kWidth = 116;
  while (!text.empty()) {
    size_t cut = text.size() <= kWidth ? text.size() : text.rfind(' ', kWidth);
    *out += "# " + std::string(text.substr(0, cut)) + "\n";
    text.remove_prefix(std::min(text.size(), cut + 1));
  }
}

}  // namespace

std::string ConfigKey::EnvironmentName() const {
  std::string out = "PULSEBOARD_" + std::string(name);
  for (char& c : out) {
    if (c == '.') c = '_';
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

std::string ConfigKey::Accepted() const {
  const std::string bounds = FormatNumber(kind, min) + " to " + FormatNumber(kind, max);
  switch (kind) {
    case ConfigKind::kText:
      return "a " + std::string(unit);
    case ConfigKind::kChoice: {
      std::string out;
      const std::vector<std::string_view> all = SplitChoices(choices);
      for (size_t i = 0; i < all.size(); ++i) {
        out += (i == 0 ? "" : i + 1 == all.size() ? " or " : ", ") + std::string(all[i]);
      }
      return out;
    }
    case ConfigKind::kBool:
      return "true or false";
    case ConfigKind::kInteger:
      return bounds + " (" + std::string(unit) + ")";
    case ConfigKind::kBytes:
      return bounds + ", a number of bytes or one with KiB, MiB, GiB or TiB,";
    case ConfigKind::kDuration:
      return bounds + ", numbers with ns, us, ms, s, m, h or d,";
  }
  return "";
}

std::span<const ConfigKey> AllConfigKeys() { return Table(); }

const ConfigKey* FindConfigKey(std::string_view name) {
  for (const ConfigKey& key : Table()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

std::string_view SimilarConfigKey(std::string_view name) {
  std::string_view best;
  size_t best_distance = std::max<size_t>(2, name.size() / 4) + 1;
  for (const ConfigKey& key : Table()) {
    // A key under the wrong table is a common mistake as well.
    const size_t distance = key.key() == name.substr(name.find('.') + 1) ? 1 : EditDistance(name, key.name);
    if (distance < best_distance) {
      best_distance = distance;
      best = key.name;
    }
  }
  return best;
}

absl::Status SetConfigValue(const ConfigKey& key, std::string_view text, ServerConfig* config) {
  const auto bad = [&] {
    return absl::InvalidArgumentError("got \"" + std::string(text) + "\"; " + key.Accepted() + " would be accepted");
  };
  const Target target = key.target(*config);
  if (IsNumber(key.kind)) {
    const std::optional<int64_t> value = ParseNumber(key.kind, text);
    if (!value || *value < key.min || *value > key.max) return bad();
    if (int32_t* const* narrow = std::get_if<int32_t*>(&target)) {
      **narrow = static_cast<int32_t>(*value);
    } else {
      *std::get<int64_t*>(target) = *value;
    }
  } else if (key.kind == ConfigKind::kBool) {
    const std::optional<bool> value = ParseBool(text);
    if (!value) return bad();
    *std::get<bool*>(target) = *value;
  } else {
    if (key.kind == ConfigKind::kChoice) {
      const std::vector<std::string_view> all = SplitChoices(key.choices);
      if (std::find(all.begin(), all.end(), text) == all.end()) return bad();
    }
    *std::get<std::string*>(target) = std::string(text);
  }
  return absl::OkStatus();
}

std::string GetConfigValue(const ConfigKey& key, const ServerConfig& config) {
  ServerConfig copy = config;
  const Target target = key.target(copy);
  if (std::string* const* text = std::get_if<std::string*>(&target)) return **text;
  if (bool* const* flag = std::get_if<bool*>(&target)) return **flag ? "true" : "false";
  if (int32_t* const* narrow = std::get_if<int32_t*>(&target)) return FormatNumber(key.kind, **narrow);
  return FormatNumber(key.kind, *std::get<int64_t*>(target));
}

std::string TomlValue(const ConfigKey& key, const ServerConfig& config) {
  const std::string text = GetConfigValue(key, config);
  return key.kind == ConfigKind::kBool || ParseInteger(text) ? text : QuoteToml(text);
}

std::string SampleConfigFile() {
  std::string out =
      "# Settings of pulseboardd and their defaults. Made by `pulseboardd config --sample`.\n"
      "# Order: default < this file (--config FILE) < environment (PULSEBOARD_<TABLE>_<KEY>) < --set table.key=value.\n";
  const ServerConfig defaults;
  std::string_view table;
  for (const ConfigKey& key : AllConfigKeys()) {
    if (key.table() != table) {
      table = key.table();
      out += "\n[" + std::string(table) + "]\n";
    }
    out += "\n";
    AppendComment(key.doc, &out);
    std::string accepted = key.Accepted();
    if (accepted.ends_with(',')) accepted.pop_back();
    AppendComment(accepted + (key.reloadable ? ". Taken over on SIGHUP." : "."), &out);
    out += "#" + std::string(key.key()) + " = " + TomlValue(key, defaults) + "\n";
  }
  return out;
}

}  // namespace pulseboard

// The rows of the settings table. See config_registry.h.
#include "server/app/config_registry.h"

namespace pulseboard {
namespace {

using C = ServerConfig;
using Target = ConfigKey::Target;
using TargetFn = Target (*)(C&);

constexpr bool kReloadable = true;
constexpr bool kFixed = false;
constexpr int64_t kSecond = kNanosPerSecond;
constexpr int64_t kMinute = kNanosPerMinute;
constexpr int64_t kMilli = kNanosPerMilli;
constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kGiB = 1 << 30;

constexpr ConfigKey Text(std::string_view name, std::string_view unit, bool reloadable, std::string_view doc,
                         TargetFn target) {
  return {name, ConfigKind::kText, unit, 0, 0, {}, reloadable, doc, target};
}
constexpr ConfigKey Address(std::string_view name, std::string_view doc, TargetFn target) {
  return {name, ConfigKind::kAddress, {}, 0, 0, {}, kFixed, doc, target};
}
constexpr ConfigKey Choice(std::string_view name, std::string_view choices, bool reloadable, std::string_view doc,
                           TargetFn target) {
  return {name, ConfigKind::kChoice, {}, 0, 0, choices, reloadable, doc, target};
}
constexpr ConfigKey Bool(std::string_view name, bool reloadable, std::string_view doc, TargetFn target) {
  return {name, ConfigKind::kBool, {}, 0, 0, {}, reloadable, doc, target};
}
constexpr ConfigKey Integer(std::string_view name, std::string_view unit, int64_t min, int64_t max,
                            std::string_view doc, TargetFn target) {
  return {name, ConfigKind::kInteger, unit, min, max, {}, kFixed, doc, target};
}
constexpr ConfigKey Bytes(std::string_view name, int64_t min, int64_t max, std::string_view doc, TargetFn target) {
  return {name, ConfigKind::kBytes, "bytes", min, max, {}, kFixed, doc, target};
}
constexpr ConfigKey ReloadableBytes(std::string_view name, int64_t min, int64_t max, std::string_view doc,
                                    TargetFn target) {
  return {name, ConfigKind::kBytes, "bytes", min, max, {}, kReloadable, doc, target};
}
constexpr ConfigKey Duration(std::string_view name, int64_t min, int64_t max, bool reloadable, std::string_view doc,
                             TargetFn target) {
  return {name, ConfigKind::kDuration, "duration", min, max, {}, reloadable, doc, target};
}

#define PB_FIELD(path) [](C& c) -> Target { return &c.path; }

constexpr ConfigKey kKeys[] = {
    Choice("log.level", "trace|debug|info|warn|error", kReloadable, "The least important lines to log.",
           PB_FIELD(log_level)),

    Address("server.listen", "Where to take calls. Port 0 takes a free one.", PB_FIELD(rpc.listen)),
    Choice("server.tls", "auto|on|off", kFixed, "TLS. auto: plaintext on loopback addresses, TLS on all others.",
           PB_FIELD(tls.mode)),
    Bool("server.allow_plaintext", kFixed,
         "Lets tls = \"off\" be used on an address that other machines can reach. Passwords and data are then "
         "readable "
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
    Duration("storage.buffered_sync_interval", kMilli, 60 * kSecond, kFixed,
             "What was acknowledged as BUFFERED is synced to the disk after this long at the latest.",
             PB_FIELD(store.buffered_sync_interval_ns)),
    Bytes("storage.append_queue", kMiB, 16 * kGiB,
          "Samples that may wait to be committed; beyond it "
          "INGEST_BACKLOG_FULL.",
          PB_FIELD(store.append_queue_bytes)),
    Bytes("storage.wal_segment", kMiB, 4 * kGiB, "Size of one file of the write-ahead log.",
          PB_FIELD(store.wal_segment_bytes)),
    Bytes("storage.wal_retain", kMiB, 1024 * kGiB, "Log kept for subscribers that resume, beyond what recovery needs.",
          PB_FIELD(store.wal_retain_bytes)),
    Bytes("storage.wal_recovery", 16 * kMiB, 1024 * kGiB,
          "With more log than this to replay after a crash, open samples are sealed early.",
          PB_FIELD(store.wal_recovery_bytes)),
    Bytes("storage.memory", 0, 1024 * kGiB,
          "Memory for samples that are not sealed yet (half of it), write buffers (an eighth) and cached blocks; at "
          "least 32MiB. When the first half is full, pushes wait for sealing. Not in it: series, some hundred bytes "
          "each. 0: a quarter of the machine's memory, at most 1GiB.",
          PB_FIELD(store.memory_bytes)),
    Bytes("storage.decoded_memory", 0, 16 * kGiB,
          "Of it, for blocks that are read again and again, kept decoded; a sixteenth of it at most. 0: none.",
          PB_FIELD(store.decoded_bytes)),
    Bytes("storage.min_free_bytes", 0, 1024 * kGiB,
          "With less free space on the disk pushes are refused as DISK_FULL, so that checkpoints and compaction can "
          "still work. 0 keeps no reserve.",
          PB_FIELD(store.min_free_bytes)),
    Integer("storage.block_samples", "samples", 16, 65'536, "Samples per sealed block, at most.",
            PB_FIELD(store.block_samples)),
    Duration("storage.seal_age", 10 * kSecond, 24 * 60 * kMinute, kFixed,
             "Open blocks older than this are sealed, which frees the log.", PB_FIELD(store.seal_age_ns)),
    Duration("storage.checkpoint_interval", kSecond, 60 * kMinute, kFixed,
             "How often sealing and freeing is looked at.", PB_FIELD(store.checkpoint_interval_ns)),
    Duration("storage.raw_retention", kNanosPerDay, 36'500 * kNanosPerDay, kReloadable,
             "Whole windows of samples older than this are dropped; a window is a day, with more than 30d (when the "
             "server was started) some days.",
             PB_FIELD(store.raw_retention_ns)),
    Text("storage.tiers", "list of BUCKET:RETENTION, ascending, as in 1m:180d,1h:1825d, or nothing", kReloadable,
         "Rollups kept beside the samples, from which long ranges are read, and how long each is kept: never shorter "
         "than the finer one. A bucket divides an hour or is whole hours that divide a day; each is a multiple of the "
         "one before. Lengths are taken over on SIGHUP; a tier more or less waits for a restart, which the log says.",
         PB_FIELD(storage_tiers)),
    ReloadableBytes(
        "storage.max_size", 0, (int64_t{1} << 20) * kGiB,
        "Most bytes that all windows of all tiers may take; beyond it the oldest windows of the finest tier go "
        "first, never the open one. 0 is no limit.",
        PB_FIELD(store.retention.max_bytes)),
    Text("storage.tenant_retention", "as in `acme: raw=7d, 1m=90d, size=20GiB; other: raw=3d`", kReloadable,
         "What is kept of single tenants, where it is less than of all: how long per tier, and how many bytes in all.",
         PB_FIELD(tenant_retention)),
    Duration("storage.event_retention", kNanosPerDay, 36'500 * kNanosPerDay, kReloadable,
             "Events older than this are dropped, and not taken.", PB_FIELD(events.retention_ns)),
    Integer("storage.max_producers_per_tenant", "producers", 1, 100'000'000,
            "Producers whose sequence is remembered; the oldest are forgotten first.",
            PB_FIELD(store.max_producers_per_tenant)),
    Text("storage.backup_directory", "directory", kFixed,
         "Where backups are kept, best on another disk. Empty: the server makes none.",
         PB_FIELD(store.backup_directory)),
    Bytes("storage.backup_rate", 0, 1024 * kGiB, "Most bytes per second that a backup copies; 0 is no limit.",
          PB_FIELD(store.backup_rate)),
    Bytes("storage.verify_rate", 0, 1024 * kGiB, "Most bytes per second that a verification reads; 0 is no limit.",
          PB_FIELD(store.verify_rate)),

    Choice(
        "ingest.ack_mode", "fsynced|buffered", kFixed,
        "When a push that does not say is acknowledged: once it is on the disk, or once the operating system has it, "
        "which loses the last acknowledged samples when the machine (not the server) stops.",
        PB_FIELD(ack_mode)),
    Bool("ingest.allow_buffered", kFixed,
         "Whether a push may ask for BUFFERED. false: everything is on the disk before it is acknowledged.",
         PB_FIELD(intake.allow_buffered)),
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
    Integer("ingest.max_streams", "streams", 1, 1'000'000,
            "Push streams and imports at once; more push streams are refused as TOO_MANY_STREAMS.",
            PB_FIELD(intake.max_streams)),
    Integer("ingest.max_unacked_batches", "batches", 1, 1'024, "Batches of one stream in work; then it is not read.",
            PB_FIELD(intake.max_unacked_batches)),
    Text("ingest.otlp_resource_labels", "list of KEY, BEGINNING* or, to leave out, -KEY; the first that fits decides",
         kFixed,
         "Attributes of an OpenTelemetry resource that become labels of its series. What is not left out here, and "
         "changes when a process starts again, makes new series.",
         PB_FIELD(otlp_resource_labels)),
    Integer("ingest.backlog_retry", "ms", 1, 60'000,
            "What RetryInfo says with INGEST_BACKLOG_FULL and TOO_MANY_STREAMS.", PB_FIELD(intake.backlog_retry_ms)),

    Integer("live.max_subscriptions", "streams", 1, 1'000'000,
            "Subscriptions at the same time; beyond it "
            "TOO_MANY_SUBSCRIPTIONS.",
            PB_FIELD(live.max_subscriptions)),
    Integer("live.max_series_per_subscription", "series", 1, 10'000'000,
            "Series one subscription may select; beyond it "
            "QUERY_TOO_BROAD.",
            PB_FIELD(live.max_series_per_subscription)),
    Bytes("live.default_buffer", kMinLiveBufferBytes, kMaxLiveBufferBytes,
          "Unsent bytes held per subscription when it asks for no size of its own.",
          PB_FIELD(live.default_buffer_bytes)),
    Bytes("live.max_total_buffer", 1 << 20, int64_t{1} << 40,
          "Unsent bytes of all subscriptions together; beyond it each may hold only an equal share.",
          PB_FIELD(live.max_total_buffer_bytes)),
    Integer("live.default_frames_per_second", "1/s", 1, kMaxLiveFramesPerSecond,
            "Frames per second when a subscription asks for no rate of its own.",
            PB_FIELD(live.default_frames_per_second)),
    Duration("live.progress_interval", 100 * kMilli, 60 * kSecond, kFixed, "Heartbeat of an idle subscription.",
             PB_FIELD(live.progress_interval_ns)),
    Duration("live.max_stall", kSecond, 60 * kMinute, kFixed,
             "A subscriber that takes nothing for this long is ended with SLOW_CONSUMER.", PB_FIELD(live.max_stall_ns)),
    Duration(
        "live.max_stream_age", 0, 720 * 60 * kMinute, kFixed,
        "A subscription this old (90 to 110 % of it) is ended with OK after a resume token, so that load balancers can "
        "move it; clients go on by themselves. 10 s at least; 0: never.",
        PB_FIELD(live.max_stream_age_ns)),
    Duration("live.max_backfill_duration", kSecond, 60 * kMinute, kFixed,
             "A backfill that takes longer is ended with SLOW_CONSUMER.", PB_FIELD(live.max_backfill_ns)),
    Integer("live.max_backfill_samples", "samples", 1, 1'000'000'000'000,
            "Samples and rollups one backfill may read; beyond it QUERY_TOO_BROAD.",
            PB_FIELD(live.max_backfill_samples)),
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
    Integer("query.max_samples", "samples", 1, 1'000'000'000'000,
            "Samples and rollups one range query may read, likewise.", PB_FIELD(query.max_samples)),
    Duration("query.max_duration", 100 * kMilli, 60 * kMinute, kFixed, "Longest life of one query, sending included.",
             PB_FIELD(query.max_duration_ns)),
    Duration("query.lookback", kSecond, 24 * 60 * kMinute, kFixed,
             "A sample older than this is no value of an expression's instant.", PB_FIELD(query.lookback_ns)),
    Integer("query.max_held_values", "values", 1'000, 10'000'000'000,
            "Values of 8 bytes one expression may hold; beyond it QUERY_TOO_BROAD.", PB_FIELD(query.max_held_values)),
    Bytes("query.max_answer_bytes", 1 << 20, int64_t{1} << 40,
          "Longest answer of one query; beyond it QUERY_TOO_BROAD.", PB_FIELD(query.max_answer_bytes)),
    Integer("query.max_tenant_active", "calls", 1, 100'000,
            "Queries of one tenant running or waiting; beyond it QUERY_BUSY.", PB_FIELD(query.max_tenant_active)),
    Integer("query.max_tenant_series", "series", 1, 100'000'000, "Series they may select together, likewise.",
            PB_FIELD(query.max_tenant_series)),
    Integer("query.max_tenant_samples", "samples", 1, 1'000'000'000'000,
            "Samples and rollups they may read together, likewise.", PB_FIELD(query.max_tenant_samples)),
    Integer("query.max_tenant_held_values", "values", 1'000, 10'000'000'000,
            "Values of 8 bytes they may hold together, likewise.", PB_FIELD(query.max_tenant_held_values)),
    Bytes("query.max_tenant_answer_bytes", 1 << 20, int64_t{1} << 42, "Bytes they may answer together, likewise.",
          PB_FIELD(query.max_tenant_answer_bytes)),
    Duration(
        "query.max_tenant_time", 0, 60 * 60 * kMinute, kFixed,
        "Work of one tenant's queries per minute, all threads together; beyond it QUERY_BUSY until it came back. 0s: "
        "as much as the threads can do.",
        PB_FIELD(query.max_tenant_time_ns)),
    Duration("query.slice", kMilli, kSecond, kFixed, "A query that ran so long gives way to those that wait.",
             PB_FIELD(query.slice_ns)),
    Integer("query.thread_niceness", "1", 0, 19, "How much less than ingestion the threads of queries are preferred.",
            PB_FIELD(query.thread_niceness)),
    Integer("query.busy_retry", "ms", 1, 60'000, "What RetryInfo says with QUERY_BUSY.", PB_FIELD(query.busy_retry_ms)),
    Integer(
        "query.here_samples", "samples", 0, 1'000'000,
        "A query that reads no more, and from memory alone, is answered by the thread that received it. 0: none is.",
        PB_FIELD(query.here_samples)),
    Integer("query.chunk_samples", "samples", 1, 1'000'000, "Samples per message of a range query's answer.",
            PB_FIELD(query.chunk_samples)),

    Integer("transfer.threads", "threads", 1, 64, "Threads that parse imports.", PB_FIELD(transfer.threads)),
    Integer("transfer.max_xlsx_rows", "rows", 1, 1'048'575, "Rows of one exported workbook; beyond it QUERY_TOO_BROAD.",
            PB_FIELD(transfer.max_xlsx_rows)),
    Integer("transfer.max_imports", "calls", 1, 10'000, "Imports at the same time; beyond it TRANSFER_BUSY.",
            PB_FIELD(transfer.max_imports)),
    Integer("transfer.busy_retry", "ms", 1, 60'000, "What RetryInfo says with TRANSFER_BUSY.",
            PB_FIELD(transfer.busy_retry_ms)),
    Bytes("transfer.max_line", 1 << 10, 64 * kMiB, "Longest line (CSV: record) of an import; longer ones are refused.",
          PB_FIELD(transfer.max_line_bytes)),
    Bytes("transfer.max_series_text", kMiB, 64 * kGiB,
          "Spellings of series that one import keeps in memory; lines of further series are refused.",
          PB_FIELD(transfer.max_series_text_bytes)),
    Integer("transfer.max_export_series", "series", 1, 100'000'000,
            "Series one export may select; beyond it QUERY_TOO_BROAD.", PB_FIELD(transfer.max_export_series)),
    Integer("transfer.max_wide_series", "series", 1, 9'999, "The same for an export in the wide form of CSV.",
            PB_FIELD(transfer.max_wide_series)),
    Duration("transfer.max_export_duration", kSecond, 7 * kNanosPerDay, kFixed,
             "Longest life of one export, sending included.", PB_FIELD(transfer.max_export_duration_ns)),

    Integer("events.max_per_tenant", "events", 1, 1'000'000'000,
            "Events that are kept of one tenant; beyond it the oldest go.", PB_FIELD(events.max_per_tenant)),
    Bytes("events.max_queued", kMiB, 64 * kGiB, "Events that may wait for the disk; beyond it INGEST_BACKLOG_FULL.",
          PB_FIELD(events.max_queued_bytes)),
    Integer("events.max_queued_reads", "calls", 1, 100'000, "Reads of events that may wait; beyond it QUERY_BUSY.",
            PB_FIELD(events.max_queued_reads)),
    Integer("events.max_subscriptions", "streams", 1, 1'000'000,
            "Subscriptions of events at the same time; beyond it TOO_MANY_SUBSCRIPTIONS.",
            PB_FIELD(events.max_subscriptions)),

    Integer("alert.max_rules", "rules", 1, 1'000'000, "Alert rules of all tenants; beyond it TOO_MANY_RULES.",
            PB_FIELD(alert.max_rules)),
    Integer("alert.max_alerts", "alerts", 1, 100'000'000,
            "Series that rules may watch, counted once per rule; further ones are not watched (self-metric "
            "alert.unwatched_samples).",
            PB_FIELD(alert.board.max_alerts)),
    Integer("alert.max_queued_samples", "samples", 1'000, 1'000'000'000,
            "Samples that may wait to be judged; beyond it only the newest of each series is looked at.",
            PB_FIELD(alert.max_queued_samples)),
    Integer("alert.max_window_samples", "samples", 16, 10'000'000,
            "Samples held per series for a rate or change; of more, the older half is thinned out.",
            PB_FIELD(alert.board.max_window_samples)),
    Duration("alert.unlearnt_silence", kSecond, 7 * kNanosPerDay, kFixed,
             "A series counts as missing after so much silence, before it is known how often it comes.",
             PB_FIELD(alert.board.unlearnt_silence_ns)),
    Duration("alert.max_sample_age", kSecond, 7 * kNanosPerDay, kFixed,
             "Samples older than this when they come are history: they are not judged.",
             PB_FIELD(alert.board.max_sample_age_ns)),
    Duration("alert.ledger_retention", kMinute, 3'660 * kNanosPerDay, kFixed,
             "Transitions of alerts older than this are dropped.", PB_FIELD(alert.ledger.retention_ns)),

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
             "After this long without a failure the count starts anew.", PB_FIELD(accounts.throttle.forget_after_ns)),
    Integer("identity.max_throttled_accounts", "accounts", 1, 10'000'000,
            "Accounts with failures that are remembered; the oldest are forgotten first.",
            PB_FIELD(accounts.throttle.max_accounts)),
};

#undef PB_FIELD

}  // namespace

std::span<const ConfigKey> AllConfigKeys() { return kKeys; }

}  // namespace pulseboard

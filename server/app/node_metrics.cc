// Which figures of its parts a node writes about itself.
#include "server/app/node.h"

#include <utility>

namespace pulseboard {
namespace {

class Figures {
 public:
  explicit Figures(std::vector<SelfMetric>* out) : out_(out) {}
  void Gauge(const char* name, const char* unit, const char* description, int64_t value) {
    out_->push_back({name, MetricKind::kGauge, unit, description, {}, static_cast<double>(value)});
  }
  void Counter(const char* name, const char* unit, const char* description, int64_t value, Labels labels = {}) {
    out_->push_back({name, MetricKind::kCounter, unit, description, std::move(labels), static_cast<double>(value)});
  }
  void Seconds(const char* name, const char* description, int64_t nanos) {
    out_->push_back({name, MetricKind::kGauge, "s", description, {}, static_cast<double>(nanos) / 1e9});
  }

 private:
  std::vector<SelfMetric>* const out_;
};

void StoreMetrics(const StoreStats& s, Figures f) {
  f.Gauge("store.commit_sequence", "1", "Newest commit.", s.commit_sequence);
  f.Gauge("store.series", "1", "Series of all tenants.", s.series_count);
  f.Counter("store.committed_batches", "1", "Batches made durable.", s.committed_batches);
  f.Counter("store.committed_samples", "1", "Samples made durable.", s.committed_samples);
  f.Counter("store.duplicate_batches", "1", "Batches that had been committed before.", s.duplicate_batches);
  f.Counter("store.late_samples", "1", "Samples not newer than the newest of their series.", s.late_samples);
  f.Counter("store.buffered_batches", "1", "Batches acknowledged before they were on the disk.", s.buffered_batches);
  f.Counter("store.wal_syncs", "1", "Syncs of the write-ahead log.", s.wal_syncs);
  f.Gauge("store.wal_size", "By", "Write-ahead log on disk.", s.wal_bytes);
  f.Gauge("store.append_queue", "By", "Samples waiting to be committed.", s.append_queue_bytes);
  f.Gauge("store.memory_limit", "By", "Most memory for the next four; see storage.memory.", s.memory_limit_bytes);
  f.Gauge("store.memory_head", "By", "Memory of samples not yet sealed.", s.head_bytes);
  f.Gauge("store.memory_write_buffers", "By", "Memory of RocksDB's write buffers.", s.write_buffer_bytes);
  f.Gauge("store.memory_cache", "By", "Memory of cached blocks.", s.block_cache_bytes);
  f.Gauge("store.memory_decoded", "By", "Memory of decoded blocks.", s.decoded_bytes);
  f.Counter("store.decoded_hits", "1", "Reads of a block that was kept decoded.", s.decoded_hits);
  f.Counter("store.decoded_misses", "1", "Reads of a block that was not.", s.decoded_misses);
  f.Gauge("store.disk_free", "By", "Free space on the disk; see storage.min_free_bytes.", s.free_bytes);
  f.Counter("store.background_errors", "1", "Errors of RocksDB in the background.", s.background_errors);
  f.Counter("store.write_stalls", "1", "Times RocksDB slowed or stopped writes.", s.write_stalls);
  f.Gauge("store.head_samples", "1", "Samples not yet sealed into blocks.", s.head_samples);
  f.Counter("store.sealed_blocks", "1", "Blocks sealed.", s.sealed_blocks);
  f.Counter("store.sealed_samples", "1", "Samples in sealed blocks.", s.sealed_samples);
  f.Counter("store.sealed_bytes", "By", "Size of sealed blocks.", s.sealed_bytes);
  f.Seconds("store.fsync_p50", "Median of recent syncs.", s.fsync_p50_ns);
  f.Seconds("store.fsync_p99", "99th percentile of recent syncs.", s.fsync_p99_ns);
}

std::string_view ReasonLabel(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kBadMetric:
      return "bad_metric";
    case RefusalReason::kBadLabels:
      return "bad_labels";
    case RefusalReason::kTooOld:
      return "too_old";
    case RefusalReason::kInFuture:
      return "in_future";
    case RefusalReason::kUnknownRef:
      return "unknown_ref";
    case RefusalReason::kSeriesLimit:
      return "series_limit";
    case RefusalReason::kBadTime:
      return "bad_time";
    case RefusalReason::kUnspecified:
      break;
  }
  return "";
}

void IntakeMetrics(const IntakeStats& s, Figures f) {
  f.Counter("intake.accepted_samples", "1", "Samples accepted.", s.accepted_samples);
  for (size_t i = 0; i < s.refused_by_reason.size(); ++i) {
    const std::string_view reason = ReasonLabel(static_cast<RefusalReason>(i));
    if (reason.empty()) continue;
    f.Counter("intake.refused_samples", "1", "Samples refused.", s.refused_by_reason[i],
              {{"reason", std::string(reason)}});
  }
  f.Counter("intake.batches", "1", "Batches pushed.", s.batches);
  f.Counter("intake.duplicate_batches", "1", "Batches pushed again.", s.duplicate_batches);
  f.Counter("intake.backlog_refusals", "1", "Batches sent away because the append queue was full.", s.backlog_refusals);
  f.Gauge("intake.open_streams", "1", "Push streams.", s.open_streams);
}

void LiveMetrics(const HubStats& s, Figures f) {
  f.Gauge("live.subscriptions", "1", "Open subscriptions.", s.subscriptions);
  f.Gauge("live.routed_series", "1", "Series that somebody watches.", s.routed_series);
  f.Gauge("live.buffered", "By", "Unsent data of all subscriptions; see live.max_total_buffer.", s.buffered_bytes);
  f.Gauge("live.topics", "1", "Sets of subscriptions that ask alike and share their frames.", s.topics);
  f.Counter("live.frames_made", "1", "Frames of samples made, each once for all its viewers.", s.frames_made);
  f.Counter("live.frames", "1", "Messages handed to the transport.", s.frames);
  f.Counter("live.widened_ticks", "1", "Ticks that took long, so that the next one was put off.", s.widened_ticks);
  f.Counter("live.delivered_samples", "1", "Samples in those frames.", s.delivered_samples);
  f.Counter("live.late_samples", "1", "Of them, late ones, sent as amends.", s.late_samples);
  f.Counter("live.dropped_samples", "1", "Samples dropped for slow viewers.", s.dropped_samples);
  f.Counter("live.conflated_samples", "1", "Samples left out for slow viewers as they show in none of their pixels.",
            s.conflated_samples);
  f.Counter("live.catch_ups", "1", "Times a subscription read the log to catch up.", s.catch_ups);
  f.Counter("live.slow_consumers", "1", "Subscriptions ended as too slow.", s.slow_consumers);
}

void QueryMetrics(const QueryStats& s, Figures f) {
  f.Gauge("query.active", "1", "Queries running or waiting.", s.active);
  f.Counter("query.admitted", "1", "Queries admitted.", s.admitted);
  f.Counter("query.answered_here", "1", "Of those, answered by the thread that received them.", s.answered_here);
  f.Counter("query.refused", "1", "Queries refused as too many.", s.refused_busy);
  f.Gauge("query.waiting", "1", "Queries that wait for a thread's time.", s.waiting);
  f.Counter("query.handovers", "1", "Times a long query gave way to another.", s.handovers);
  f.Counter("query.scanned_samples", "1", "Raw samples read.", s.scanned_samples);
  f.Counter("query.scanned_rollups", "1", "Rollups read instead of samples.", s.scanned_rollups);
}

void EventMetrics(const EventStats& s, Figures f) {
  f.Gauge("events.kept", "1", "Events of all tenants.", s.kept);
  f.Counter("events.pushed", "1", "Events made durable.", s.pushed);
  f.Counter("events.duplicate_requests", "1", "Pushes of events that had been answered before.", s.duplicate_requests);
  f.Counter("events.dropped", "1", "Events dropped for retention.", s.dropped);
  f.Counter("events.refused_pushes", "1", "Pushes of events sent away because too much waited.", s.refused_pushes);
  f.Gauge("events.subscriptions", "1", "Open subscriptions of events.", s.subscriptions);
}

void AlertMetrics(const AlertStats& s, Figures f) {
  f.Gauge("alert.rules", "1", "Alert rules of all tenants.", s.rules);
  f.Gauge("alert.alerts", "1", "Series watched, counted once per rule.", s.alerts);
  f.Gauge("alert.pending", "1", "Alerts that wait for their rule's time to fire.", s.pending);
  f.Gauge("alert.firing", "1", "Alerts that fire, recovering ones included.", s.firing);
  f.Gauge("alert.unknown", "1", "Alerts without data.", s.unknown);
  f.Counter("alert.unwatched_samples", "1", "Samples not watched because there are alert.max_alerts.",
            s.unwatched_samples);
  f.Counter("alert.judged_samples", "1", "Samples judged, counted once per rule.", s.judged_samples);
  f.Counter("alert.transitions", "1", "Transitions made durable.", s.transitions);
  f.Counter("alert.overflows", "1", "Times more than alert.max_queued_samples waited to be judged.", s.overflows);
  f.Counter("alert.failed_writes", "1", "Times the disk took no transitions; they wait.", s.failed_writes);
  f.Gauge("alert.latency", "ns", "From commit to durable of the newest transition that a sample caused.",
          s.last_latency_ns);
}

}  // namespace

void Node::AddSelfMetrics() {
  self_metrics_ = std::make_unique<SelfMetrics>(*store_, clock_);
  self_metrics_->AddSource(ProcessMetrics(clock_));
  self_metrics_->AddSource([this](std::vector<SelfMetric>* out) {
    StoreMetrics(store_->Stats(), Figures(out));
    IntakeMetrics(intake_->Stats(), Figures(out));
    LiveMetrics(hub_->Stats(), Figures(out));
    QueryMetrics(query_->Stats(), Figures(out));
    EventMetrics(events_->Stats(), Figures(out));
    AlertMetrics(alerts_->Stats(), Figures(out));
    Figures own(out);
    own.Gauge("identity.sessions", "1", "Sessions that could be renewed.", sessions_->size());
    own.Gauge("identity.users", "1", "Accounts of tenant default.", users_->Count(kDefaultTenant));
    own.Gauge("rpc.streams", "1", "Long-lived calls under way.", streams_.size());
  });
}

}  // namespace pulseboard

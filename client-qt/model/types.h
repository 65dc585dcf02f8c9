// Values that cross between the network and the screen. No gRPC, no protobuf, no Widgets.
#pragma once

#include <QMetaType>
#include <QString>
#include <QStringList>
#include <QVector>
#include <cstdint>
#include <vector>

namespace pulseboard::qt {

struct LabelItem {
  QString name;
  QString value;
  bool operator==(const LabelItem&) const = default;
};

enum class SeriesKind { Gauge, Counter };

// A series as the browser and the charts know it.
struct SeriesItem {
  quint64 id = 0;  // the server's series_id, stable
  QString metric;
  QVector<LabelItem> labels;  // ascending by name
  SeriesKind kind = SeriesKind::Gauge;
  QString unit;  // UCUM
  QString description;

  // `metric{a="x"}`: a selector that picks exactly this series.
  QString selector() const;
  QString label(const QString& name) const;
};

// Samples of one series, ascending by time; NaN is a gap. Times are unix nanoseconds.
struct SeriesSamples {
  quint64 series_id = 0;
  std::vector<qint64> times;
  std::vector<double> values;
  bool amended = false;  // late or corrected, after it was committed: to be marked
};

// Samples the server dropped for this viewer, or a hole while disconnected: drawn as a gap.
struct GapItem {
  qint64 start_unix_nanos = 0;
  qint64 end_unix_nanos = 0;
  qint64 dropped_samples = 0;
};

enum class EventSeverity { Debug = 1, Info, Warning, Error, Critical };  // numbers of the wire

// Something that happened, as text: a deploy, a failure.
struct EventItem {
  qint64 id = 0;    // in the order of arrival, unique
  qint64 time = 0;  // unix nanoseconds
  EventSeverity severity = EventSeverity::Info;
  QString source;
  QVector<LabelItem> labels;  // ascending by name
  QString text;
};

// What one panel wants to see.
struct FeedQuery {
  QString id;        // unique in the feed
  QString selector;  // PromQL-like
  bool operator==(const FeedQuery&) const = default;
};

// A live feed: backfill, then every new sample; and every new event.
struct FeedSpec {
  QVector<FeedQuery> queries;
  qint64 backfill_seconds = 300;
  int max_points = 0;  // pixel columns for the backfill; 0 raw
  bool operator==(const FeedSpec&) const = default;
};

// What arrived since the last drain, in order: definitions first, then samples.
//
// After an update of the queries (`updated`) all series of the feed are defined again, up to `backfill_done`: those
// that are not are no longer of it, and the query ids of the others are new. Samples of series that stay go on as they
// were.
struct FeedBatch {
  struct Definition {
    SeriesItem series;
    QStringList query_ids;
  };
  std::vector<Definition> definitions;    // before the update, if there is one in this batch
  std::vector<Definition> redefinitions;  // after it
  std::vector<SeriesSamples> backfill;    // replaces what the panel has in that series' range
  std::vector<SeriesSamples> samples;     // appends; an older or equal time is late data and inserts or replaces
  std::vector<GapItem> gaps;
  std::vector<quint64> stale;     // series that have stopped, after all of `samples`; until their next sample
  bool reset = false;             // a new snapshot begins (first connect, or token expired): forget earlier samples
  bool updated = false;           // other queries from here on
  bool backfill_done = false;     // all that follows is live
  std::vector<EventItem> events;  // as they were pushed; none of the past
  bool empty() const {
    return definitions.empty() && redefinitions.empty() && backfill.empty() && samples.empty() && gaps.empty() &&
           stale.empty() && events.empty() && !reset && !updated && !backfill_done;
  }
};

// An error as a person reads it.
struct UserError {
  QString title;   // what happened, a short sentence
  QString detail;  // what it means and what to do next
  QString reason;  // the server's reason, e.g. BAD_CREDENTIALS; empty for network trouble
  bool isEmpty() const { return title.isEmpty(); }
};

enum class ConnectionState { Offline, Connecting, Connected, Reconnecting };

struct ConnectionStatus {
  ConnectionState state = ConnectionState::Offline;
  QString server;  // host:port
  QString user;    // name of the account
  QString role;    // word for the account's role
  bool tls = false;
  int retry_in_ms = 0;              // when Reconnecting
  qint64 last_seen_unix_nanos = 0;  // last message from the server
  UserError error;                  // why not connected
};

// From the frames' own times, over the last few thousand frames. Milliseconds; negative: not known yet.
struct LatencyStats {
  double push_to_receive_p50_ms = -1;
  double push_to_receive_p99_ms = -1;
  double points_per_second = 0;
  qint64 dropped_samples = 0;
  qint64 gap_count = 0;
};

struct HistoryResult {
  std::vector<FeedBatch::Definition> definitions;
  std::vector<SeriesSamples> samples;
};

struct EventHistory {
  std::vector<EventItem> events;
  // Lesser ones were left out: there are too many to show.
  EventSeverity least = EventSeverity::Info;
};

// What a look at a server showed.
struct ServerProbe {
  QString server;
  bool reachable = false;
  bool tls = false;
  bool trusted = false;  // by an authority, a pin, or because it is this machine
};

struct Credentials {
  QString server;  // host:port
  QString login;
  QString password;
  bool keep_logged_in = false;
};

// Asked before the first contact with a server whose certificate no authority vouches for, and when a pinned one
// changed.
struct CertificateQuestion {
  QString server;
  QString fingerprint_sha256;         // AA:BB:…
  QString pinned_fingerprint_sha256;  // empty on first contact
  QString pinned_on;                  // date text, empty on first contact
  bool changed() const { return !pinned_fingerprint_sha256.isEmpty(); }
};

}  // namespace pulseboard::qt

Q_DECLARE_METATYPE(pulseboard::qt::UserError)
Q_DECLARE_METATYPE(pulseboard::qt::ConnectionStatus)
Q_DECLARE_METATYPE(pulseboard::qt::LatencyStats)
Q_DECLARE_METATYPE(pulseboard::qt::HistoryResult)
Q_DECLARE_METATYPE(pulseboard::qt::EventHistory)
Q_DECLARE_METATYPE(pulseboard::qt::CertificateQuestion)
Q_DECLARE_METATYPE(pulseboard::qt::ServerProbe)

// SyntheticSource: a MetricsSource without a server, for previews, tests and benchmarks of the window. Values are a
// pure function of series and time, so that every picture can be taken again.
#pragma once

#include <map>
#include <set>

#include "client-qt/model/metrics_source.h"
#include "common/base/clock.h"
#include "common/model/samples.h"

namespace pulseboard::qt {

class SyntheticSource : public MetricsSource {
  Q_OBJECT

 public:
  // Value over time: base + swing * slow wave + noise, cut to [min, max].
  struct Shape {
    double base = 50;
    double swing = 20;
    double noise = 4;
    double min = 0;
    double max = 100;
  };

  explicit SyntheticSource(const Clock& clock);
  // Seconds between samples of all series; at least a millisecond.
  void setStep(qint64 nanos) { step_ = nanos; }
  quint64 addSeries(const QString& metric, const QVector<LabelItem>& labels, const QString& unit, const Shape& shape);
  // What the agent sends of a machine with four cores.
  void addMachine(const QString& host);
  // No sample of a backfill is older.
  void setBorn(qint64 unix_nanos) { born_ = unix_nanos; }
  // No sample has a time in here.
  void setHole(TimeRange hole) { hole_ = hole; }
  void setConnection(const ConnectionStatus& status);
  void setLatency(const LatencyStats& stats) { latency_ = stats; }
  // Feeds stay without an answer until released.
  void holdAnswers(bool hold) { hold_ = hold; }
  void failFeeds(const UserError& error);
  // Updates with a query of this selector are refused.
  void refuse(const QString& selector, const UserError& error);
  // An event that open feeds are told of at once, and lists from now on.
  void pushEvent(const EventItem& event);
  // Sends all open feeds the samples up to the clock's now.
  void push();
  double valueAt(quint64 series_id, qint64 time) const;
  const std::vector<FeedSpec>& openedFeeds() const { return opened_; }
  // Series whose backfill was sent, in order.
  const std::vector<quint64>& backfilled() const { return backfilled_; }
  int openFeedCount() const { return static_cast<int>(feeds_.size()); }

  void login(const Credentials& credentials) override;
  void resumeSession(const QString& server) override;
  void answerCertificate(bool trust) override;
  void probeServer(const QString& server) override;
  QStringList keptServers() const override { return {}; }
  void logout() override;
  FeedId openFeed(const FeedSpec& spec) override;
  void updateFeed(FeedId feed, const FeedSpec& spec) override;
  void closeFeed(FeedId feed) override;
  FeedBatch drain(FeedId feed) override;
  RequestId requestHistory(const QString& selector, qint64 start_unix_nanos, qint64 end_unix_nanos,
                           int max_points) override;
  RequestId requestEvents(qint64 start_unix_nanos, qint64 end_unix_nanos) override;
  void cancelRequest(RequestId request) override;
  const QVector<SeriesItem>& catalog() const override { return catalog_; }
  ConnectionStatus connection() const override { return status_; }
  LatencyStats latency() const override { return latency_; }

 private:
  struct Feed {
    FeedSpec spec;
    std::map<quint64, QStringList> series;  // with the queries each answers
    qint64 sent_until = 0;
    FeedBatch pending;
  };

  std::vector<quint64> select(const QString& selector) const;
  // Series, definitions and the backfill of queries that are not in `before`.
  void answer(FeedId id, Feed* feed, const FeedSpec& before);
  SeriesSamples samplesOf(quint64 series_id, TimeRange range, int max_points) const;

  const Clock& clock_;
  qint64 step_ = kNanosPerSecond;
  QVector<SeriesItem> catalog_;
  std::map<quint64, Shape> shapes_;
  TimeRange hole_;
  qint64 born_ = 0;
  ConnectionStatus status_;
  LatencyStats latency_;
  bool hold_ = false;
  std::map<FeedId, Feed> feeds_;
  std::set<RequestId> requests_;
  std::vector<FeedSpec> opened_;
  std::vector<EventItem> events_;
  QString refused_;
  UserError refusal_;
  std::vector<quint64> backfilled_;
  quint64 next_id_ = 1;
};

}  // namespace pulseboard::qt

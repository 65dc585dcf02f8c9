// GrpcSource: MetricsSource over gRPC. All network work happens in a thread of its own; this object only posts to it.
#pragma once

#include <QHash>
#include <QSet>
#include <QThread>
#include <QTimer>
#include <memory>

#include "client-qt/model/metrics_source.h"
#include "client-qt/net/kept_session.h"
#include "client-qt/net/server_link.h"

namespace pulseboard::qt {

class FeedMailbox;
class IoWorker;
class LatencyWindow;

// GUI thread. The destructor ends all calls and waits for the thread (as long as a running look at an unreachable
// server takes, a few seconds at most).
class GrpcSource final : public MetricsSource {
  Q_OBJECT

 public:
  explicit GrpcSource(NetOptions options = {}, QObject* parent = nullptr);
  ~GrpcSource() override;

  void login(const Credentials& credentials) override;
  void resumeSession(const QString& server) override;
  void answerCertificate(bool trust) override;
  void probeServer(const QString& server) override;
  QStringList keptServers() const override;
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
  LatencyStats latency() const override;

 private:
  template <typename Fn>
  void post(Fn&& fn);
  void setStatus(const ConnectionStatus& status);
  void countDown();

  const KeptSessions kept_;
  const std::shared_ptr<LatencyWindow> latency_;
  QThread thread_;
  IoWorker* worker_;  // lives in thread_, deleted there when it ends
  QHash<FeedId, std::shared_ptr<FeedMailbox>> mailboxes_;
  QSet<RequestId> requests_;
  QVector<SeriesItem> catalog_;
  ConnectionStatus status_;
  QTimer countdown_;
  qint64 retry_at_ms_ = 0;  // wall time of the next attempt
  FeedId next_feed_ = 1;
  RequestId next_request_ = 1;
};

}  // namespace pulseboard::qt

// IoWorker: the inside of the thread "grpc-io": link, catalog, history and feeds of one server.
#pragma once

#include <QObject>
#include <QThreadPool>
#include <atomic>
#include <map>
#include <memory>

#include "client-qt/model/metrics_source.h"
#include "client-qt/net/event_reader.h"
#include "client-qt/net/feed_mailbox.h"
#include "client-qt/net/history_reader.h"
#include "client-qt/net/latency_window.h"
#include "client-qt/net/server_link.h"

namespace pulseboard::qt {

class CatalogPoller;
class LiveFeed;

// Lives in the I/O thread; reached only by queued calls, answers by signals that carry values. Destroyed in its thread.
class IoWorker : public QObject {
  Q_OBJECT

 public:
  IoWorker(NetOptions options, std::shared_ptr<LatencyWindow> latency);
  ~IoWorker() override;

  void login(const Credentials& credentials);
  void resumeSession(const QString& server);
  void answerCertificate(bool trust);
  void logout();
  void probeServer(const QString& server);
  void openFeed(FeedId id, const FeedSpec& spec, std::shared_ptr<FeedMailbox> mailbox);
  void updateFeed(FeedId id, const FeedSpec& spec);
  void closeFeed(FeedId id);
  void resumeFeed(FeedId id);
  void requestHistory(const HistoryQuery& query);
  void requestEvents(RequestId id, qint64 start_unix_nanos, qint64 end_unix_nanos);
  void cancelRequest(RequestId id);

 Q_SIGNALS:
  void loggedIn();
  void loginFailed(const pulseboard::qt::UserError& error);
  void certificateQuestion(const pulseboard::qt::CertificateQuestion& question);
  void sessionEnded(const pulseboard::qt::UserError& error);
  void serverProbed(const pulseboard::qt::ServerProbe& probe);
  void statusChanged(const pulseboard::qt::ConnectionStatus& status);
  void catalogListed(const QVector<pulseboard::qt::SeriesItem>& series);
  void feedReady(pulseboard::qt::FeedId id);
  void feedFailed(pulseboard::qt::FeedId id, const pulseboard::qt::UserError& error);
  void feedUpdateRefused(pulseboard::qt::FeedId id, const pulseboard::qt::UserError& error);
  void historyReady(pulseboard::qt::RequestId id, const pulseboard::qt::HistoryResult& result);
  void historyFailed(pulseboard::qt::RequestId id, const pulseboard::qt::UserError& error);
  void eventsReady(pulseboard::qt::RequestId id, const pulseboard::qt::EventHistory& history);
  void eventsFailed(pulseboard::qt::RequestId id, const pulseboard::qt::UserError& error);

 private:
  struct Feed {
    FeedSpec spec;
    std::shared_ptr<FeedMailbox> mailbox;
    std::unique_ptr<LiveFeed> live;  // nothing before the login
  };

  void onLoggedIn();
  void onFeedState(FeedId id, const client::StateEvent& event);
  void startFeed(FeedId id, Feed* feed);
  void dropServer();
  void setStatus(ConnectionStatus status);
  ConnectionStatus statusOf(ConnectionState state) const;

  const NetOptions options_;
  const std::shared_ptr<LatencyWindow> latency_;
  const std::shared_ptr<QueuedPost> post_;
  QThreadPool probes_;
  ServerLink link_;
  const std::shared_ptr<std::atomic<qint64>> last_seen_;  // when the server last said something, unix nanoseconds
  std::unique_ptr<CatalogPoller> catalog_;
  std::unique_ptr<HistoryReader> history_;
  std::unique_ptr<EventReader> events_;
  std::map<FeedId, Feed> feeds_;
  ConnectionStatus status_;
};

}  // namespace pulseboard::qt

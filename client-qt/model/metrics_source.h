// MetricsSource: everything the screen may ask of a server. net/ implements it over gRPC, tests fake it.
// Lives on the GUI thread; every call returns at once, answers come as signals on the GUI thread.
#pragma once

#include <QObject>

#include "client-qt/model/types.h"

namespace pulseboard::qt {

using FeedId = quint64;
using RequestId = quint64;

class MetricsSource : public QObject {
  Q_OBJECT

 public:
  using QObject::QObject;

  // Log in; answers loggedIn, loginFailed or certificateQuestion (then answer it; the login goes on or ends).
  virtual void login(const Credentials& credentials) = 0;
  // Go on with a kept session of this server; answers loggedIn or loginFailed.
  virtual void resumeSession(const QString& server) = 0;
  virtual void answerCertificate(bool trust) = 0;
  // Looks whether a server answers, without logging in; answers serverProbed. For the login dialog.
  virtual void probeServer(const QString& server) = 0;
  // Servers with a kept session, for resumeSession().
  virtual QStringList keptServers() const = 0;
  // Ends the session and all feeds.
  virtual void logout() = 0;

  // Opens a live feed; reconnects and resumes by itself until closed. feedReady says that drain() has something.
  virtual FeedId openFeed(const FeedSpec& spec) = 0;
  // Other queries, windows or widths for an open feed, on the same stream: a batch with `updated` (or `reset`) is the
  // first of the new ones, and only queries that are new or changed get their backfill (again). feedUpdateRefused when
  // they cannot be: all goes on as it was.
  virtual void updateFeed(FeedId feed, const FeedSpec& spec) = 0;
  virtual void closeFeed(FeedId feed) = 0;
  // Moves out what arrived. Cheap; call it from one coalescing timer.
  virtual FeedBatch drain(FeedId feed) = 0;

  // History of a selector in [start, end) reduced to `max_points` pixel columns (0 raw). Answers historyReady or
  // historyFailed with this id.
  virtual RequestId requestHistory(const QString& selector, qint64 start_unix_nanos, qint64 end_unix_nanos,
                                   int max_points) = 0;
  // Events in [start, end), debugging left out; `end` 0: no end. Answers eventsReady or eventsFailed with this id.
  virtual RequestId requestEvents(qint64 start_unix_nanos, qint64 end_unix_nanos) = 0;
  virtual void cancelRequest(RequestId request) = 0;

  // All series of the tenant as last listed; refreshed every few seconds while connected. catalogChanged tells.
  virtual const QVector<SeriesItem>& catalog() const = 0;
  virtual ConnectionStatus connection() const = 0;
  virtual LatencyStats latency() const = 0;

 Q_SIGNALS:
  void loggedIn();
  void loginFailed(const pulseboard::qt::UserError& error);
  void certificateQuestion(const pulseboard::qt::CertificateQuestion& question);
  void serverProbed(const pulseboard::qt::ServerProbe& probe);
  // The session is over for good (revoked, account deactivated): log in again. All feeds are closed.
  void sessionEnded(const pulseboard::qt::UserError& error);
  void connectionChanged(const pulseboard::qt::ConnectionStatus& status);
  void catalogChanged();
  void feedReady(pulseboard::qt::FeedId feed);
  // The feed cannot go on (bad selector, too broad, session over); it is closed.
  void feedFailed(pulseboard::qt::FeedId feed, const pulseboard::qt::UserError& error);
  // The last updateFeed() cannot be carried out.
  void feedUpdateRefused(pulseboard::qt::FeedId feed, const pulseboard::qt::UserError& error);
  void historyReady(pulseboard::qt::RequestId request, const pulseboard::qt::HistoryResult& result);
  void historyFailed(pulseboard::qt::RequestId request, const pulseboard::qt::UserError& error);
  void eventsReady(pulseboard::qt::RequestId request, const pulseboard::qt::EventHistory& history);
  void eventsFailed(pulseboard::qt::RequestId request, const pulseboard::qt::UserError& error);
};

}  // namespace pulseboard::qt

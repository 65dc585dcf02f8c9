#include "client-qt/net/io_worker.h"

#include <QDateTime>
#include <utility>

#include "client-qt/net/catalog_poller.h"
#include "client-qt/net/error_texts.h"
#include "client-qt/net/live_feed.h"
#include "common/client/channel.h"
#include "common/client/pin_store.h"

namespace pulseboard::qt {
namespace {

constexpr int kProbeThreads = 4;
constexpr std::chrono::milliseconds kProbeTimeout{2'500};

qint64 nowUnixNanos() { return QDateTime::currentMSecsSinceEpoch() * kNanosPerMilli; }

ServerProbe probe(const QString& server, const QString& pins_path) {
  ServerProbe out;
  out.server = server;
  const QString address = normalizedServer(server);
  const auto certificate = client::ProbeCertificate(address.toStdString(), kProbeTimeout);
  out.reachable = certificate.ok();
  if (!certificate.ok()) return out;
  out.tls = certificate->has_value();
  if (!out.tls) {
    out.trusted = client::IsLoopback(address.toStdString());
    return out;
  }
  const auto pins = client::PinStore::Open(pins_path.toStdString());
  const auto pin = pins.ok() ? pins->Find(address.toStdString()) : std::nullopt;
  out.trusted = pin ? pin->fingerprint == (*certificate)->fingerprint : (*certificate)->vouched;
  return out;
}

}  // namespace

IoWorker::IoWorker(NetOptions options, std::shared_ptr<LatencyWindow> latency)
    : options_(std::move(options)),
      latency_(std::move(latency)),
      post_(std::make_shared<QueuedPost>(this)),
      probes_(this),
      link_(options_, this),
      last_seen_(std::make_shared<std::atomic<qint64>>(0)) {
  probes_.setMaxThreadCount(kProbeThreads);
  connect(&link_, &ServerLink::loggedIn, this, &IoWorker::onLoggedIn);
  connect(&link_, &ServerLink::certificateQuestion, this, &IoWorker::certificateQuestion);
  connect(&link_, &ServerLink::failed, this, [this](const UserError& error) {
    ConnectionStatus status = statusOf(ConnectionState::Offline);
    status.error = error;
    setStatus(status);
    Q_EMIT loginFailed(error);
  });
  connect(&link_, &ServerLink::sessionEnded, this, [this](const UserError& error) {
    dropServer();
    feeds_.clear();
    ConnectionStatus status = statusOf(ConnectionState::Offline);
    status.error = error;
    setStatus(status);
    Q_EMIT sessionEnded(error);
  });
}

IoWorker::~IoWorker() {
  post_->detach();
  probes_.clear();
  dropServer();
  probes_.waitForDone();
}

ConnectionStatus IoWorker::statusOf(ConnectionState state) const {
  ConnectionStatus status;
  status.state = state;
  status.server = link_.server();
  status.user = link_.user();
  status.role = link_.role();
  status.tls = link_.tls();
  status.last_seen_unix_nanos = last_seen_->load();
  return status;
}

void IoWorker::setStatus(ConnectionStatus status) {
  status_ = status;
  Q_EMIT statusChanged(status_);
}

void IoWorker::login(const Credentials& credentials) {
  dropServer();
  ConnectionStatus status;
  status.state = ConnectionState::Connecting;
  status.server = credentials.server;
  setStatus(status);
  link_.login(credentials);
}

void IoWorker::resumeSession(const QString& server) {
  dropServer();
  ConnectionStatus status;
  status.state = ConnectionState::Connecting;
  status.server = server;
  setStatus(status);
  link_.resumeSession(server);
}

void IoWorker::answerCertificate(bool trust) { link_.answerCertificate(trust); }

void IoWorker::logout() {
  dropServer();
  feeds_.clear();
  link_.logout();
  setStatus(ConnectionStatus());
}

void IoWorker::onLoggedIn() {
  latency_->clear();
  const auto tokens = link_.session();
  history_ = std::make_unique<HistoryReader>(link_.channel(), tokens);
  connect(history_.get(), &HistoryReader::ready, this, &IoWorker::historyReady);
  connect(history_.get(), &HistoryReader::failed, this,
          [this](RequestId id, const absl::Status& status, bool too_large) {
            Q_EMIT historyFailed(
                id, too_large ? userError(kReasonAnswerTooLarge, link_.server()) : userError(status, link_.server()));
          });
  events_ = std::make_unique<EventReader>(link_.channel(), tokens);
  connect(events_.get(), &EventReader::ready, this, &IoWorker::eventsReady);
  connect(events_.get(), &EventReader::failed, this, [this](RequestId id, const absl::Status& status) {
    Q_EMIT eventsFailed(id, userError(status, link_.server()));
  });
  catalog_ = std::make_unique<CatalogPoller>(link_.channel(), tokens, CatalogPoller::Limits());
  connect(catalog_.get(), &CatalogPoller::listed, this, &IoWorker::catalogListed);
  // Without a feed the catalog is the only sign of life.
  connect(catalog_.get(), &CatalogPoller::succeeded, this, [this] {
    last_seen_->store(nowUnixNanos());
    if (feeds_.empty()) setStatus(statusOf(ConnectionState::Connected));
  });
  connect(catalog_.get(), &CatalogPoller::failed, this, [this](const absl::Status& status) {
    if (!feeds_.empty() || status.code() == absl::StatusCode::kUnauthenticated) return;
    ConnectionStatus lost = statusOf(ConnectionState::Reconnecting);
    lost.retry_in_ms = CatalogPoller::Limits().interval_ms;
    lost.error = userError(status, link_.server());
    setStatus(lost);
  });
  setStatus(statusOf(ConnectionState::Connected));
  Q_EMIT loggedIn();
  catalog_->start();
  for (auto& [id, feed] : feeds_) startFeed(id, &feed);
}

void IoWorker::dropServer() {
  for (auto& [id, feed] : feeds_) feed.live.reset();
  catalog_.reset();
  history_.reset();
  events_.reset();
}

void IoWorker::startFeed(FeedId id, Feed* feed) {
  LiveFeed::Callbacks callbacks;
  callbacks.on_data = [this, id, post = post_] { post->run([this, id] { Q_EMIT feedReady(id); }); };
  callbacks.on_state = [this, id, post = post_](const client::StateEvent& event) {
    post->run([this, id, event] { onFeedState(id, event); });
  };
  callbacks.on_refused = [this, id, post = post_](const absl::Status& status) {
    post->run([this, id, status] {
      if (feeds_.contains(id)) Q_EMIT feedUpdateRefused(id, userError(status, link_.server()));
    });
  };
  callbacks.on_definitions = [this, post = post_] {
    post->run([this] {
      if (catalog_) catalog_->hint();
    });
  };
  callbacks.on_message = [seen = last_seen_] { seen->store(nowUnixNanos()); };
  feed->live = std::make_unique<LiveFeed>(link_.channel(), link_.session(), feed->spec, feed->mailbox, latency_,
                                          std::move(callbacks));
}

void IoWorker::openFeed(FeedId id, const FeedSpec& spec, std::shared_ptr<FeedMailbox> mailbox) {
  Feed& feed = feeds_[id];
  feed.spec = spec;
  feed.mailbox = std::move(mailbox);
  if (link_.isLoggedIn()) startFeed(id, &feed);
}

void IoWorker::updateFeed(FeedId id, const FeedSpec& spec) {
  const auto feed = feeds_.find(id);
  if (feed == feeds_.end()) return;
  feed->second.spec = spec;
  if (feed->second.live) feed->second.live->update(spec);
}

void IoWorker::closeFeed(FeedId id) { feeds_.erase(id); }

void IoWorker::resumeFeed(FeedId id) {
  const auto feed = feeds_.find(id);
  if (feed != feeds_.end() && feed->second.live) feed->second.live->resume();
}

void IoWorker::onFeedState(FeedId id, const client::StateEvent& event) {
  const auto feed = feeds_.find(id);
  if (feed == feeds_.end() || !feed->second.live) return;
  switch (event.state) {
    case client::SubscriberState::kConnecting:
      return;  // the countdown before it, or "connected", tells more
    case client::SubscriberState::kConnected:
      return setStatus(statusOf(ConnectionState::Connected));
    case client::SubscriberState::kWaiting: {
      ConnectionStatus status = statusOf(ConnectionState::Reconnecting);
      status.retry_in_ms = static_cast<int>(event.retry_in.count());
      status.error = userError(event.status, link_.server());
      return setStatus(status);
    }
    case client::SubscriberState::kEnded: {
      feeds_.erase(feed);
      if (event.status.code() == absl::StatusCode::kUnauthenticated)
        return;  // the session's end is told once, by itself
      Q_EMIT feedFailed(id, userError(event.status, link_.server()));
    }
  }
}

void IoWorker::requestHistory(const HistoryQuery& query) {
  if (history_) return history_->request(query);
  Q_EMIT historyFailed(query.id, userError(kReasonUnreachable, link_.server()));
}

void IoWorker::requestEvents(RequestId id, qint64 start_unix_nanos, qint64 end_unix_nanos) {
  if (events_) return events_->request(id, start_unix_nanos, end_unix_nanos);
  Q_EMIT eventsFailed(id, userError(kReasonUnreachable, link_.server()));
}

void IoWorker::cancelRequest(RequestId id) {
  if (history_) history_->cancel(id);
  if (events_) events_->cancel(id);
}

void IoWorker::probeServer(const QString& server) {
  const QString pins =
      options_.pins_path.isEmpty() ? QString::fromStdString(client::PinStore::DefaultPath()) : options_.pins_path;
  probes_.start([this, server, pins, post = post_] {
    const ServerProbe result = probe(server, pins);
    post->run([this, result] { Q_EMIT serverProbed(result); });
  });
}

}  // namespace pulseboard::qt

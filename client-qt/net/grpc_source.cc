#include "client-qt/net/grpc_source.h"

#include <QDateTime>
#include <algorithm>
#include <utility>

#include "client-qt/net/feed_mailbox.h"
#include "client-qt/net/io_worker.h"
#include "client-qt/net/latency_window.h"

namespace pulseboard::qt {
namespace {

constexpr int kCountdownMs = 250;

}  // namespace

template <typename Fn>
void GrpcSource::post(Fn&& fn) {
  QMetaObject::invokeMethod(worker_, std::forward<Fn>(fn), Qt::QueuedConnection);
}

GrpcSource::GrpcSource(NetOptions options, QObject* parent)
    : MetricsSource(parent),
      kept_(options.sessions_path.isEmpty() ? KeptSessions::defaultPath() : options.sessions_path),
      latency_(std::make_shared<LatencyWindow>()),
      worker_(new IoWorker(std::move(options), latency_)) {
  thread_.setObjectName(QStringLiteral("grpc-io"));
  worker_->moveToThread(&thread_);
  connect(&thread_, &QThread::finished, worker_, &QObject::deleteLater);
  connect(worker_, &IoWorker::loggedIn, this, &GrpcSource::loggedIn);
  connect(worker_, &IoWorker::loginFailed, this, &GrpcSource::loginFailed);
  connect(worker_, &IoWorker::certificateQuestion, this, &GrpcSource::certificateQuestion);
  connect(worker_, &IoWorker::serverProbed, this, &GrpcSource::serverProbed);
  connect(worker_, &IoWorker::statusChanged, this, &GrpcSource::setStatus);
  connect(worker_, &IoWorker::sessionEnded, this, [this](const UserError& error) {
    mailboxes_.clear();
    Q_EMIT sessionEnded(error);
  });
  connect(worker_, &IoWorker::catalogListed, this, [this](const QVector<SeriesItem>& series) {
    catalog_ = series;
    Q_EMIT catalogChanged();
  });
  connect(worker_, &IoWorker::feedReady, this, [this](FeedId feed) {
    if (mailboxes_.contains(feed)) Q_EMIT feedReady(feed);
  });
  connect(worker_, &IoWorker::feedFailed, this, [this](FeedId feed, const UserError& error) {
    if (mailboxes_.remove(feed) > 0) Q_EMIT feedFailed(feed, error);
  });
  connect(worker_, &IoWorker::historyReady, this, [this](RequestId request, const HistoryResult& result) {
    if (requests_.remove(request)) Q_EMIT historyReady(request, result);
  });
  connect(worker_, &IoWorker::historyFailed, this, [this](RequestId request, const UserError& error) {
    if (requests_.remove(request)) Q_EMIT historyFailed(request, error);
  });
  connect(worker_, &IoWorker::feedUpdateRefused, this, [this](FeedId feed, const UserError& error) {
    if (mailboxes_.contains(feed)) Q_EMIT feedUpdateRefused(feed, error);
  });
  connect(worker_, &IoWorker::eventsReady, this, [this](RequestId request, const EventHistory& history) {
    if (requests_.remove(request)) Q_EMIT eventsReady(request, history);
  });
  connect(worker_, &IoWorker::eventsFailed, this, [this](RequestId request, const UserError& error) {
    if (requests_.remove(request)) Q_EMIT eventsFailed(request, error);
  });
  countdown_.setInterval(kCountdownMs);
  connect(&countdown_, &QTimer::timeout, this, &GrpcSource::countDown);
  thread_.start();
}

GrpcSource::~GrpcSource() {
  disconnect(worker_, nullptr, this, nullptr);
  // After what was posted before, such as a logout; the worker then dies in its thread, cancelling and waiting for its
  // calls.
  post([thread = &thread_] { thread->quit(); });
  thread_.wait();
}

void GrpcSource::login(const Credentials& credentials) {
  post([worker = worker_, credentials] { worker->login(credentials); });
}

void GrpcSource::resumeSession(const QString& server) {
  post([worker = worker_, server] { worker->resumeSession(server); });
}

void GrpcSource::answerCertificate(bool trust) {
  post([worker = worker_, trust] { worker->answerCertificate(trust); });
}

void GrpcSource::probeServer(const QString& server) {
  post([worker = worker_, server] { worker->probeServer(server); });
}

QStringList GrpcSource::keptServers() const { return kept_.servers(); }

void GrpcSource::logout() {
  mailboxes_.clear();
  requests_.clear();
  catalog_.clear();
  latency_->clear();
  post([worker = worker_] { worker->logout(); });
  Q_EMIT catalogChanged();
}

FeedId GrpcSource::openFeed(const FeedSpec& spec) {
  const FeedId id = next_feed_++;
  auto mailbox = std::make_shared<FeedMailbox>();
  mailboxes_.insert(id, mailbox);
  post([worker = worker_, id, spec, mailbox = std::move(mailbox)] { worker->openFeed(id, spec, mailbox); });
  return id;
}

void GrpcSource::updateFeed(FeedId feed, const FeedSpec& spec) {
  post([worker = worker_, feed, spec] { worker->updateFeed(feed, spec); });
}

void GrpcSource::closeFeed(FeedId feed) {
  mailboxes_.remove(feed);
  post([worker = worker_, feed] { worker->closeFeed(feed); });
}

FeedBatch GrpcSource::drain(FeedId feed) {
  const auto mailbox = mailboxes_.constFind(feed);
  if (mailbox == mailboxes_.constEnd()) return {};
  FeedMailbox::TakeResult taken = (*mailbox)->take();
  if (taken.was_full) post([worker = worker_, feed] { worker->resumeFeed(feed); });
  return std::move(taken.batch);
}

RequestId GrpcSource::requestHistory(const QString& selector, qint64 start_unix_nanos, qint64 end_unix_nanos,
                                     int max_points) {
  const HistoryQuery query{next_request_++, selector, start_unix_nanos, end_unix_nanos, max_points};
  requests_.insert(query.id);
  post([worker = worker_, query] { worker->requestHistory(query); });
  return query.id;
}

RequestId GrpcSource::requestEvents(qint64 start_unix_nanos, qint64 end_unix_nanos) {
  const RequestId id = next_request_++;
  requests_.insert(id);
  post([worker = worker_, id, start_unix_nanos, end_unix_nanos] {
    worker->requestEvents(id, start_unix_nanos, end_unix_nanos);
  });
  return id;
}

void GrpcSource::cancelRequest(RequestId request) {
  if (!requests_.remove(request)) return;
  post([worker = worker_, request] { worker->cancelRequest(request); });
}

LatencyStats GrpcSource::latency() const { return latency_->stats(); }

void GrpcSource::setStatus(const ConnectionStatus& status) {
  status_ = status;
  if (status.state == ConnectionState::Reconnecting) {
    retry_at_ms_ = QDateTime::currentMSecsSinceEpoch() + status.retry_in_ms;
    countdown_.start();
  } else {
    countdown_.stop();
  }
  Q_EMIT connectionChanged(status_);
}

void GrpcSource::countDown() {
  status_.retry_in_ms = static_cast<int>(std::max<qint64>(retry_at_ms_ - QDateTime::currentMSecsSinceEpoch(), 0));
  Q_EMIT connectionChanged(status_);
}

}  // namespace pulseboard::qt

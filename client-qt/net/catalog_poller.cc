#include "client-qt/net/catalog_poller.h"

#include <grpcpp/channel.h>

#include <algorithm>
#include <utility>

#include "client-qt/net/feed_mailbox.h"
#include "common/client/channel.h"
#include "common/client/session.h"
#include "common/wire/model.h"
#include "common/wire/status.h"
#include "pulseboard/v1/query.grpc.pb.h"

namespace pulseboard::qt {
namespace {

constexpr std::chrono::seconds kPageDeadline{20};
constexpr int kRestFactor = 20;

bool sameSeries(const QVector<SeriesItem>& a, const QVector<SeriesItem>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const SeriesItem& x, const SeriesItem& y) { return x.id == y.id && x.unit == y.unit; });
}

}  // namespace

// One ListSeries call; keeps itself alive until its callback has run.
struct CatalogPoller::Page {
  grpc::ClientContext context;
  v1::ListSeriesRequest request;
  v1::ListSeriesResponse response;
  std::unique_ptr<v1::QueryService::Stub> stub;
};

CatalogPoller::CatalogPoller(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<client::TokenSource> tokens,
                             Limits limits)
    : channel_(std::move(channel)),
      tokens_(std::move(tokens)),
      limits_(limits),
      post_(std::make_shared<QueuedPost>(this)),
      calls_(std::make_shared<RunningCalls>()),
      timer_(this) {
  timer_.setSingleShot(true);
  connect(&timer_, &QTimer::timeout, this, &CatalogPoller::begin);
}

CatalogPoller::~CatalogPoller() {
  post_->detach();
  calls_->cancelAll();
}

void CatalogPoller::start() { begin(); }

void CatalogPoller::hint() {
  if (running_) {
    hinted_ = true;
  } else if (timer_.remainingTime() > limits_.hint_delay_ms) {
    timer_.start(limits_.hint_delay_ms);
  }
}

void CatalogPoller::begin() {
  running_ = true;
  hinted_ = false;
  gathered_.clear();
  took_.start();
  requestPage({});
}

void CatalogPoller::requestPage(std::string page_token) {
  auto page = std::make_shared<Page>();
  page->stub = v1::QueryService::NewStub(channel_);
  page->request.set_page_size(limits_.page_size);
  page->request.set_page_token(std::move(page_token));
  page->context.set_deadline(std::chrono::system_clock::now() + kPageDeadline);
  const quint64 id = next_call_++;
  // The token may come from a refresh, on a gRPC thread: nothing below touches `this` outside its own thread.
  tokens_->FetchToken({}, [this, page, id, post = post_, calls = calls_](const absl::StatusOr<std::string>& token) {
    if (!token.ok()) {
      return post->run([this, status = token.status()] { onPage(status, {}, {}); });
    }
    if (!calls->add(id, &page->context)) return;
    client::AddBearer(&page->context, *token);
    page->stub->async()->ListSeries(
        &page->context, &page->request, &page->response, [this, page, id, post, calls](const grpc::Status& status) {
          QVector<SeriesItem> series;
          series.reserve(page->response.series_size());
          for (const v1::Series& item : page->response.series()) series.push_back(toItem(FromProto(item)));
          post->run([this, result = FromGrpcStatus(status), series, next = page->response.next_page_token()] {
            onPage(result, series, next);
          });
          calls->remove(id);
        });
  });
}

void CatalogPoller::onPage(const absl::Status& status, QVector<SeriesItem> series, std::string next_page_token) {
  if (!status.ok()) {
    Q_EMIT failed(status);
    return finish();
  }
  gathered_ += series;
  if (!next_page_token.empty() && gathered_.size() < limits_.max_series) return requestPage(std::move(next_page_token));
  Q_EMIT succeeded();
  if (!sameSeries(gathered_, last_)) {
    last_ = gathered_;
    Q_EMIT listed(last_);
  }
  finish();
}

void CatalogPoller::finish() {
  running_ = false;
  gathered_.clear();
  const int rest = static_cast<int>(std::min<qint64>(took_.elapsed() * kRestFactor, 600'000));
  timer_.start(hinted_ ? limits_.hint_delay_ms : std::max(limits_.interval_ms, rest));
}

}  // namespace pulseboard::qt

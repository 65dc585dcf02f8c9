// CatalogPoller: keeps the list of all series fresh: pages of ListSeries every few seconds, and soon after a hint.
#pragma once

#include <QElapsedTimer>
#include <QObject>
#include <QTimer>
#include <memory>

#include "absl/status/status.h"
#include "client-qt/model/types.h"
#include "client-qt/net/queued_post.h"
#include "client-qt/net/running_calls.h"

namespace grpc {
class Channel;
}
namespace pulseboard::client {
class TokenSource;
}

namespace pulseboard::qt {

// Lives in the I/O thread.
class CatalogPoller : public QObject {
  Q_OBJECT

 public:
  struct Limits {
    int interval_ms =
        5'000;  // and at least 20 times what the last listing took, so that large catalogs do not load the server
    int hint_delay_ms = 300;  // gathers the definitions of one burst
    int page_size = 5'000;
    qsizetype max_series = 50'000;  // what a browser can show; the rest is found by the server's own filter
  };

  CatalogPoller(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<client::TokenSource> tokens, Limits limits);
  // Cancels and waits.
  ~CatalogPoller() override;

  void start();
  // New series are known to exist.
  void hint();

 Q_SIGNALS:
  // A whole listing; only when it differs from the last one.
  void listed(const QVector<pulseboard::qt::SeriesItem>& series);
  void succeeded();
  void failed(const absl::Status& status);

 private:
  struct Page;

  void begin();
  void requestPage(std::string page_token);
  void onPage(const absl::Status& status, QVector<SeriesItem> series, std::string next_page_token);
  void finish();

  const std::shared_ptr<grpc::Channel> channel_;
  const std::shared_ptr<client::TokenSource> tokens_;
  const Limits limits_;
  const std::shared_ptr<QueuedPost> post_;
  const std::shared_ptr<RunningCalls> calls_;
  QTimer timer_;
  QElapsedTimer took_;
  bool running_ = false;
  bool hinted_ = false;
  quint64 next_call_ = 1;
  QVector<SeriesItem> gathered_;
  QVector<SeriesItem> last_;
};

}  // namespace pulseboard::qt

// HistoryReader: QueryRange calls, each read as a whole on gRPC threads and handed over once.
#pragma once

#include <QObject>
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

struct HistoryQuery {
  quint64 id = 0;
  QString selector;
  qint64 start_unix_nanos = 0;
  qint64 end_unix_nanos = 0;
  int max_points = 0;
};

// Lives in the I/O thread.
class HistoryReader : public QObject {
  Q_OBJECT

 public:
  // Most samples one answer may hold (16 B each); more is an error, not a cut.
  static constexpr size_t kMaxSamples = 4'000'000;

  HistoryReader(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<client::TokenSource> tokens);
  // Cancels and waits.
  ~HistoryReader() override;

  void request(const HistoryQuery& query);
  // No answer comes for it any more.
  void cancel(quint64 id);

 Q_SIGNALS:
  void ready(quint64 id, const pulseboard::qt::HistoryResult& result);
  // `too_large`: the answer passed kMaxSamples.
  void failed(quint64 id, const absl::Status& status, bool too_large);

 private:
  class Call;

  const std::shared_ptr<grpc::Channel> channel_;
  const std::shared_ptr<client::TokenSource> tokens_;
  const std::shared_ptr<QueuedPost> post_;
  const std::shared_ptr<RunningCalls> calls_;
};

}  // namespace pulseboard::qt

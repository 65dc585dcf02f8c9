// EventReader: the events of a range, by pages of ListEvents; each range is read as a whole and handed over once.
#pragma once

#include <QObject>
#include <map>
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
class EventReader : public QObject {
  Q_OBJECT

 public:
  // Most events of one answer. With more in the range the less severe are left out (EventHistory::least), and only of
  // critical ones the newest may be missing.
  static constexpr size_t kMaxEvents = 5'000;

  EventReader(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<client::TokenSource> tokens);
  // Cancels and waits.
  ~EventReader() override;
  // Events in [start, end); `end` 0: no end.
  void request(quint64 id, qint64 start_unix_nanos, qint64 end_unix_nanos);
  // No answer comes for it any more.
  void cancel(quint64 id);

 Q_SIGNALS:
  void ready(quint64 id, const pulseboard::qt::EventHistory& history);
  void failed(quint64 id, const absl::Status& status);

 private:
  struct Page;
  struct Reading {
    qint64 start = 0;
    qint64 end = 0;
    EventHistory history;
  };
  void requestPage(quint64 id, const Reading& reading, std::string page_token);
  void onPage(quint64 id, const absl::Status& status, std::vector<EventItem> events,
              const std::string& next_page_token);

  const std::shared_ptr<grpc::Channel> channel_;
  const std::shared_ptr<client::TokenSource> tokens_;
  const std::shared_ptr<QueuedPost> post_;
  const std::shared_ptr<RunningCalls> calls_;
  std::map<quint64, Reading> readings_;
};

}  // namespace pulseboard::qt

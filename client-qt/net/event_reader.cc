#include "client-qt/net/event_reader.h"

#include <google/protobuf/util/time_util.h>
#include <grpcpp/channel.h>

#include <iterator>
#include <utility>

#include "common/client/channel.h"
#include "common/client/session.h"
#include "common/wire/status.h"
#include "pulseboard/v1/events.grpc.pb.h"

namespace pulseboard::qt {
namespace {

using google::protobuf::util::TimeUtil;

constexpr std::chrono::seconds kPageDeadline{20};
constexpr int kPageSize = 1'000;

EventItem toItem(const v1::Event& event) {
  EventItem item;
  item.id = event.event_id();
  item.time = TimeUtil::TimestampToNanoseconds(event.time());
  item.severity = static_cast<EventSeverity>(event.severity());
  item.source = QString::fromStdString(event.source());
  for (const auto& [name, value] : std::map<std::string, std::string>(event.labels().begin(), event.labels().end())) {
    item.labels.push_back({QString::fromStdString(name), QString::fromStdString(value)});
  }
  item.text = QString::fromStdString(event.text());
  return item;
}

}  // namespace

// One ListEvents call; keeps itself alive until its callback has run.
struct EventReader::Page {
  grpc::ClientContext context;
  v1::ListEventsRequest request;
  v1::ListEventsResponse response;
  std::unique_ptr<v1::EventService::Stub> stub;
};

EventReader::EventReader(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<client::TokenSource> tokens)
    : channel_(std::move(channel)),
      tokens_(std::move(tokens)),
      post_(std::make_shared<QueuedPost>(this)),
      calls_(std::make_shared<RunningCalls>()) {}

EventReader::~EventReader() {
  post_->detach();
  calls_->cancelAll();
}

void EventReader::request(quint64 id, qint64 start_unix_nanos, qint64 end_unix_nanos) {
  Reading& reading = readings_[id];
  reading = {start_unix_nanos, end_unix_nanos, {}};
  requestPage(id, reading, {});
}

void EventReader::cancel(quint64 id) {
  readings_.erase(id);
  calls_->cancel(id);
}

void EventReader::requestPage(quint64 id, const Reading& reading, std::string page_token) {
  auto page = std::make_shared<Page>();
  page->stub = v1::EventService::NewStub(channel_);
  *page->request.mutable_start_time() = TimeUtil::NanosecondsToTimestamp(reading.start);
  if (reading.end != 0) *page->request.mutable_end_time() = TimeUtil::NanosecondsToTimestamp(reading.end);
  page->request.mutable_filter()->set_min_severity(static_cast<v1::EventSeverity>(reading.history.least));
  page->request.set_page_size(kPageSize);
  page->request.set_page_token(std::move(page_token));
  page->context.set_deadline(std::chrono::system_clock::now() + kPageDeadline);
  // The token may come from a refresh, on a gRPC thread: nothing below touches `this` outside its own thread.
  tokens_->FetchToken({}, [this, page, id, post = post_, calls = calls_](const absl::StatusOr<std::string>& token) {
    if (!token.ok()) {
      return post->run([this, id, status = token.status()] { onPage(id, status, {}, {}); });
    }
    if (!calls->add(id, &page->context)) return;
    client::AddBearer(&page->context, *token);
    page->stub->async()->ListEvents(
        &page->context, &page->request, &page->response, [this, page, id, post, calls](const grpc::Status& status) {
          std::vector<EventItem> events;
          events.reserve(static_cast<size_t>(page->response.events_size()));
          for (const v1::Event& event : page->response.events()) events.push_back(toItem(event));
          calls->remove(id);  // before the next page may begin under the same number
          post->run(
              [this, id, result = FromGrpcStatus(status), events = std::move(events),
               next = page->response.next_page_token()]() mutable { onPage(id, result, std::move(events), next); });
        });
  });
}

void EventReader::onPage(quint64 id, const absl::Status& status, std::vector<EventItem> events,
                         const std::string& next_page_token) {
  const auto found = readings_.find(id);
  if (found == readings_.end()) return;  // cancelled
  if (!status.ok()) {
    readings_.erase(found);
    Q_EMIT failed(id, status);
    return;
  }
  Reading& reading = found->second;
  EventHistory& history = reading.history;
  std::move(events.begin(), events.end(), std::back_inserter(history.events));
  const bool too_many = history.events.size() >= kMaxEvents;
  if (!next_page_token.empty() && too_many && history.least != EventSeverity::Critical) {
    history.least = static_cast<EventSeverity>(static_cast<int>(history.least) + 1);
    history.events.clear();
    return requestPage(id, reading, {});
  }
  if (!next_page_token.empty() && !too_many) return requestPage(id, reading, next_page_token);
  const EventHistory whole = std::move(history);
  readings_.erase(found);
  Q_EMIT ready(id, whole);
}

}  // namespace pulseboard::qt

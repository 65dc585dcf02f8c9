#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/wire/status.h"
#include "pulseboard/v1/events.grpc.pb.h"
#include "server/events/event_log.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/data_wire.h"
#include "server/rpc/event_wire.h"
#include "server/rpc/services.h"
#include "server/rpc/stream_guard.h"
#include "server/rpc/stream_registry.h"

namespace pulseboard {
namespace {

using google::protobuf::util::TimeUtil;

constexpr int kTicksPerHeartbeat = 5;  // of a second

absl::StatusOr<int64_t> TimeFromProto(const std::string& field, const google::protobuf::Timestamp& time) {
  if (const auto nanos = ToUnixNanos(time)) return *nanos;
  return BadField(field, std::to_string(time.seconds()) + " s + " + std::to_string(time.nanos()) + " ns",
                  "1970-01-01 to 2262-04-11 with 0 to 999,999,999 nanos");
}

absl::StatusOr<EventBatch> FromProto(const v1::PushEventsRequest& request) {
  EventBatch batch;
  batch.request_id = request.request_id();
  for (const v1::Event& in : request.events()) {
    Event event;
    if (in.has_time()) {
      const std::string field = "events[" + std::to_string(batch.events.size()) + "].time";
      PB_ASSIGN_OR_RETURN(event.time_unix_nanos, TimeFromProto(field, in.time()));
      if (event.time_unix_nanos == 0) event.time_unix_nanos = 1;  // 0 is the time of receipt
    }
    if (in.severity() != v1::EVENT_SEVERITY_UNSPECIFIED) event.severity = SeverityFromProto(in.severity());
    event.source = in.source();
    std::vector<Label> labels;
    for (const auto& [name, value] : in.labels()) labels.push_back({name, value});
    event.labels = Labels(std::move(labels));
    event.text = in.text();
    batch.events.push_back(std::move(event));
  }
  return batch;
}

absl::StatusOr<EventListRequest> FromProto(const v1::ListEventsRequest& request) {
  EventListRequest out;
  out.selector = request.filter().selector();
  out.min_severity = SeverityFromProto(request.filter().min_severity());
  out.text_contains = request.filter().text_contains();
  if (request.has_start_time()) {
    PB_ASSIGN_OR_RETURN(out.range.start, TimeFromProto("start_time", request.start_time()));
  }
  if (request.has_end_time()) {
    PB_ASSIGN_OR_RETURN(out.range.end, TimeFromProto("end_time", request.end_time()));
    if (out.range.end < out.range.start) return BadField("end_time", "a time before start_time", "a later one");
  }
  out.page_size = request.page_size();
  out.page_token = request.page_token();
  return out;
}

// One SubscribeEvents call: reads on from its position whenever there is news and the last message is written.
// Thread-safe; owns itself until OnDone. The event log is called without `mu_` held.
class EventStreamReactor final : public grpc::ServerWriteReactor<v1::SubscribeEventsResponse>,
                                 public EventFollower,
                                 public Drainable,
                                 public TickingStream,
                                 public std::enable_shared_from_this<EventStreamReactor> {
 public:
  static EventStreamReactor* Start(grpc::CallbackServerContext* context, const v1::SubscribeEventsRequest& request,
                                   const Authenticator& authenticator, EventLog& events, StreamRegistry& streams,
                                   StreamTicker& ticker) {
    auto self =
        std::shared_ptr<EventStreamReactor>(new EventStreamReactor(context, authenticator, events, streams, ticker));
    self->self_ = self;
    if (const absl::Status status = self->Subscribe(*context, request, authenticator); !status.ok()) self->End(status);
    return self.get();
  }

  void OnEvents() override {
    {
      MutexLock lock(&mu_);
      news_ = true;
    }
    Advance();
  }
  void Drain(const absl::Status& status, bool hard) override {
    if (hard) guard_.Cancel();
    End(status);
  }
  void Tick() override {
    guard_.CancelIfStuck();
    if (const absl::Status session = guard_.CheckSession(); !session.ok()) End(session);
    {
      MutexLock lock(&mu_);
      if (++quiet_ticks_ >= kTicksPerHeartbeat) heartbeat_ = true;
    }
    Advance();  // also when a read was turned away
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return End(absl::CancelledError("the viewer is gone"));
    {
      MutexLock lock(&mu_);
      writing_ = false;
    }
    Advance();
  }
  void OnCancel() override { End(absl::CancelledError("the viewer cancelled")); }
  void OnDone() override {
    guard_.Forget();
    if (follower_id_ != 0) {
      ticker_.Remove(ticker_id_);
      streams_.Remove(registry_id_);
      events_.Unfollow(follower_id_);
    }
    const auto keep = std::move(self_);  // last line: may destroy *this
  }

 private:
  EventStreamReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator, EventLog& events,
                     StreamRegistry& streams, StreamTicker& ticker)
      : events_(events), streams_(streams), ticker_(ticker), guard_(authenticator, context, Right::kRead) {}

  absl::Status Subscribe(const grpc::CallbackServerContext& context, const v1::SubscribeEventsRequest& request,
                         const Authenticator& authenticator) {
    PB_ASSIGN_OR_RETURN(const Principal principal, authenticator.Authenticate(context, Right::kRead));
    tenant_ = principal.tenant;
    const v1::EventFilter& filter = request.filter();
    PB_ASSIGN_OR_RETURN(filter_, EventFilter::Parse(filter.selector(), SeverityFromProto(filter.min_severity()),
                                                    filter.text_contains()));
    position_ = events_.last_id();
    if (!request.resume_token().empty()) {
      PB_ASSIGN_OR_RETURN(position_, events_.ParseResumeToken(tenant_, request.resume_token()));
    }
    PB_ASSIGN_OR_RETURN(follower_id_, events_.Follow(tenant_, weak_from_this()));
    ticker_id_ = ticker_.Add(weak_from_this());
    registry_id_ = streams_.Add(weak_from_this());
    Advance();
    return absl::OkStatus();
  }

  // Reads when there is news, else sends a heartbeat when one is due.
  void Advance() {
    {
      MutexLock lock(&mu_);
      if (finished_ || writing_ || reading_) return;
      if (!news_) {
        if (heartbeat_) WriteLocked({});
        return;
      }
      news_ = false;
      reading_ = true;
    }
    if (events_.Read([self = shared_from_this()] { self->ReadOn(); }).ok()) return;
    MutexLock lock(&mu_);  // too many reads wait: the next tick tries again
    reading_ = false;
    news_ = true;
  }
  // On the log's reading thread.
  void ReadOn() {
    bool more = false;
    auto events = events_.ReadAfter(tenant_, filter_, &position_, &more);
    if (!events.ok()) return End(events.status());
    {
      MutexLock lock(&mu_);
      reading_ = false;
      if (more) news_ = true;
      if (!finished_ && !events->empty()) WriteLocked(*events);
    }
    Advance();
  }
  void WriteLocked(const std::vector<Event>& events) PB_REQUIRES(mu_) {
    response_.Clear();
    for (const Event& event : events) ToProto(event, response_.add_events());
    response_.set_resume_token(events_.MakeResumeToken(tenant_, position_));
    heartbeat_ = false;
    quiet_ticks_ = 0;
    writing_ = true;
    StartWrite(&response_);
  }
  void End(const absl::Status& status) {
    MutexLock lock(&mu_);
    if (std::exchange(finished_, true)) return;
    guard_.NoteFinished();
    Finish(ToGrpcStatus(status));
  }

  EventLog& events_;
  StreamRegistry& streams_;
  StreamTicker& ticker_;
  StreamGuard guard_;
  TenantId tenant_ = 0;
  EventFilter filter_;
  uint64_t follower_id_ = 0;  // 0: the call was refused
  uint64_t registry_id_ = 0;
  uint64_t ticker_id_ = 0;
  std::shared_ptr<EventStreamReactor> self_;

  Mutex mu_;
  bool finished_ PB_GUARDED_BY(mu_) = false;
  bool reading_ PB_GUARDED_BY(mu_) = false;
  bool writing_ PB_GUARDED_BY(mu_) = false;
  bool news_ PB_GUARDED_BY(mu_) = true;       // perhaps, since the position
  bool heartbeat_ PB_GUARDED_BY(mu_) = true;  // the first one tells the position
  int quiet_ticks_ PB_GUARDED_BY(mu_) = 0;
  int64_t position_ = 0;                                     // of whoever has set reading_ or writing_
  v1::SubscribeEventsResponse response_ PB_GUARDED_BY(mu_);  // the one on its way
};

class EventService final : public v1::EventService::CallbackService {
 public:
  EventService(const Authenticator& authenticator, EventLog& events, StreamRegistry& streams)
      : authenticator_(authenticator), events_(events), streams_(streams) {}

  grpc::ServerUnaryReactor* PushEvents(grpc::CallbackServerContext* context, const v1::PushEventsRequest* request,
                                       v1::PushEventsResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const auto done = [reactor, response](const absl::StatusOr<EventReceipt>& receipt) {
      if (receipt.ok()) {
        response->set_duplicate(receipt->duplicate);
        for (int64_t i = 0; i < receipt->count; ++i) response->add_event_ids(receipt->first_id + i);
      }
      reactor->Finish(ToGrpcStatus(receipt.status()));
    };
    if (const absl::Status status = Push(*context, *request, done); !status.ok()) reactor->Finish(ToGrpcStatus(status));
    return reactor;
  }

  grpc::ServerUnaryReactor* ListEvents(grpc::CallbackServerContext* context, const v1::ListEventsRequest* request,
                                       v1::ListEventsResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (const absl::Status status = List(*context, *request, response, reactor); !status.ok()) {
      reactor->Finish(ToGrpcStatus(status));
    }
    return reactor;
  }

  grpc::ServerWriteReactor<v1::SubscribeEventsResponse>* SubscribeEvents(
      grpc::CallbackServerContext* context, const v1::SubscribeEventsRequest* request) override {
    return EventStreamReactor::Start(context, *request, authenticator_, events_, streams_, ticker_);
  }

 private:
  absl::Status Push(const grpc::CallbackServerContext& context, const v1::PushEventsRequest& request,
                    EventsPushed done) {
    PB_ASSIGN_OR_RETURN(const Principal principal, authenticator_.Authenticate(context, Right::kPush));
    PB_ASSIGN_OR_RETURN(EventBatch batch, FromProto(request));
    return events_.Push(principal.tenant, std::move(batch), std::move(done));
  }
  absl::Status List(const grpc::CallbackServerContext& context, const v1::ListEventsRequest& request,
                    v1::ListEventsResponse* response, grpc::ServerUnaryReactor* reactor) {
    PB_ASSIGN_OR_RETURN(const Principal principal, authenticator_.Authenticate(context, Right::kRead));
    PB_ASSIGN_OR_RETURN(EventListRequest list, FromProto(request));
    return events_.Read([this, tenant = principal.tenant, list = std::move(list), response, reactor] {
      const absl::StatusOr<EventPage> page = events_.List(tenant, list);
      if (page.ok()) {
        for (const Event& event : page->events) ToProto(event, response->add_events());
        response->set_next_page_token(page->next_page_token);
        response->set_resume_token(page->resume_token);
      }
      reactor->Finish(ToGrpcStatus(page.status()));
    });
  }

  const Authenticator& authenticator_;
  EventLog& events_;
  StreamRegistry& streams_;
  StreamTicker ticker_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeEventService(const Authenticator& authenticator, EventLog& events,
                                                StreamRegistry& streams) {
  return std::make_unique<EventService>(authenticator, events, streams);
}

}  // namespace pulseboard

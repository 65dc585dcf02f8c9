#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/wire/status.h"
#include "pulseboard/v1/events.grpc.pb.h"
#include "server/events/event_log.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/data_wire.h"
#include "server/rpc/event_wire.h"
#include "server/rpc/following_stream.h"
#include "server/rpc/services.h"

namespace pulseboard {
namespace {

using google::protobuf::util::TimeUtil;

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

// One SubscribeEvents call. Thread-safe; owns itself until OnDone.
class EventStreamReactor final : public FollowingStream<v1::SubscribeEventsResponse>, public EventFollower {
 public:
  static EventStreamReactor* Start(grpc::CallbackServerContext* context, const v1::SubscribeEventsRequest& request,
                                   const Authenticator& authenticator, EventLog& events, StreamRegistry& streams,
                                   StreamTicker& ticker) {
    auto self =
        std::shared_ptr<EventStreamReactor>(new EventStreamReactor(context, authenticator, events, streams, ticker));
    self->Own(self);
    if (const absl::Status status = self->Subscribe(*context, request, authenticator); !status.ok()) self->End(status);
    return self.get();
  }

  void OnEvents() override { NoteNews(); }

 private:
  EventStreamReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator, EventLog& events,
                     StreamRegistry& streams, StreamTicker& ticker)
      : FollowingStream(context, authenticator, streams, ticker), events_(events) {}

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
    PB_ASSIGN_OR_RETURN(follower_id_,
                        events_.Follow(tenant_, std::static_pointer_cast<EventStreamReactor>(shared_from_this())));
    Begin();
    return absl::OkStatus();
  }

  // On the log's reading thread; turned away when too many reads wait.
  bool RunRead(std::function<void()> job) override { return events_.Read(std::move(job)).ok(); }
  absl::StatusOr<bool> ReadRows(v1::SubscribeEventsResponse* response, bool* more) override {
    PB_ASSIGN_OR_RETURN(const std::vector<Event> events, events_.ReadAfter(tenant_, filter_, &position_, more));
    for (const Event& event : events) ToProto(event, response->add_events());
    return !events.empty();
  }
  void PutPosition(v1::SubscribeEventsResponse* response) override {
    response->set_resume_token(events_.MakeResumeToken(tenant_, position_));
  }
  void Unfollow() override { events_.Unfollow(follower_id_); }

  EventLog& events_;
  TenantId tenant_ = 0;
  EventFilter filter_;
  uint64_t follower_id_ = 0;
  int64_t position_ = 0;  // of whoever reads or writes
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

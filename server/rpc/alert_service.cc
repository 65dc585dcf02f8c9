#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <utility>

#include "common/base/errors.h"
#include "common/base/worker_pool.h"
#include "common/wire/status.h"
#include "pulseboard/v1/alert.grpc.pb.h"
#include "server/alert/alert_engine.h"
#include "server/rpc/alert_wire.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/data_wire.h"
#include "server/rpc/services.h"
#include "server/rpc/stream_guard.h"
#include "server/rpc/stream_registry.h"
#include "server/rpc/transition_stream.h"

namespace pulseboard {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

constexpr int kThreads = 1;
constexpr size_t kMaxQueued = 256;
constexpr int64_t kBusyRetryMs = 250;

absl::StatusOr<LedgerRequest> ToLedgerRequest(const v1::ListTransitionsRequest& request) {
  LedgerRequest out;
  PB_ASSIGN_OR_RETURN(out.filter, FromProto(request.filter()));
  out.filter_text = request.filter().SerializeAsString();
  if (request.has_start_time()) {
    PB_ASSIGN_OR_RETURN(out.range.start, RequireTime("start_time", request.start_time()));
  }
  if (request.has_end_time()) {
    PB_ASSIGN_OR_RETURN(out.range.end, RequireTime("end_time", request.end_time()));
    if (out.range.end < out.range.start) return BadField("end_time", "a time before start_time", "a later one");
  }
  out.page_size = request.page_size();
  out.page_token = request.page_token();
  return out;
}

class AlertService final : public v1::AlertService::CallbackService {
 public:
  AlertService(const Authenticator& authenticator, AlertEngine& engine, Store& store, StreamRegistry& streams)
      : authenticator_(authenticator), engine_(engine), store_(store), streams_(streams), pool_(kThreads, kMaxQueued) {}

  ServerUnaryReactor* CreateRule(CallbackServerContext* context, const v1::CreateRuleRequest* request,
                                 v1::CreateRuleResponse* response) override {
    return Run(context, Right::kManageAlerts, [=, this](const Principal& principal) -> absl::Status {
      PB_ASSIGN_OR_RETURN(AlertRule rule, FromProto(request->rule()));
      PB_ASSIGN_OR_RETURN(const RulePtr kept,
                          engine_.rules().Create(principal.tenant, std::move(rule), principal.user_name));
      ToProto(*kept, response->mutable_rule());
      return absl::OkStatus();
    });
  }

  ServerUnaryReactor* ValidateRule(CallbackServerContext* context, const v1::ValidateRuleRequest* request,
                                   v1::ValidateRuleResponse* response) override {
    return Run(context, Right::kRead, [=, this](const Principal& principal) -> absl::Status {
      PB_ASSIGN_OR_RETURN(const AlertRule rule, FromProto(request->rule()));
      PB_RETURN_IF_ERROR(pulseboard::ValidateRule(rule));
      PB_ASSIGN_OR_RETURN(const Selector selector, Selector::Parse(rule.condition.selector));
      response->set_series_count(static_cast<int64_t>(store_.SelectSeries(principal.tenant, selector).size()));
      return absl::OkStatus();
    });
  }

  ServerUnaryReactor* GetRule(CallbackServerContext* context, const v1::GetRuleRequest* request,
                              v1::GetRuleResponse* response) override {
    return Run(context, Right::kRead, [=, this](const Principal& principal) -> absl::Status {
      PB_ASSIGN_OR_RETURN(const RulePtr rule, engine_.rules().Get(principal.tenant, request->rule_id()));
      ToProto(*rule, response->mutable_rule());
      return absl::OkStatus();
    });
  }

  ServerUnaryReactor* ListRules(CallbackServerContext* context, const v1::ListRulesRequest* request,
                                v1::ListRulesResponse* response) override {
    return Run(context, Right::kRead, [=, this](const Principal& principal) -> absl::Status {
      PB_ASSIGN_OR_RETURN(RulePage page,
                          engine_.rules().List(principal.tenant, request->page_size(), request->page_token()));
      for (const RulePtr& rule : page.rules) ToProto(*rule, response->add_rules());
      response->set_next_page_token(std::move(page.next_page_token));
      return absl::OkStatus();
    });
  }

  ServerUnaryReactor* UpdateRule(CallbackServerContext* context, const v1::UpdateRuleRequest* request,
                                 v1::UpdateRuleResponse* response) override {
    return Run(context, Right::kManageAlerts, [=, this](const Principal& principal) -> absl::Status {
      PB_ASSIGN_OR_RETURN(AlertRule rule, FromProto(request->rule()));
      PB_ASSIGN_OR_RETURN(const RulePtr kept,
                          engine_.rules().Update(principal.tenant, std::move(rule), principal.user_name));
      ToProto(*kept, response->mutable_rule());
      return absl::OkStatus();
    });
  }

  ServerUnaryReactor* DeleteRule(CallbackServerContext* context, const v1::DeleteRuleRequest* request,
                                 v1::DeleteRuleResponse*) override {
    return Run(context, Right::kManageAlerts, [=, this](const Principal& principal) {
      return engine_.rules().Delete(principal.tenant, request->rule_id(), request->revision());
    });
  }

  ServerUnaryReactor* ListAlerts(CallbackServerContext* context, const v1::ListAlertsRequest* request,
                                 v1::ListAlertsResponse* response) override {
    return Run(context, Right::kRead, [=, this](const Principal& principal) -> absl::Status {
      AlertListRequest list{request->rule_id(), {}, request->page_size(), request->page_token()};
      for (const int number : request->states()) {
        PB_ASSIGN_OR_RETURN(const AlertState state, StateFromProto("states", number));
        list.states.push_back(state);
      }
      PB_ASSIGN_OR_RETURN(AlertPage page, engine_.List(principal.tenant, list));
      for (const AlertStatus& alert : page.alerts) ToProto(alert, response->add_alerts());
      response->set_next_page_token(std::move(page.next_page_token));
      return absl::OkStatus();
    });
  }

  ServerUnaryReactor* ListTransitions(CallbackServerContext* context, const v1::ListTransitionsRequest* request,
                                      v1::ListTransitionsResponse* response) override {
    return Run(context, Right::kRead, [=, this](const Principal& principal) -> absl::Status {
      PB_ASSIGN_OR_RETURN(const LedgerRequest list, ToLedgerRequest(*request));
      PB_ASSIGN_OR_RETURN(LedgerPage page, engine_.ledger().List(principal.tenant, list));
      for (const AlertTransition& transition : page.transitions) ToProto(transition, response->add_transitions());
      response->set_next_page_token(std::move(page.next_page_token));
      return absl::OkStatus();
    });
  }

  grpc::ServerWriteReactor<v1::WatchTransitionsResponse>* WatchTransitions(
      CallbackServerContext* context, const v1::WatchTransitionsRequest* request) override {
    return TransitionStream::Start(context, *request, authenticator_, engine_.ledger(), streams_, ticker_,
                                   [this](std::function<void()> job) { return pool_.TrySubmit(std::move(job)); });
  }

 private:
  using Work = std::function<absl::Status(const Principal&)>;

  // Request and response live until the call is finished.
  ServerUnaryReactor* Run(CallbackServerContext* context, Right right, Work work) {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    const auto principal = authenticator_.Authenticate(*context, right);
    if (!principal.ok()) {
      reactor->Finish(ToGrpcStatus(principal.status()));
      return reactor;
    }
    const bool runs = pool_.TrySubmit(
        [reactor, principal = *principal, work = std::move(work)] { reactor->Finish(ToGrpcStatus(work(principal))); });
    if (!runs) {
      const std::string most = std::to_string(kMaxQueued);
      reactor->Finish(ToGrpcStatus(WithRetryAfterMs(
          MakeError(ErrorReason::kQueryBusy, most + " calls about alerts wait", {{"calls", most}}), kBusyRetryMs)));
    }
    return reactor;
  }

  const Authenticator& authenticator_;
  AlertEngine& engine_;
  Store& store_;
  StreamRegistry& streams_;
  StreamTicker ticker_;
  WorkerPool pool_;  // last: its jobs use the others
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAlertService(const Authenticator& authenticator, AlertEngine& engine, Store& store,
                                                StreamRegistry& streams) {
  return std::make_unique<AlertService>(authenticator, engine, store, streams);
}

}  // namespace pulseboard

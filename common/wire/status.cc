#include "common/wire/status.h"

#include <string>
#include <utility>

#include "common/base/errors.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace pulseboard {
namespace {

const ErrorReasonInfo* FindReason(const std::string& name) {
  for (const ErrorReasonInfo& info : AllErrorReasons()) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

void ReadDetail(const google::protobuf::Any& any, ErrorDetail* detail, bool* has_reason) {
  if (google::rpc::ErrorInfo info; any.UnpackTo(&info)) {
    if (const ErrorReasonInfo* known = FindReason(info.reason()); known && info.domain() == kErrorDomain) {
      detail->reason = known->reason;
      *has_reason = true;
    }
    for (const auto& [key, value] : info.metadata()) detail->metadata[key] = value;
  } else if (google::rpc::BadRequest bad; any.UnpackTo(&bad)) {
    for (const auto& violation : bad.field_violations()) {
      detail->field_violations.push_back({violation.field(), violation.description()});
    }
  } else if (google::rpc::QuotaFailure quota; any.UnpackTo(&quota)) {
    for (const auto& violation : quota.violations()) {
      detail->quota_violations.push_back({violation.subject(), violation.description()});
    }
  } else if (google::rpc::RetryInfo retry; any.UnpackTo(&retry)) {
    detail->retry_after_ms = retry.retry_delay().seconds() * 1000 + retry.retry_delay().nanos() / 1'000'000;
  }
}

}  // namespace

google::rpc::Status ToRpcStatus(const absl::Status& status) {
  const std::optional<ErrorDetail> known = GetErrorDetail(status);
  const ErrorDetail detail = known.value_or(ErrorDetail{});

  google::rpc::Status rich;
  rich.set_code(static_cast<int>(status.code()));
  rich.set_message(StatusMessage(status));

  google::rpc::ErrorInfo info;
  info.set_reason(std::string(GetErrorReasonInfo(detail.reason).name));
  info.set_domain(std::string(kErrorDomain));
  for (const auto& [key, value] : detail.metadata) (*info.mutable_metadata())[key] = value;
  rich.add_details()->PackFrom(info);

  if (!detail.field_violations.empty()) {
    google::rpc::BadRequest bad;
    for (const FieldViolation& violation : detail.field_violations) {
      auto* out = bad.add_field_violations();
      out->set_field(violation.field);
      out->set_description(violation.description);
    }
    rich.add_details()->PackFrom(bad);
  }
  if (!detail.quota_violations.empty()) {
    google::rpc::QuotaFailure quota;
    for (const QuotaViolation& violation : detail.quota_violations) {
      auto* out = quota.add_violations();
      out->set_subject(violation.subject);
      out->set_description(violation.description);
    }
    rich.add_details()->PackFrom(quota);
  }
  if (detail.retry_after_ms) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(*detail.retry_after_ms / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(*detail.retry_after_ms % 1000) * 1'000'000);
    rich.add_details()->PackFrom(retry);
  }
  return rich;
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), StatusMessage(status),
                      ToRpcStatus(status).SerializeAsString());
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const absl::Status plain(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status rich;
  if (status.error_details().empty() || !rich.ParseFromString(status.error_details())) return plain;
  ErrorDetail detail;
  bool has_reason = false;
  for (const auto& any : rich.details()) ReadDetail(any, &detail, &has_reason);
  if (!has_reason) return plain;
  return MakeErrorFromDetail(plain, detail);
}

}  // namespace pulseboard

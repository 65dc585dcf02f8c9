#include "server/rpc/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <set>
#include <utility>

#include "common/base/mutex.h"
#include "common/wire/status.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "server/rpc/stream_registry.h"

namespace pulseboard {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using grpc::CallbackServerContext;

// `file` after everything it imports.
void AddWithImports(const FileDescriptor& file, std::set<std::string>* seen, std::vector<const FileDescriptor*>* out) {
  if (!seen->insert(file.name()).second) return;
  for (int i = 0; i < file.dependency_count(); ++i) AddWithImports(*file.dependency(i), seen, out);
  out->push_back(&file);
}

// Answers single questions. The messages of both versions are the same but for their package.
template <typename Request, typename Response>
class Answers {
 public:
  explicit Answers(const std::vector<std::string>& services) : services_(services) {}

  void Answer(const Request& request, Response* response) const {
    response->set_valid_host(request.host());
    *response->mutable_original_request() = request;
    switch (request.message_request_case()) {
      case Request::kFileByFilename:
        return AddFile(pool_.FindFileByName(request.file_by_filename()), response);
      case Request::kFileContainingSymbol:
        return AddFile(pool_.FindFileContainingSymbol(request.file_containing_symbol()), response);
      case Request::kFileContainingExtension: {
        const Descriptor* type = pool_.FindMessageTypeByName(request.file_containing_extension().containing_type());
        const FieldDescriptor* field =
            type == nullptr ? nullptr
                            : pool_.FindExtensionByNumber(type, request.file_containing_extension().extension_number());
        return AddFile(field == nullptr ? nullptr : field->file(), response);
      }
      case Request::kAllExtensionNumbersOfType:
        return AddExtensionNumbers(request.all_extension_numbers_of_type(), response);
      case Request::kListServices:
        for (const std::string& name : services_) {
          response->mutable_list_services_response()->add_service()->set_name(name);
        }
        return;
      default:
        return SetError(grpc::StatusCode::INVALID_ARGUMENT, "the request asks for nothing", response);
    }
  }

 private:
  static void SetError(grpc::StatusCode code, const std::string& message, Response* response) {
    response->mutable_error_response()->set_error_code(code);
    response->mutable_error_response()->set_error_message(message);
  }

  static void AddFile(const FileDescriptor* file, Response* response) {
    if (file == nullptr) return SetError(grpc::StatusCode::NOT_FOUND, "not found", response);
    std::set<std::string> seen;
    std::vector<const FileDescriptor*> files;
    AddWithImports(*file, &seen, &files);
    // The file that was asked for comes first, as in gRPC's own service.
    for (auto it = files.rbegin(); it != files.rend(); ++it) {
      google::protobuf::FileDescriptorProto proto;
      (*it)->CopyTo(&proto);
      response->mutable_file_descriptor_response()->add_file_descriptor_proto(proto.SerializeAsString());
    }
  }

  void AddExtensionNumbers(const std::string& type_name, Response* response) const {
    const Descriptor* type = pool_.FindMessageTypeByName(type_name);
    if (type == nullptr) return SetError(grpc::StatusCode::NOT_FOUND, "not found", response);
    std::vector<const FieldDescriptor*> extensions;
    pool_.FindAllExtensions(type, &extensions);
    response->mutable_all_extension_numbers_response()->set_base_type_name(type->full_name());
    for (const FieldDescriptor* field : extensions) {
      response->mutable_all_extension_numbers_response()->add_extension_number(field->number());
    }
  }

  const std::vector<std::string> services_;
  const DescriptorPool& pool_ = *DescriptorPool::generated_pool();
};

// One stream of questions: reads one, answers it, reads the next. Owned by itself until OnDone.
template <typename Request, typename Response>
class ReflectionCall final : public grpc::ServerBidiReactor<Request, Response>, public Drainable {
 public:
  static ReflectionCall* Start(CallbackServerContext* context, const Answers<Request, Response>& answers,
                               StreamRegistry& streams) {
    std::shared_ptr<ReflectionCall> call(new ReflectionCall(context, answers, streams));
    {
      MutexLock lock(&call->mu_);
      call->self_ = call;
    }
    call->stream_id_ = streams.Add(call);
    MutexLock lock(&call->mu_);
    if (!call->finished_) call->StartRead(&call->request_);
    return call.get();
  }

  void Drain(const absl::Status& status, bool hard) override {
    MutexLock lock(&mu_);
    if (hard && context_ != nullptr) context_->TryCancel();
    FinishLocked(ToGrpcStatus(status));
  }
  void OnReadDone(bool ok) override {
    MutexLock lock(&mu_);
    if (finished_) return;
    if (!ok) return FinishLocked(grpc::Status::OK);
    response_.Clear();
    answers_.Answer(request_, &response_);
    this->StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    MutexLock lock(&mu_);
    if (finished_) return;
    if (!ok) return FinishLocked(grpc::Status::CANCELLED);
    this->StartRead(&request_);
  }
  void OnCancel() override {
    MutexLock lock(&mu_);
    FinishLocked(grpc::Status::CANCELLED);
  }
  void OnDone() override {
    streams_.Remove(stream_id_);
    std::shared_ptr<ReflectionCall> last;  // goes after the lock: it may destroy *this
    {
      MutexLock lock(&mu_);
      context_ = nullptr;
      last = std::move(self_);
    }
  }

 private:
  ReflectionCall(CallbackServerContext* context, const Answers<Request, Response>& answers, StreamRegistry& streams)
      : answers_(answers), streams_(streams), context_(context) {}

  void FinishLocked(const grpc::Status& status) PB_REQUIRES(mu_) {
    if (std::exchange(finished_, true)) return;
    this->Finish(status);
  }

  const Answers<Request, Response>& answers_;
  StreamRegistry& streams_;
  uint64_t stream_id_ = 0;
  Mutex mu_;
  CallbackServerContext* context_ PB_GUARDED_BY(mu_);
  std::shared_ptr<ReflectionCall> self_ PB_GUARDED_BY(mu_);
  bool finished_ PB_GUARDED_BY(mu_) = false;
  Request request_;  // one read or write at a time: the reactions take turns with these two
  Response response_;
};

template <typename Service, typename Request, typename Response>
class ReflectionService final : public Service::CallbackService {
 public:
  ReflectionService(const std::vector<std::string>& services, StreamRegistry& streams)
      : answers_(services), streams_(streams) {}

  grpc::ServerBidiReactor<Request, Response>* ServerReflectionInfo(CallbackServerContext* context) override {
    return ReflectionCall<Request, Response>::Start(context, answers_, streams_);
  }

 private:
  const Answers<Request, Response> answers_;
  StreamRegistry& streams_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeReflectionService(const std::vector<std::string>& services,
                                                     StreamRegistry& streams) {
  namespace v1 = grpc::reflection::v1;
  return std::make_unique<
      ReflectionService<v1::ServerReflection, v1::ServerReflectionRequest, v1::ServerReflectionResponse>>(services,
                                                                                                          streams);
}

std::unique_ptr<grpc::Service> MakeReflectionAlphaService(const std::vector<std::string>& services,
                                                          StreamRegistry& streams) {
  namespace v1 = grpc::reflection::v1alpha;
  return std::make_unique<
      ReflectionService<v1::ServerReflection, v1::ServerReflectionRequest, v1::ServerReflectionResponse>>(services,
                                                                                                          streams);
}

}  // namespace pulseboard

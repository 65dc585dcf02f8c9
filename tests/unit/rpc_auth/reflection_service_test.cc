#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "tests/support/eventually.h"
#include "tests/unit/rpc_auth/rpc_world.h"

namespace pulseboard {
namespace {

using testing::RpcWorld;

struct V1 {
  using Service = grpc::reflection::v1::ServerReflection;
  using Request = grpc::reflection::v1::ServerReflectionRequest;
  using Response = grpc::reflection::v1::ServerReflectionResponse;
};
struct V1Alpha {
  using Service = grpc::reflection::v1alpha::ServerReflection;
  using Request = grpc::reflection::v1alpha::ServerReflectionRequest;
  using Response = grpc::reflection::v1alpha::ServerReflectionResponse;
};

template <typename Version>
class ReflectionServiceTest : public ::testing::Test {
 protected:
  using Request = typename Version::Request;
  using Response = typename Version::Response;

  ReflectionServiceTest() : stub_(Version::Service::NewStub(world_.channel)) {
    RpcWorld::SetDeadline(&context_);
    stream_ = stub_->ServerReflectionInfo(&context_);
  }
  Response Ask(const std::function<void(Request*)>& fill) {
    Request request;
    fill(&request);
    Response response;
    EXPECT_TRUE(stream_->Write(request));
    EXPECT_TRUE(stream_->Read(&response));
    return response;
  }
  static std::vector<std::string> FileNames(const Response& response) {
    std::vector<std::string> names;
    for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
      google::protobuf::FileDescriptorProto file;
      EXPECT_TRUE(file.ParseFromString(bytes));
      names.push_back(file.name());
    }
    return names;
  }

  RpcWorld world_;
  std::unique_ptr<typename Version::Service::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<Request, Response>> stream_;
};

using Versions = ::testing::Types<V1, V1Alpha>;
TYPED_TEST_SUITE(ReflectionServiceTest, Versions);

TYPED_TEST(ReflectionServiceTest, ListsServices) {
  const auto response = this->Ask([](auto* r) { r->set_list_services("*"); });
  std::vector<std::string> names;
  for (const auto& service : response.list_services_response().service()) names.push_back(service.name());
  EXPECT_EQ(names, this->world_.services);
}

TYPED_TEST(ReflectionServiceTest, GivesFilesWithEverythingTheyImport) {
  for (const auto& response :
       {this->Ask([](auto* r) { r->set_file_containing_symbol("pulseboard.v1.AuthService"); }),
        this->Ask([](auto* r) { r->set_file_containing_symbol("pulseboard.v1.AuthService.Login"); }),
        this->Ask([](auto* r) { r->set_file_by_filename("pulseboard/v1/auth.proto"); })}) {
    const std::vector<std::string> names = this->FileNames(response);
    ASSERT_FALSE(names.empty());
    EXPECT_EQ(names[0], "pulseboard/v1/auth.proto");
    EXPECT_THAT(names, ::testing::IsSupersetOf({"pulseboard/v1/user.proto", "google/protobuf/timestamp.proto",
                                                "google/protobuf/struct.proto"}));
  }
  EXPECT_THAT(this->FileNames(this->Ask([](auto* r) { r->set_file_containing_symbol("google.rpc.ErrorInfo"); })),
              ::testing::Contains("google/rpc/error_details.proto"))
      << "so that tools can decode error details";
}

TYPED_TEST(ReflectionServiceTest, SaysNotFoundAndGoesOn) {
  for (const auto& response :
       {this->Ask([](auto* r) { r->set_file_containing_symbol("no.Such"); }),
        this->Ask([](auto* r) { r->set_file_by_filename("no/such.proto"); }),
        this->Ask([](auto* r) { r->set_all_extension_numbers_of_type("no.Such"); }),
        this->Ask([](auto* r) { r->mutable_file_containing_extension()->set_containing_type("no.Such"); })}) {
    EXPECT_EQ(response.error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  }
  EXPECT_EQ(this->Ask([](auto*) {}).error_response().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const auto response = this->Ask([](auto* r) {
    r->set_host("h");
    r->set_all_extension_numbers_of_type("pulseboard.v1.User");
  });
  EXPECT_EQ(response.all_extension_numbers_response().base_type_name(), "pulseboard.v1.User");
  EXPECT_EQ(response.valid_host(), "h");
  EXPECT_EQ(response.original_request().host(), "h");
  EXPECT_TRUE(this->stream_->WritesDone());
  EXPECT_TRUE(this->stream_->Finish().ok());
}

TYPED_TEST(ReflectionServiceTest, EndsWithTheServer) {
  this->Ask([](auto* r) { r->set_list_services("*"); });
  EXPECT_EQ(this->world_.streams.size(), 1);
  this->world_.streams.DrainAll(/*hard=*/false);
  typename TypeParam::Response response;
  EXPECT_FALSE(this->stream_->Read(&response));
  EXPECT_EQ(this->stream_->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(testing::Eventually([&] { return this->world_.streams.size() == 0; }));
}

}  // namespace
}  // namespace pulseboard

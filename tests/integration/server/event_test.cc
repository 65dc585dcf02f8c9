// Events through the real server: pushed, listed, followed, and still there after kill -9.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>

#include "common/base/errors.h"
#include "common/wire/status.h"
#include "pulseboard/v1/events.grpc.pb.h"
#include "tests/support/client.h"
#include "tests/support/eventually.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard::testing {
namespace {

using ::testing::HasSubstr;

class EventsTest : public ::testing::Test {
 protected:
  EventsTest() {
    EXPECT_TRUE(server_.Start().ok());
    LogInAgain();
  }
  void LogInAgain() {
    auto login = LogInAsAdmin(server_);
    ASSERT_TRUE(login.ok()) << login.status();
    login_ = *login;
    stub_ = v1::EventService::NewStub(login_.channel);
  }
  // The id, or why there is none.
  absl::StatusOr<int64_t> Push(const std::string& text, const std::string& request_id = "") {
    v1::PushEventsRequest request;
    request.set_request_id(request_id);
    v1::Event* event = request.add_events();
    event->set_source("deploy");
    event->set_text(text);
    (*event->mutable_labels())["service"] = "api";
    grpc::ClientContext context;
    login_.Prepare(&context);
    v1::PushEventsResponse response;
    PB_RETURN_IF_ERROR(FromGrpcStatus(stub_->PushEvents(&context, request, &response)));
    return response.event_ids(0);
  }
  v1::ListEventsResponse List(v1::ListEventsRequest request = {}) {
    v1::ListEventsResponse all;
    do {
      grpc::ClientContext context;
      login_.Prepare(&context);
      v1::ListEventsResponse page;
      const grpc::Status status = stub_->ListEvents(&context, request, &page);
      EXPECT_TRUE(status.ok()) << status.error_message();
      if (!status.ok()) break;
      request.set_page_token(page.next_page_token());
      all.MergeFrom(page);
    } while (!request.page_token().empty());
    return all;
  }
  Output Command(std::vector<std::string> arguments) {
    std::vector<std::string> argv = {BinaryPath("pulseboardd"), "event"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    argv.insert(argv.end(), {"--server", server_.address(), "--user", "admin", "--password-file",
                             server_.password_file(), "--pins", server_.dir().File("pins")});
    return RunToEnd(argv);
  }

  ServerProcess server_{{.set = {"server.self_metrics_interval=1h"}}};
  Login login_;
  std::unique_ptr<v1::EventService::Stub> stub_;
};

TEST_F(EventsTest, AreFollowedFromWhereTheListEndedAndThroughARestart) {
  ASSERT_TRUE(Push("first").ok());
  const v1::ListEventsResponse listed = List();
  ASSERT_EQ(listed.events_size(), 1);
  EXPECT_EQ(listed.events(0).text(), "first");
  EXPECT_EQ(listed.events(0).severity(), v1::EVENT_SEVERITY_INFO);
  EXPECT_EQ(listed.events(0).labels().at("service"), "api");

  v1::SubscribeEventsRequest request;
  request.set_resume_token(listed.resume_token());
  request.mutable_filter()->set_text_contains("WANTED");
  const auto follow = [&](int count) {
    grpc::ClientContext context;
    login_.Prepare(&context);
    const auto stream = stub_->SubscribeEvents(&context, request);
    std::vector<std::string> texts;
    v1::SubscribeEventsResponse response;
    while (static_cast<int>(texts.size()) < count && stream->Read(&response)) {
      for (const v1::Event& event : response.events()) texts.push_back(event.text());
      request.set_resume_token(response.resume_token());
    }
    context.TryCancel();
    stream->Finish();
    return texts;
  };
  ASSERT_TRUE(Push("wanted 1").ok());
  ASSERT_TRUE(Push("something else").ok());
  ASSERT_TRUE(Push("wanted 2").ok());
  EXPECT_EQ(follow(2), (std::vector<std::string>{"wanted 1", "wanted 2"}));
  ASSERT_TRUE(Push("wanted 3").ok());
  server_.Kill();
  ASSERT_TRUE(server_.Start().ok());
  LogInAgain();
  std::thread pusher([&] { EXPECT_TRUE(Push("wanted 4").ok()); });
  EXPECT_EQ(follow(2), (std::vector<std::string>{"wanted 3", "wanted 4"}));
  pusher.join();
}

TEST_F(EventsTest, LosesNoneThatWasAnsweredAndDoublesNoneThatWasSentAgain) {
  std::set<std::string> answered;
  for (int round = 0; round < 4; ++round) {
    std::vector<std::thread> pushers;
    std::vector<std::set<std::string>> done(4);
    std::atomic<int> pushed{0};
    for (size_t p = 0; p < done.size(); ++p) {
      pushers.emplace_back([&, p] {
        for (int i = 0;; ++i) {
          const std::string text = std::to_string(round) + "/" + std::to_string(p) + "/" + std::to_string(i);
          if (!Push(text, "request " + text).ok()) return;
          done[p].insert(text);
          ++pushed;
        }
      });
    }
    EXPECT_TRUE(Eventually([&] { return pushed > 40; }));
    server_.Kill();
    for (std::thread& pusher : pushers) pusher.join();
    ASSERT_TRUE(server_.Start().ok());
    LogInAgain();
    for (std::set<std::string>& texts : done) {
      // All that was answered, once more.
      for (const std::string& text : texts) ASSERT_TRUE(Push(text, "request " + text).ok());
      answered.merge(texts);
    }
  }
  std::multiset<std::string> kept;
  const auto listed = List();
  for (const v1::Event& event : listed.events()) kept.insert(event.text());
  for (const std::string& text : answered) EXPECT_EQ(kept.count(text), 1U) << text;
}

TEST_F(EventsTest, AreForThoseWhoMay) {
  ASSERT_TRUE(Push("secret").ok());
  const auto pusher = LogInAsNew(server_, "pusher", "INGEST");
  const auto viewer = LogInAsNew(server_, "viewer", "VIEWER");
  ASSERT_TRUE(pusher.ok() && viewer.ok());
  login_ = *pusher;
  EXPECT_TRUE(Push("by ingest").ok());
  grpc::ClientContext context;
  login_.Prepare(&context);
  v1::ListEventsResponse response;
  EXPECT_TRUE(HasReason(FromGrpcStatus(stub_->ListEvents(&context, {}, &response)), ErrorReason::kRoleTooLow));
  login_ = *viewer;
  EXPECT_TRUE(HasReason(Push("by viewer").status(), ErrorReason::kRoleTooLow));
  EXPECT_EQ(List().events_size(), 2);
}

TEST_F(EventsTest, CanBePushedAndListedFromTheCommandLine) {
  const Output pushed = Command({"push", "--source", "deploy", "--text", "api 1.2.3", "--label", "service=api",
                                 "--severity", "warning", "--request-id", "r1"});
  EXPECT_EQ(pushed.exit_code, 0) << pushed.err;
  EXPECT_EQ(pushed.out, "event 1\n");
  EXPECT_THAT(Command({"push", "--source", "deploy", "--text", "api 1.2.3", "--request-id", "r1"}).out,
              HasSubstr("pushed before"));
  EXPECT_EQ(Command({"push", "--source", "syslog", "--text", "ok"}).exit_code, 0);
  const Output listed =
      Command({"list", "--from", "-1h", "--severity", "warning", "--selector", "deploy{service=\"api\"}"});
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_THAT(listed.out, HasSubstr(" warning  deploy{service=\"api\"}: api 1.2.3\n"));
  EXPECT_EQ(listed.out.find("syslog"), std::string::npos);
  EXPECT_THAT(Command({"list", "--format", "json", "--contains", "OK"}).out, HasSubstr("\"source\":\"syslog\""));
  const Output bad = Command({"push", "--source", "no good", "--text", "x"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_THAT(bad.err, HasSubstr("events[0].source"));
}

}  // namespace
}  // namespace pulseboard::testing

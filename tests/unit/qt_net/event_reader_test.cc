// EventReader against an EventService of its own.
#include "client-qt/net/event_reader.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <QCoreApplication>
#include <QSignalSpy>
#include <QTest>
#include <atomic>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/client/session.h"
#include "pulseboard/v1/events.grpc.pb.h"

namespace pulseboard::qt {
namespace {

// Events one second apart from second 1 on, in pages of what is asked for.
class ListOnly final : public v1::EventService::Service {
 public:
  grpc::Status ListEvents(grpc::ServerContext*, const v1::ListEventsRequest* request,
                          v1::ListEventsResponse* response) override {
    ++calls;
    const size_t begin = request->page_token().empty() ? 0 : std::stoul(request->page_token());
    size_t i = begin;
    for (; i < severities.size() && response->events_size() < request->page_size(); ++i) {
      const auto seconds = static_cast<int64_t>(i) + 1;
      if (severities[i] < request->filter().min_severity() || seconds < request->start_time().seconds()) continue;
      if (request->has_end_time() && seconds >= request->end_time().seconds()) break;
      v1::Event* event = response->add_events();
      event->set_event_id(seconds);
      event->mutable_time()->set_seconds(seconds);
      event->set_severity(severities[i]);
      event->set_source("deploy");
      event->set_text("text");
      (*event->mutable_labels())["b"] = "2";
      (*event->mutable_labels())["a"] = "1";
    }
    if (response->events_size() == request->page_size()) response->set_next_page_token(std::to_string(i));
    return fail ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "down") : grpc::Status::OK;
  }

  std::vector<v1::EventSeverity> severities;  // set before the first call
  bool fail = false;
  std::atomic<int> calls{0};
};

class EventReaderTest : public ::testing::Test {
 protected:
  EventReaderTest() {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    reader_ = std::make_unique<EventReader>(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()),
        std::make_shared<client::FixedToken>("token"));
    QObject::connect(reader_.get(), &EventReader::ready, reader_.get(),
                     [this](quint64 id, const EventHistory& history) {
                       id_ = id;
                       history_ = history;
                       ++answers_;
                     });
    QObject::connect(reader_.get(), &EventReader::failed, reader_.get(),
                     [this](quint64 id, const absl::Status& status) {
                       id_ = id;
                       status_ = status;
                       ++answers_;
                     });
  }
  bool answered() {
    return QTest::qWaitFor([this] { return answers_ > 0; }, 60'000);
  }

  int argc_ = 0;
  QCoreApplication app_{argc_, nullptr};
  ListOnly service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<EventReader> reader_;
  quint64 id_ = 0;
  EventHistory history_;
  absl::Status status_;
  int answers_ = 0;
};

TEST_F(EventReaderTest, ReadsAllPagesOfARange) {
  service_.severities.assign(2'700, v1::EVENT_SEVERITY_INFO);
  service_.severities[10] = v1::EVENT_SEVERITY_DEBUG;
  service_.severities[11] = v1::EVENT_SEVERITY_ERROR;
  reader_->request(7, 2 * kNanosPerSecond, 2'601 * kNanosPerSecond);
  ASSERT_TRUE(answered());
  EXPECT_EQ(id_, 7u);
  ASSERT_EQ(history_.events.size(), 2'598u);  // but for the one of debugging
  EXPECT_EQ(history_.least, EventSeverity::Info);
  EXPECT_EQ(history_.events.front().time, 2 * kNanosPerSecond);
  EXPECT_EQ(history_.events.back().id, 2'600);
  const EventItem& error = history_.events[9];
  EXPECT_EQ(error.severity, EventSeverity::Error);
  EXPECT_EQ(error.source, "deploy");
  EXPECT_EQ(error.labels, (QVector<LabelItem>{{"a", "1"}, {"b", "2"}}));
}

TEST_F(EventReaderTest, LeavesOutTheLesserOnesWhenThereAreTooMany) {
  service_.severities.assign(EventReader::kMaxEvents * 3, v1::EVENT_SEVERITY_INFO);
  for (size_t i = 0; i < service_.severities.size(); i += 100) service_.severities[i] = v1::EVENT_SEVERITY_CRITICAL;
  reader_->request(1, 0, 0);
  ASSERT_TRUE(answered());
  EXPECT_EQ(history_.least, EventSeverity::Warning);
  EXPECT_EQ(history_.events.size(), EventReader::kMaxEvents * 3 / 100);
}

TEST_F(EventReaderTest, EndsEvenIfAllAreCritical) {
  service_.severities.assign(EventReader::kMaxEvents * 2, v1::EVENT_SEVERITY_CRITICAL);
  reader_->request(1, 0, 0);
  ASSERT_TRUE(answered());
  EXPECT_EQ(history_.least, EventSeverity::Critical);
  EXPECT_EQ(history_.events.size(), EventReader::kMaxEvents);
  EXPECT_LT(service_.calls, 40);
}

TEST_F(EventReaderTest, SaysWhatWentWrongAndNothingOfWhatWasCancelled) {
  service_.severities.assign(10, v1::EVENT_SEVERITY_INFO);
  service_.fail = true;
  reader_->request(1, 0, 0);
  reader_->cancel(1);
  reader_->request(2, 0, 0);
  ASSERT_TRUE(answered());
  EXPECT_EQ(id_, 2u);
  EXPECT_EQ(status_.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(answers_, 1);
}

}  // namespace
}  // namespace pulseboard::qt

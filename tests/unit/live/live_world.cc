#include "tests/unit/live/live_world.h"

#include <gtest/gtest.h>

#include <utility>

#include "common/base/errors.h"
#include "tests/support/eventually.h"

namespace pulseboard::testing {

LiveWorld::LiveWorld(uint64_t seed, const Clock& clock, std::function<void()> wait)
    : random_(seed), clock_(clock), wait_(std::move(wait)) {}

LiveWorld::~LiveWorld() {
  viewer_ = nullptr;
  if (events_ != nullptr) events_->Stop();
  if (hub_ != nullptr) hub_->Close();
}

void LiveWorld::Restart() {
  HubOptions options;
  options.clock = &clock_;
  options.progress_interval_ns = 40 * kNanosPerMilli;
  options.pump_threads = 2;
  options.max_stream_age_ns = 1'200 * kNanosPerSecond;
  auto next = std::make_unique<Hub>(options);
  if (store_ == nullptr) {
    store_ = std::make_unique<TestStore>(next.get(), clock_);
    if (raw_retention_ns_ < kNanosPerDay) {  // windows go at once: nothing has to be filled before
      store_->ReopenWith([](StoreOptions* store) {
        store->tiers = {};
        store->seal_age_ns = kSealAge;
      });
      store_->Reopen(next.get());
    }
  } else {
    viewer_ = nullptr;
    events_->Stop();
    hub_->Close();
    queries_ = nullptr;
    store_->Reopen(next.get());
  }
  RetentionPolicy policy = (*store_)->Retention();
  policy.SetForAll(raw_retention_ns_, {});
  (*store_)->SetRetention(policy);
  next->Attach(**store_);
  queries_ = std::make_unique<QueryEngine>(**store_, query_clock_, QueryOptions());
  next->AttachQueries(*queries_);
  events_ = EventLog::Open(event_table_, clock_, (*store_)->store_id(), EventOptions()).value();
  next->AttachEvents(*events_);
  hub_ = std::move(next);
}

void LiveWorld::Connect(const SubscriptionSpec& spec, ViewerState state) {
  viewer_ = Viewer::Open(*hub_, spec, std::move(state));
  ASSERT_NE(viewer_, nullptr);
}

void LiveWorld::Append(const std::vector<TestStore::Row>& rows) {
  last_commit_ = store_->Append(rows);
  ASSERT_GT(last_commit_, 0);
}

bool LiveWorld::WaitUntil(const std::function<bool()>& condition) const {
  return Eventually([&] {
    if (condition()) return true;
    wait_();
    return false;
  });
}

void LiveWorld::CatchUp() {
  viewer_->SetAutomatic(true);
  ASSERT_TRUE(WaitUntil([&] { return viewer_->end().has_value() || viewer_->state().known_commit == last_commit_; }))
      << viewer_->story() << " at " << viewer_->state().known_commit << " of " << last_commit_;
  ASSERT_FALSE(viewer_->end().has_value()) << StatusMessage(*viewer_->end());
}

void LiveWorld::Overwhelm(const std::function<void()>& commit_little, const std::function<void()>& commit_much,
                          const std::function<bool(const ViewerState&)>& lost) {
  for (int tries = 0; tries < 20 && !lost(viewer_->state()); ++tries) {
    ASSERT_NO_FATAL_FAILURE(CatchUp());
    viewer_->SetAutomatic(false);
    const size_t events = viewer_->event_count();
    commit_little();
    ASSERT_TRUE(WaitUntil([&] { return viewer_->event_count() > events; })) << viewer_->story();
    for (int i = 0; i < 12; ++i) commit_much();
    ASSERT_NO_FATAL_FAILURE(CatchUp());
  }
  ASSERT_TRUE(lost(viewer_->state())) << viewer_->story();
}

}  // namespace pulseboard::testing

#include "server/rpc/serving_state.h"

#include <gtest/gtest.h>

namespace pulseboard {
namespace {

TEST(ServingState, KnowsItsServicesAndTheServer) {
  ServingState state({"a.B"});
  EXPECT_EQ(state.IsServing(""), false);
  EXPECT_EQ(state.IsServing("a.B"), false);
  EXPECT_EQ(state.IsServing("a.C"), std::nullopt);
  state.SetServing(true);
  EXPECT_EQ(state.IsServing(""), true);
  EXPECT_EQ(state.IsServing("a.B"), true);
}

TEST(ServingState, CallsWatchersOnChangesOnly) {
  ServingState state({});
  int calls = 0;
  const uint64_t id = state.Watch([&] { ++calls; });
  state.SetServing(false);
  EXPECT_EQ(calls, 0);
  state.SetServing(true);
  state.SetServing(true);
  EXPECT_EQ(calls, 1);
  state.Unwatch(id);
  state.SetServing(false);
  EXPECT_EQ(calls, 1);
}

TEST(ServingState, PausesOneServiceWhileTheOthersServe) {
  ServingState state({"a.B", "a.C"});
  int calls = 0;
  state.Watch([&calls] { ++calls; });
  state.SetServing(true);
  state.SetServingBut("a.B");
  state.SetServingBut("a.B");
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(state.IsServing("a.B"), false);
  EXPECT_EQ(state.IsServing("a.C"), true);
  EXPECT_EQ(state.IsServing(""), true);
  state.SetServing(true);
  EXPECT_EQ(state.IsServing("a.B"), true);
  state.SetServing(false);
  EXPECT_EQ(state.IsServing("a.C"), false);
}

TEST(ServingState, LetsAWatcherUnwatchItself) {
  ServingState state({});
  uint64_t id = 0;
  id = state.Watch([&] { state.Unwatch(id); });
  state.SetServing(true);
  state.SetServing(false);
  EXPECT_EQ(state.IsServing(""), false);
}

}  // namespace
}  // namespace pulseboard

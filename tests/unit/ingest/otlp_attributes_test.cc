#include "server/ingest/otlp_attributes.h"

#include <gtest/gtest.h>

namespace pulseboard {
namespace {

TEST(OtlpAttributeRules, KeepWhatTellsSourcesApart) {
  const OtlpAttributeRules rules;
  for (const char* key : {"service.name", "service.instance.id", "host.name", "k8s.pod.name", "team"}) {
    EXPECT_TRUE(rules.Takes(key)) << key;
  }
  for (const char* key : {"host.id", "os.type", "process.pid", "process.runtime.version", "telemetry.sdk.name"}) {
    EXPECT_FALSE(rules.Takes(key)) << key;
  }
}

TEST(OtlpAttributeRules, TheFirstThatFitsDecides) {
  const auto rules = OtlpAttributeRules::Parse(" -service.instance.id , service.*,team");
  ASSERT_TRUE(rules.ok()) << rules.status();
  EXPECT_TRUE(rules->Takes("service.name"));
  EXPECT_TRUE(rules->Takes("team"));
  EXPECT_FALSE(rules->Takes("service.instance.id"));
  EXPECT_FALSE(rules->Takes("team.name"));
  EXPECT_FALSE(OtlpAttributeRules::Parse("")->Takes("service.name")) << "nothing is taken";
}

TEST(OtlpAttributeRules, SayWhichPartMakesNoSense) {
  for (const char* text : {"a,,b", "-", "a,b*c", "a b", "a,- b"}) {
    const auto rules = OtlpAttributeRules::Parse(text);
    EXPECT_EQ(rules.status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace pulseboard

// SeriesIndex against a naive one: every selector is tried on every series.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "server/storage/series_index.h"

namespace pulseboard {
namespace {

SeriesIndex::Reserve Free() {
  return [](SeriesId) { return absl::OkStatus(); };
}

// Random labels and selectors over a small alphabet, so that they meet often.
class RandomSelectors {
 public:
  explicit RandomSelectors(uint32_t seed) : random_(seed) {}

  size_t Below(size_t n) { return random_() % n; }

  std::string Value() {
    static const std::vector<std::string> kOdd = {"a.b", "x|y", "two\nlines", "\xc3\xa9t\xc3\xa9", "web-1", "web-12"};
    if (Below(4) == 0) return kOdd[Below(kOdd.size())];
    std::string value;
    for (size_t n = Below(4); n > 0; --n) value.push_back(static_cast<char>('a' + Below(3)));
    return value;
  }

  SeriesKey Key() {
    std::vector<Label> labels;
    for (const char* name : {"host", "mode", "pod", "zone"}) {
      if (Below(3) > 0) labels.push_back({name, Value()});
    }
    if (Below(2) == 0) labels.push_back({"unique", std::to_string(random_())});
    return {"m" + std::to_string(Below(4)), Labels(std::move(labels))};
  }

  Selector Make() {
    while (true) {
      std::string text = Below(2) == 0 ? "m" + std::to_string(Below(5)) : "";
      text += "{";
      for (size_t n = 1 + Below(3); n > 0; --n) text += OneMatcher() + (n > 1 ? "," : "");
      auto selector = Selector::Parse(text + "}");
      if (selector.ok()) return *std::move(selector);
    }
  }

 private:
  std::string OneMatcher() {
    static constexpr const char* kNames[] = {"host", "mode", "pod", "zone", "unique", "none", "__name__"};
    const std::string name = kNames[Below(std::size(kNames))];
    switch (Below(4)) {
      case 0:
        return name + "=" + Quoted(Value());
      case 1:
        return name + "!=" + Quoted(Value());
      case 2:
        return name + "=~" + Quoted(Expression());
      default:
        return name + "!~" + Quoted(Expression());
    }
  }

  std::string Expression() {
    static const std::vector<std::string> kExpressions = {
        ".*",       ".+",          "",           "a|b",        "(?:a|b|cc)", "(a|)",  "a.*",     "ab?",       "a{2}",
        "ab*c",     "web-1.*",     "web-[0-9]+", "(?i)A.*",    "a\\.b",      "x\\|y", "a.b|c",   "m[12]",     "m1|m2",
        "(ab|b)c?", "\xc3\xa9*.*", "[ab|]+",     "(a|b)(b|c)", "two.*",      "\\d+",  "[0-9]*7", "a\\Q.\\E?b"};
    return Below(8) == 0 ? Value() : kExpressions[Below(kExpressions.size())];
  }

  static std::string Quoted(const std::string& value) {
    std::string out = "\"";
    for (const char c : value) {
      if (c == '\\' || c == '"') out.push_back('\\');
      if (c == '\n') {
        out += "\\n";
      } else {
        out.push_back(c);
      }
    }
    return out + "\"";
  }

  std::mt19937 random_;
};

// What the index should hold.
struct Model {
  std::map<SeriesId, SeriesKey> live;
  std::map<SeriesId, SeriesKey> retired;

  std::vector<SeriesId> Select(const Selector& selector) const {
    std::vector<SeriesId> ids;
    for (const auto& [id, key] : live) {
      if (selector.Matches(key)) ids.push_back(id);
    }
    return ids;
  }
  std::vector<std::pair<std::string, int64_t>> Values(const Selector& selector, const std::string& label) const {
    std::map<std::string, int64_t> counts;
    for (const auto& [id, key] : live) {
      if (selector.Matches(key) && !key.Get(label).empty()) ++counts[std::string(key.Get(label))];
    }
    return {counts.begin(), counts.end()};
  }
};

class IndexProperty : public ::testing::TestWithParam<uint32_t> {};

TEST_P(IndexProperty, SelectsAndCountsWhatANaiveIndexWould) {
  RandomSelectors random(GetParam());
  SeriesIndex index(1, Free());
  Model model;
  std::set<SeriesId> ever;
  for (int round = 0; round < 100; ++round) {
    for (size_t n = random.Below(30); n > 0; --n) {
      const SeriesKey key = random.Key();
      bool created = false;
      const SeriesId id = *index.FindOrCreate(kDefaultTenant, key, {}, &created);
      if (const auto old = model.retired.find(id); old != model.retired.end()) {
        EXPECT_TRUE(created);
        EXPECT_EQ(old->second, key);
        model.retired.erase(old);
      } else if (!model.live.contains(id)) {
        EXPECT_TRUE(created);
        EXPECT_TRUE(ever.insert(id).second) << "id " << id << " was used again";
      } else {
        EXPECT_FALSE(created);
        EXPECT_EQ(model.live[id], key);
      }
      model.live[id] = key;
    }
    std::vector<SeriesId> retire;
    for (const auto& [id, key] : model.live) {
      if (random.Below(6) == 0) retire.push_back(id);
    }
    index.Retire(retire);
    for (const SeriesId id : retire) model.retired.insert(model.live.extract(id));
    for (const SeriesId id : index.PurgeRetired()) ASSERT_EQ(model.retired.erase(id), 1u);
    if (!model.retired.empty() && random.Below(3) == 0) {
      const SeriesId id = model.retired.begin()->first;
      ASSERT_TRUE(index.Revive(id));
      model.live.insert(model.retired.extract(id));
    }
    EXPECT_EQ(index.Count(kDefaultTenant), static_cast<int64_t>(model.live.size()));
    for (int i = 0; i < 10; ++i) {
      const Selector selector = random.Make();
      ASSERT_EQ(index.Select(kDefaultTenant, selector), model.Select(selector)) << selector.Format();
      for (const char* label : {"__name__", "pod", "unique"}) {
        std::vector<std::pair<std::string, int64_t>> values;
        std::string after;
        for (std::vector<LabelValueSummary> page;;) {
          page = index.LabelValues(kDefaultTenant, label, selector, values.empty() ? nullptr : &after, 3);
          for (const LabelValueSummary& value : page) values.emplace_back(value.value, value.series_count);
          if (page.empty()) break;
          after = page.back().value;
        }
        ASSERT_EQ(values, model.Values(selector, label)) << selector.Format() << " " << label;
      }
    }
    for (const auto& [id, key] : model.live) ASSERT_EQ(index.Find(kDefaultTenant, key), id);
    for (const auto& [id, key] : model.retired) {
      ASSERT_EQ(index.Find(kDefaultTenant, key), std::nullopt);
      ASSERT_EQ(index.Get(id)->key, key);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, IndexProperty, ::testing::Range(1u, 17u));

TEST(SeriesIndexForgetting, KeepsARetiredSeriesWhileItIsHeldOrVisited) {
  SeriesIndex index(1, Free());
  const SeriesKey key{"cpu", {{"host", "a"}}};
  const SeriesId id = *index.FindOrCreate(kDefaultTenant, key, {}, nullptr);
  ASSERT_TRUE(index.Hold(id));
  index.Retire(std::vector{id});
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(index.PurgeRetired().empty()) << "it is held";
  EXPECT_EQ(index.retired_count(), 1);

  SeriesIndex::Visit visit = index.BeginVisit();  // a batch of the holder is on its way when it lets go
  index.Release(std::vector{id});
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(index.PurgeRetired().empty()) << "it is visited";
  ASSERT_NE(index.Get(id), nullptr);
  visit = nullptr;
  EXPECT_THAT(index.PurgeRetired(), ::testing::ElementsAre(id));
  EXPECT_EQ(index.Get(id), nullptr);
  EXPECT_FALSE(index.Hold(id));
  EXPECT_FALSE(index.Revive(id));
  EXPECT_EQ(index.retired_count(), 0);

  bool created = false;
  EXPECT_GT(*index.FindOrCreate(kDefaultTenant, key, {}, &created), id) << "ids are never used again";
  EXPECT_TRUE(created);
}

TEST(SeriesIndexForgetting, BringsASeriesBackUnderItsId) {
  SeriesIndex index(1, Free());
  const SeriesKey key{"cpu", {{"host", "a"}}};
  const SeriesId id = *index.FindOrCreate(kDefaultTenant, key, {MetricKind::kCounter, "s", ""}, nullptr);
  index.Retire(std::vector{id});
  index.PurgeRetired();  // it waits for visits that may know it
  EXPECT_TRUE(index.Revive(id));
  EXPECT_EQ(index.Find(kDefaultTenant, key), id);
  EXPECT_EQ(index.Get(id)->metadata.unit, "s");
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(index.PurgeRetired().empty());
  EXPECT_EQ(index.Count(), 1);
}

TEST(SeriesIndexCardinality, NamesTheLargestAndTheNewest) {
  SeriesIndex index(1, Free());
  const auto create = [&](const std::string& metric, Labels labels) {
    ASSERT_TRUE(index.FindOrCreate(kDefaultTenant, {metric, std::move(labels)}, {}, nullptr).ok());
  };
  for (int i = 0; i < 20'000; ++i) create("big", {{"pod", "p" + std::to_string(i)}, {"zone", i % 4 ? "a" : "b"}});
  const SeriesId yesterday = index.next_id();
  for (int i = 0; i < 30; ++i) create("small", {{"zone", "c"}, {"n", std::to_string(i)}});
  const SeriesId lately = index.next_id();
  for (int i = 0; i < 7; ++i) create("new", {{"zone", "b"}, {"n", std::to_string(i)}});

  const SeriesAgeLimits ages{lately, yesterday};
  const auto names = [](const std::vector<CardinalityEntry>& entries) {
    std::vector<std::string> out;
    for (const CardinalityEntry& e : entries) {
      out.push_back(e.label + "=" + e.value + " " + std::to_string(e.counts.series) + " " +
                    std::to_string(e.counts.created_last_hour) + " " + std::to_string(e.counts.created_last_day) + " " +
                    std::to_string(e.value_count));
    }
    return out;
  };
  using ::testing::ElementsAre;
  CardinalityReport report = index.Cardinality(kDefaultTenant, Selector(), ages, CardinalityOrder::kSeries, 2);
  EXPECT_EQ(report.total.series, 20'037);
  EXPECT_EQ(report.total.created_last_hour, 7);
  EXPECT_EQ(report.total.created_last_day, 37);
  EXPECT_THAT(names(report.metrics), ElementsAre("=big 20000 0 0 0", "=small 30 0 30 0"));
  EXPECT_THAT(names(report.labels), ElementsAre("zone= 20037 7 37 3", "pod= 20000 0 0 20000"));
  EXPECT_THAT(names(report.label_values), ElementsAre("zone=a 15000 0 0 0", "zone=b 5007 7 7 0"));

  report = index.Cardinality(kDefaultTenant, Selector(), ages, CardinalityOrder::kCreatedLastHour, 5);
  EXPECT_THAT(names(report.metrics), ElementsAre("=new 7 7 7 0"));
  EXPECT_THAT(names(report.label_values)[0], "zone=b 5007 7 7 0");

  report = index.Cardinality(kDefaultTenant, Selector::Parse("{zone=\"c\"}").value(), ages,
                             CardinalityOrder::kCreatedLastDay, 1);
  EXPECT_EQ(report.total.series, 30);
  EXPECT_THAT(names(report.metrics), ElementsAre("=small 30 0 30 0"));
  EXPECT_THAT(names(report.labels), ElementsAre("n= 30 0 30 30"));
  EXPECT_TRUE(index.Cardinality(99, Selector(), ages, CardinalityOrder::kSeries, 9).metrics.empty());
}

}  // namespace
}  // namespace pulseboard

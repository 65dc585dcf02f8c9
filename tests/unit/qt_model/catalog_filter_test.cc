#include "client-qt/model/catalog_filter.h"

#include <gtest/gtest.h>

namespace pulseboard::qt {
namespace {

SeriesItem series(const char* metric, QVector<LabelItem> labels) {
  SeriesItem item;
  item.metric = QString::fromLatin1(metric);
  item.labels = std::move(labels);
  return item;
}

const QVector<SeriesItem> kCatalog = {
    series("http.requests", {{"env", "prod"}, {"host", "web-1"}}),
    series("http.requests", {{"env", "prod"}, {"host", "web-2"}}),
    series("http.requests", {{"env", "test"}, {"host", "lab.1"}}),
    series("system.load", {{"host", "web-1"}}),
};

int count(const CatalogFilter& filter) {
  int n = 0;
  for (const SeriesItem& item : kCatalog) n += filter.matches(item) ? 1 : 0;
  return n;
}

TEST(CatalogFilter, FindsWordsInMetricAndLabelsWhateverTheCase) {
  EXPECT_EQ(count({"", {}}), 4);
  EXPECT_EQ(count({"REQ", {}}), 3);
  EXPECT_EQ(count({"req  host=web", {}}), 2);
  EXPECT_EQ(count({"req load", {}}), 0);
}

TEST(CatalogFilter, TakesChipsOfOneLabelAsAlternativesAndOthersTogether) {
  EXPECT_EQ(count({"", {{"env", "prod"}}}), 2);
  EXPECT_EQ(count({"", {{"env", "prod"}, {"env", "test"}}}), 3);
  EXPECT_EQ(count({"", {{"env", "prod"}, {"host", "web-1"}}}), 1);
}

TEST(CatalogFilter, TakesAStarInAChipAsAnythingAndADotAsADot) {
  EXPECT_EQ(count({"", {{"host", "web-*"}}}), 3);
  EXPECT_EQ(count({"", {{"host", "lab.*"}}}), 1);
  EXPECT_EQ(count({"", {{"host", "labx*"}}}), 0);
}

TEST(LabelFacets, CountWhatTheFilterLeaves) {
  const QVector<LabelFacet> facets = labelFacets(kCatalog, {"requests", {}});
  ASSERT_EQ(facets.size(), 2);
  EXPECT_EQ(facets[0].name, "env");
  EXPECT_EQ(facets[0].series_count, 3);
  EXPECT_EQ(facets[0].values[0].value, "prod");
  EXPECT_EQ(facets[0].values[0].series_count, 2);
}

TEST(LabelFacets, StillOfferTheOtherValuesOfAChosenLabel) {
  const QVector<LabelFacet> facets = labelFacets(kCatalog, {"requests", {{"env", "test"}}});
  for (const LabelFacet& facet : facets) {
    if (facet.name == "env") {
      EXPECT_EQ(facet.values.size(), 2);
    }
    if (facet.name == "host") {
      EXPECT_EQ(facet.values.size(), 1);
    }
  }
}

}  // namespace
}  // namespace pulseboard::qt

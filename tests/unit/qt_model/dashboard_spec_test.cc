#include "client-qt/model/dashboard_spec.h"

#include <gtest/gtest.h>

#include <QFile>
#include <QTemporaryDir>

#include "common/model/selector.h"

namespace pulseboard::qt {
namespace {

TEST(DashboardSpec, BuiltInPanelsAreValidAndDoNotOverlap) {
  const DashboardSpec spec = DashboardSpec::thisMachine();
  EXPECT_GE(spec.panels.size(), 9);
  QSet<QPair<int, int>> cells;
  for (const PanelSpec& panel : spec.panels) {
    for (const QString& selector : panel.selectors) EXPECT_TRUE(Selector::Parse(selector.toStdString()).ok());
    for (int column = panel.column; column < panel.column + panel.width; ++column) {
      EXPECT_LT(column, kGridColumns);
      EXPECT_FALSE(cells.contains({panel.row, column})) << panel.id.toStdString();
      cells.insert({panel.row, column});
    }
  }
  EXPECT_EQ(cells.size() % kGridColumns, 0) << "a row of the grid is not filled";
}

TEST(DashboardSpec, SurvivesStoreAndLoad) {
  QTemporaryDir dir;
  const QString path = dir.filePath("deep/er/d.json");
  DashboardSpec spec = DashboardSpec::thisMachine();
  spec.panels[0].axis_max = 90;
  spec.panels[1].unit = "By";
  QString error;
  ASSERT_TRUE(saveDashboard(path, spec, &error)) << error.toStdString();
  const auto loaded = loadDashboard(path, &error);
  ASSERT_TRUE(loaded) << error.toStdString();
  EXPECT_EQ(*loaded, spec);
}

TEST(DashboardSpec, SaysWhatIsWrongWithAFile) {
  QTemporaryDir dir;
  QString error;
  EXPECT_FALSE(loadDashboard(dir.filePath("none.json"), &error));
  EXPECT_TRUE(error.isEmpty());
  const auto refuse = [&](const char* text) {
    QFile file(dir.filePath("d.json"));
    EXPECT_TRUE(file.open(QIODevice::WriteOnly));
    file.write(text);
    file.close();
    error.clear();
    EXPECT_FALSE(loadDashboard(file.fileName(), &error)) << text;
    return error.toStdString();
  };
  EXPECT_FALSE(refuse("{").empty());
  EXPECT_NE(refuse(R"({"version":2})").find("version"), std::string::npos);
  EXPECT_NE(refuse(R"({"version":1,"panels":[{"id":"A b"}]})").find("id"), std::string::npos);
  EXPECT_NE(refuse(R"({"version":1,"panels":[{"id":"a"}]})").find("selector"), std::string::npos);
  EXPECT_NE(refuse(R"({"version":1,"panels":[{"id":"a","selectors":["x{"]}]})").find("column"), std::string::npos);
  EXPECT_NE(refuse(R"({"version":1,"panels":[{"id":"a","kind":"pie","selectors":["x"]}]})").find("pie"),
            std::string::npos);
  EXPECT_NE(refuse(R"({"version":1,"panels":[{"id":"a","selectors":["x"]},{"id":"a","selectors":["x"]}]})").find("two"),
            std::string::npos);
}

TEST(DashboardSpec, MakesOneFeedOfAllPanels) {
  DashboardSpec spec;
  spec.addPanel("a.b");
  spec.panels[0].selectors << "c.d";
  spec.addPanel("e.f{x=\"1\"}");
  const FeedSpec feed = spec.feedSpec(600, 800);
  ASSERT_EQ(feed.queries.size(), 3);
  EXPECT_EQ(feed.queries[1].id, spec.panels[0].id + "/1");
  EXPECT_EQ(feed.queries[1].selector, "c.d");
  EXPECT_EQ(feed.backfill_seconds, 600);
}

TEST(DashboardSpec, LeavesABrokenSelectorOutOfTheFeed) {
  DashboardSpec spec;
  spec.addPanel("a{");
  spec.addPanel("b");
  const FeedSpec feed = spec.feedSpec(1, 0);
  ASSERT_EQ(feed.queries.size(), 1);
  EXPECT_EQ(feed.queries[0].selector, "b");
}

TEST(DashboardSpec, PutsNewPanelsSideBySideAtTheEnd) {
  DashboardSpec spec;
  spec.addPanel("a");
  spec.addPanel("b{c=\"d\"}");
  spec.addPanel("e");
  EXPECT_EQ(spec.panels[0].row, 0);
  EXPECT_EQ(spec.panels[1].row, 0);
  EXPECT_EQ(spec.panels[1].column, 6);
  EXPECT_EQ(spec.panels[1].title, "b");
  EXPECT_EQ(spec.panels[2].row, 1);
  EXPECT_EQ(spec.panels[2].column, 0);
}

TEST(DashboardSpec, LeavesOutWhatOneSubscriptionCannotCarry) {
  DashboardSpec spec;
  for (int i = 0; i < 70; ++i) spec.addPanel("a");
  EXPECT_EQ(spec.feedSpec(1, 0).queries.size(), kMaxFeedQueries);
}

}  // namespace
}  // namespace pulseboard::qt

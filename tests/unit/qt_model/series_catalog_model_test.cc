#include "client-qt/model/series_catalog_model.h"

#include <gtest/gtest.h>

#include <QAbstractItemModelTester>
#include <QMimeData>
#include <QSignalSpy>
#include <memory>
#include <random>

namespace pulseboard::qt {
namespace {

SeriesItem series(quint64 id, const QString& metric, QVector<LabelItem> labels = {}) {
  SeriesItem item;
  item.id = id;
  item.metric = metric;
  item.labels = std::move(labels);
  return item;
}

// "system.cpu(2)" lines, depth first, two spaces per level.
std::string dump(const QAbstractItemModel& model, const QModelIndex& parent = {}, int depth = 0) {
  std::string out;
  for (int row = 0; row < model.rowCount(parent); ++row) {
    const QModelIndex index = model.index(row, 0, parent);
    out += std::string(static_cast<size_t>(depth) * 2, ' ') + index.data().toString().toStdString() + "(" +
           std::to_string(index.data(SeriesCatalogModel::SeriesCountRole).toInt()) + ")\n";
    out += dump(model, index, depth + 1);
  }
  return out;
}

class CatalogModel : public testing::Test {
 protected:
  SeriesCatalogModel model_;
  QAbstractItemModelTester tester_{&model_, QAbstractItemModelTester::FailureReportingMode::Fatal};
};

TEST_F(CatalogModel, ShowsPathSegmentsThenSeries) {
  model_.setCatalog({series(1, "system.load", {{"window", "1m"}}), series(2, "system.cpu", {{"cpu", "10"}}),
                     series(3, "system.cpu", {{"cpu", "2"}})});
  EXPECT_EQ(dump(model_),
            "system(3)\n"
            "  cpu(2)\n"
            "    cpu 2(1)\n"
            "    cpu 10(1)\n"
            "  load(1)\n"
            "    window=1m(1)\n");
}

TEST_F(CatalogModel, KeepsAMetricThatIsAlsoAPath) {
  model_.setCatalog({series(1, "a.b"), series(2, "a.b.c")});
  EXPECT_EQ(dump(model_), "a(2)\n  b(2)\n    c(1)\n      a.b.c(1)\n    a.b(1)\n");
}

TEST_F(CatalogModel, AnnouncesChangesAsRowsAndNeverAsReset) {
  model_.setCatalog({series(1, "a.x"), series(2, "a.y")});
  QSignalSpy resets(&model_, &QAbstractItemModel::modelReset);
  QSignalSpy inserts(&model_, &QAbstractItemModel::rowsInserted);
  const QPersistentModelIndex y = model_.index(1, 0, model_.index(0, 0));
  model_.setCatalog({series(1, "a.x"), series(2, "a.y"), series(3, "a.b1"), series(4, "a.b2")});
  EXPECT_EQ(resets.count(), 0);
  ASSERT_EQ(inserts.count(), 1);  // both at once
  EXPECT_EQ(y.data().toString(), "y");
  EXPECT_EQ(y.row(), 3);
}

TEST_F(CatalogModel, NarrowsToTheFilterAndComesBack) {
  model_.setCatalog(
      {series(1, "a.x", {{"h", "one"}}), series(2, "a.y", {{"h", "one"}}), series(3, "a.x", {{"h", "two"}})});
  const std::string all = dump(model_);
  model_.setFilter({"", {{"h", "one"}}});
  EXPECT_EQ(model_.shownSeries(), 2);
  EXPECT_EQ(model_.totalSeries(), 3);
  EXPECT_EQ(dump(model_), "a(2)\n  x(1)\n    one(1)\n  y(1)\n    h=one(1)\n");
  model_.setFilter({});
  EXPECT_EQ(dump(model_), all);
}

TEST_F(CatalogModel, HandsOutSelectorsForDragging) {
  model_.setCatalog({series(1, "a.x", {{"h", "1\"2"}})});
  const QModelIndex segment = model_.index(0, 0);
  const QModelIndex metric = model_.index(0, 0, segment);
  const QModelIndex leaf = model_.index(0, 0, metric);
  EXPECT_FALSE(model_.flags(segment) & Qt::ItemIsDragEnabled);
  EXPECT_TRUE(model_.flags(metric) & Qt::ItemIsDragEnabled);
  const std::unique_ptr<QMimeData> mime(model_.mimeData({metric, leaf}));
  ASSERT_NE(mime, nullptr);
  EXPECT_EQ(mime->data(SeriesCatalogModel::kSelectorMimeType).toStdString(), "a.x\na.x{h=\"1\\\"2\"}");
  EXPECT_EQ(model_.mimeData({segment}), nullptr);
}

TEST_F(CatalogModel, EqualsAFreshModelAfterRandomChanges) {
  std::mt19937 random(11);
  for (int step = 0; step < 60; ++step) {
    QVector<SeriesItem> catalog;
    for (quint64 id = 1; id <= 60; ++id) {
      if (random() % 3 == 0) continue;
      catalog.push_back(series(id, QStringLiteral("m%1.n%2").arg(id % 5).arg(id % 7), {{"i", QString::number(id)}}));
    }
    CatalogFilter filter;
    if (random() % 2 == 0) filter.text = QStringLiteral("n%1").arg(random() % 7);
    model_.setFilter(filter);
    model_.setCatalog(catalog);
    SeriesCatalogModel fresh;
    fresh.setFilter(filter);
    fresh.setCatalog(catalog);
    ASSERT_EQ(dump(model_), dump(fresh));
  }
}

}  // namespace
}  // namespace pulseboard::qt

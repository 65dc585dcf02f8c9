// SeriesCatalogModel: the metric browser as a tree: path segments of metric names, then the series of a metric.
#pragma once

#include <QAbstractItemModel>
#include <memory>
#include <unordered_map>

#include "client-qt/model/catalog_filter.h"
#include "client-qt/model/types.h"

namespace pulseboard::qt {

// Of the GUI thread. Changes are announced as ranges of rows, never as reset, so that views keep what is open and
// selected.
class SeriesCatalogModel : public QAbstractItemModel {
  Q_OBJECT

 public:
  enum Role {
    SelectorRole = Qt::UserRole + 1,  // QString: picks what the row stands for; empty for a path segment alone
    MetricRole,                       // QString: full metric name or path so far
    SeriesCountRole,                  // int: series below that pass the filter
    KindRole,                         // NodeKind as int
    UnitRole,                         // QString of a metric or series
    SeriesIdRole,                     // quint64 of a series row, else 0
  };
  enum NodeKind { Segment, Metric, Series };

  // Drag and drop: UTF-8 selectors, one a line.
  static constexpr const char* kSelectorMimeType = "application/x-pulseboard-selectors";
  // Rows for single series below one metric; narrow the filter to see others.
  static constexpr int kMaxSeriesRows = 200;

  explicit SeriesCatalogModel(QObject* parent = nullptr);
  ~SeriesCatalogModel() override;

  void setCatalog(const QVector<SeriesItem>& series);
  void setFilter(const CatalogFilter& filter);
  const CatalogFilter& filter() const { return filter_; }
  // Series that pass the filter / all.
  int shownSeries() const { return shown_; }
  int totalSeries() const { return static_cast<int>(catalog_.size()); }

  QModelIndex index(int row, int column, const QModelIndex& parent = {}) const override;
  QModelIndex parent(const QModelIndex& child) const override;
  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
  Qt::ItemFlags flags(const QModelIndex& index) const override;
  QStringList mimeTypes() const override;
  QMimeData* mimeData(const QModelIndexList& indexes) const override;

 private:
  struct Node;

  Node* nodeOf(const QModelIndex& index) const;
  QModelIndex indexOf(Node* node) const;
  // Makes the shown tree equal to what catalog and filter ask for, announcing each change.
  void rebuild();
  std::unique_ptr<Node> wantedTree() const;
  void merge(Node* have, Node* want);

  QVector<SeriesItem> catalog_;
  CatalogFilter filter_;
  std::unique_ptr<Node> root_;
  int shown_ = 0;
};

}  // namespace pulseboard::qt

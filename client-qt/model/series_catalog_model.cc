#include "client-qt/model/series_catalog_model.h"

#include <QHash>
#include <QMap>
#include <QMimeData>
#include <QSet>
#include <algorithm>
#include <vector>

#include "client-qt/model/series_names.h"

namespace pulseboard::qt {
namespace {

// Digits by value, all else by character: cpu2 before cpu10.
int naturalCompare(const QString& a, const QString& b) {
  qsizetype i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (a[i].isDigit() && b[j].isDigit()) {
      qsizetype i_end = i, j_end = j;
      while (i_end < a.size() && a[i_end].isDigit()) ++i_end;
      while (j_end < b.size() && b[j_end].isDigit()) ++j_end;
      const qulonglong left = a.mid(i, i_end - i).toULongLong();
      const qulonglong right = b.mid(j, j_end - j).toULongLong();
      if (left != right) return left < right ? -1 : 1;
      i = i_end;
      j = j_end;
    } else {
      if (a[i] != b[j]) return a[i] < b[j] ? -1 : 1;
      ++i;
      ++j;
    }
  }
  if (a.size() - i != b.size() - j) return a.size() - i < b.size() - j ? -1 : 1;
  return QString::compare(a, b);
}

// All labels, for the only series of a metric.
QString allLabels(const SeriesItem& series) {
  QStringList parts;
  for (const LabelItem& label : series.labels) parts << label.name + QLatin1Char('=') + label.value;
  return parts.isEmpty() ? series.metric : parts.join(QStringLiteral("  "));
}

}  // namespace

struct SeriesCatalogModel::Node {
  NodeKind kind = Segment;
  QString text;  // one path segment, or a series' labels
  QString path;  // metric name so far
  QString selector;
  QString unit;
  QString tip;
  quint64 series_id = 0;
  int count = 0;
  Node* parent = nullptr;
  std::vector<std::unique_ptr<Node>> children;  // ascending by compare()

  // Path segments before series, each in natural order.
  static int compare(const Node& a, const Node& b) {
    const bool a_series = a.kind == Series, b_series = b.kind == Series;
    if (a_series != b_series) return a_series ? 1 : -1;
    if (const int order = naturalCompare(a.text, b.text); order != 0) return order;
    return a.series_id == b.series_id ? 0 : (a.series_id < b.series_id ? -1 : 1);
  }
  int row() const {
    const auto& siblings = parent->children;
    const auto it = std::lower_bound(siblings.begin(), siblings.end(), this,
                                     [](const auto& node, const Node* me) { return compare(*node, *me) < 0; });
    return static_cast<int>(it - siblings.begin());
  }
  bool sameFields(const Node& o) const {
    return kind == o.kind && selector == o.selector && unit == o.unit && tip == o.tip && count == o.count;
  }
  Node* child(const QString& segment) {
    for (const auto& node : children) {
      if (node->kind != Series && node->text == segment) return node.get();
    }
    auto node = std::make_unique<Node>();
    node->text = segment;
    node->path = path.isEmpty() ? segment : path + QLatin1Char('.') + segment;
    node->parent = this;
    children.push_back(std::move(node));
    return children.back().get();
  }
  void sort() {
    std::sort(children.begin(), children.end(), [](const auto& a, const auto& b) { return compare(*a, *b) < 0; });
    for (const auto& node : children) node->sort();
  }
};

SeriesCatalogModel::SeriesCatalogModel(QObject* parent) : QAbstractItemModel(parent), root_(std::make_unique<Node>()) {}
SeriesCatalogModel::~SeriesCatalogModel() = default;

void SeriesCatalogModel::setCatalog(const QVector<SeriesItem>& series) {
  catalog_ = series;
  rebuild();
}

void SeriesCatalogModel::setFilter(const CatalogFilter& filter) {
  if (filter == filter_) return;
  filter_ = filter;
  rebuild();
}

std::unique_ptr<SeriesCatalogModel::Node> SeriesCatalogModel::wantedTree() const {
  auto root = std::make_unique<Node>();
  QHash<QString, QVector<const SeriesItem*>> everything;
  QMap<QString, QVector<const SeriesItem*>> by_metric;
  for (const SeriesItem& series : catalog_) {
    everything[series.metric].push_back(&series);
    if (filter_.isEmpty() || filter_.matches(series)) by_metric[series.metric].push_back(&series);
  }
  for (auto it = by_metric.begin(); it != by_metric.end(); ++it) {
    Node* node = root.get();
    node->count += static_cast<int>(it->size());
    for (const QString& segment : it.key().split(QLatin1Char('.'), Qt::SkipEmptyParts)) {
      node = node->child(segment);
      node->count += static_cast<int>(it->size());
    }
    if (node == root.get()) continue;  // a name of dots alone cannot exist
    const SeriesItem& first = *it->front();
    node->kind = Metric;
    node->selector = SeriesItem{0, first.metric, {}, first.kind, {}, {}}.selector();
    node->unit = first.unit;
    node->tip = first.description;
    // Names by all series of the metric, so that a filter does not rename them.
    const std::unordered_map<quint64, QString> names = distinctNames(everything[it.key()]);
    for (qsizetype i = 0; i < std::min<qsizetype>(it->size(), kMaxSeriesRows); ++i) {
      const SeriesItem& series = *(*it)[i];
      auto leaf = std::make_unique<Node>();
      leaf->kind = Series;
      leaf->text = names.at(series.id).isEmpty() ? allLabels(series) : names.at(series.id);
      leaf->path = series.metric;
      leaf->selector = series.selector();
      leaf->unit = series.unit;
      leaf->tip = series.description;
      leaf->series_id = series.id;
      leaf->count = 1;
      leaf->parent = node;
      node->children.push_back(std::move(leaf));
    }
  }
  root->sort();
  return root;
}

void SeriesCatalogModel::rebuild() {
  std::unique_ptr<Node> want = wantedTree();
  shown_ = want->count;
  merge(root_.get(), want.get());
}

// Walks both sorted child lists; runs of missing or superfluous rows are announced as one range each.
void SeriesCatalogModel::merge(Node* have, Node* want) {
  const QModelIndex parent_index = indexOf(have);
  size_t i = 0, j = 0;
  while (i < have->children.size() || j < want->children.size()) {
    const auto order = [&](size_t a, size_t b) {
      if (a >= have->children.size()) return 1;
      if (b >= want->children.size()) return -1;
      return Node::compare(*have->children[a], *want->children[b]);
    };
    if (order(i, j) < 0) {
      size_t end = i;
      while (end < have->children.size() && order(end, j) < 0) ++end;
      beginRemoveRows(parent_index, static_cast<int>(i), static_cast<int>(end) - 1);
      have->children.erase(have->children.begin() + static_cast<ptrdiff_t>(i),
                           have->children.begin() + static_cast<ptrdiff_t>(end));
      endRemoveRows();
    } else if (order(i, j) > 0) {
      size_t end = j;
      while (end < want->children.size() && order(i, end) > 0) ++end;
      beginInsertRows(parent_index, static_cast<int>(i), static_cast<int>(i + end - j) - 1);
      for (; j < end; ++j, ++i) {
        want->children[j]->parent = have;
        have->children.insert(have->children.begin() + static_cast<ptrdiff_t>(i), std::move(want->children[j]));
      }
      endInsertRows();
    } else {
      Node* mine = have->children[i].get();
      Node* theirs = want->children[j].get();
      if (!mine->sameFields(*theirs)) {
        mine->kind = theirs->kind;
        mine->selector = theirs->selector;
        mine->unit = theirs->unit;
        mine->tip = theirs->tip;
        mine->count = theirs->count;
        const QModelIndex changed = indexOf(mine);
        Q_EMIT dataChanged(changed, changed);
      }
      merge(mine, theirs);
      ++i;
      ++j;
    }
  }
}

SeriesCatalogModel::Node* SeriesCatalogModel::nodeOf(const QModelIndex& index) const {
  return index.isValid() ? static_cast<Node*>(index.internalPointer()) : root_.get();
}

QModelIndex SeriesCatalogModel::indexOf(Node* node) const {
  return node == root_.get() ? QModelIndex() : createIndex(node->row(), 0, node);
}

QModelIndex SeriesCatalogModel::index(int row, int column, const QModelIndex& parent) const {
  if (!hasIndex(row, column, parent)) return {};
  return createIndex(row, column, nodeOf(parent)->children[static_cast<size_t>(row)].get());
}

QModelIndex SeriesCatalogModel::parent(const QModelIndex& child) const {
  return child.isValid() ? indexOf(nodeOf(child)->parent) : QModelIndex();
}

int SeriesCatalogModel::rowCount(const QModelIndex& parent) const {
  return parent.column() > 0 ? 0 : static_cast<int>(nodeOf(parent)->children.size());
}

int SeriesCatalogModel::columnCount(const QModelIndex&) const { return 1; }

QVariant SeriesCatalogModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid()) return {};
  const Node& node = *nodeOf(index);
  switch (role) {
    case Qt::DisplayRole:
      return node.text;
    case Qt::ToolTipRole:
      return node.kind == Series ? node.selector : node.tip;
    case Qt::AccessibleTextRole:
      return node.kind == Series ? node.text : QStringLiteral("%1, %2 series").arg(node.path).arg(node.count);
    case SelectorRole:
      return node.selector;
    case MetricRole:
      return node.path;
    case SeriesCountRole:
      return node.count;
    case KindRole:
      return static_cast<int>(node.kind);
    case UnitRole:
      return node.unit;
    case SeriesIdRole:
      return node.series_id;
    default:
      return {};
  }
}

Qt::ItemFlags SeriesCatalogModel::flags(const QModelIndex& index) const {
  if (!index.isValid()) return Qt::NoItemFlags;
  const Qt::ItemFlags base = Qt::ItemIsEnabled | Qt::ItemIsSelectable;
  return nodeOf(index)->kind == Segment ? base : base | Qt::ItemIsDragEnabled;
}

QStringList SeriesCatalogModel::mimeTypes() const { return {QString::fromLatin1(kSelectorMimeType)}; }

QMimeData* SeriesCatalogModel::mimeData(const QModelIndexList& indexes) const {
  QStringList selectors;
  for (const QModelIndex& index : indexes) {
    const QString selector = data(index, SelectorRole).toString();
    if (!selector.isEmpty()) selectors << selector;
  }
  if (selectors.isEmpty()) return nullptr;
  auto* mime = new QMimeData;
  mime->setData(QString::fromLatin1(kSelectorMimeType), selectors.join(QLatin1Char('\n')).toUtf8());
  mime->setText(selectors.join(QLatin1Char('\n')));
  return mime;
}

}  // namespace pulseboard::qt

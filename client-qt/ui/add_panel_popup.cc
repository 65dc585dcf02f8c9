#include "client-qt/ui/add_panel_popup.h"

#include <QKeyEvent>
#include <QLineEdit>
#include <QListWidget>
#include <QMap>
#include <QVBoxLayout>
#include <algorithm>

#include "client-qt/model/catalog_filter.h"
#include "client-qt/model/series_catalog_model.h"
#include "client-qt/ui/metric_delegate.h"
#include "client-qt/ui/theme.h"

namespace pulseboard::qt {
namespace {

constexpr int kWidth = 344;
constexpr int kHeight = 360;
constexpr int kMaxRows = 200;

}  // namespace

AddPanelPopup::AddPanelPopup(QWidget* parent)
    : QFrame(parent, Qt::Popup), filter_(new QLineEdit(this)), list_(new QListWidget(this)) {
  setObjectName(QStringLiteral("addPanelPopup"));
  setProperty("kind", "popup");
  filter_->setPlaceholderText(QStringLiteral("Metric for the new panel"));
  filter_->setAccessibleName(QStringLiteral("Metric for the new panel"));
  filter_->installEventFilter(this);
  list_->setItemDelegate(new MetricDelegate(list_));
  list_->setAccessibleName(QStringLiteral("Metrics"));
  list_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  list_->setMouseTracking(true);
  list_->setFocusPolicy(Qt::NoFocus);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(spacing::kBase, spacing::kBase, spacing::kBase, spacing::kBase);
  column->addWidget(filter_);
  column->addWidget(list_);
  connect(filter_, &QLineEdit::textChanged, this, &AddPanelPopup::fill);
  connect(filter_, &QLineEdit::returnPressed, this, &AddPanelPopup::choose);
  connect(list_, &QListWidget::itemClicked, this, &AddPanelPopup::choose);
}

void AddPanelPopup::openBelow(QWidget* anchor, const QVector<SeriesItem>& catalog) {
  QMap<QString, Metric> metrics;
  for (const SeriesItem& series : catalog) {
    Metric& metric = metrics[series.metric];
    metric.name = series.metric;
    metric.unit = series.unit;
    ++metric.series;
  }
  metrics_ = QVector<Metric>(metrics.begin(), metrics.end());
  filter_->clear();
  fill();
  const QRect room = anchor->window()->geometry();
  resize(std::min(kWidth, room.width() - 2 * spacing::kBase), std::min(kHeight, room.height() - 96));
  QPoint place = anchor->mapToGlobal(QPoint(anchor->width() - width(), anchor->height() + spacing::kTight));
  place.setX(std::max(place.x(), room.left() + spacing::kBase));
  move(place);
  show();
  filter_->setFocus();
}

void AddPanelPopup::fill() {
  list_->clear();
  const CatalogFilter filter{filter_->text(), {}};
  for (const Metric& metric : metrics_) {
    SeriesItem probe;
    probe.metric = metric.name;
    if (!filter.matches(probe)) continue;
    if (list_->count() == kMaxRows) break;
    auto* item = new QListWidgetItem(metric.name, list_);
    item->setData(SeriesCatalogModel::KindRole, SeriesCatalogModel::Metric);
    item->setData(SeriesCatalogModel::SeriesCountRole, metric.series);
  }
  if (list_->count() > 0) {
    list_->setCurrentRow(0);
    return;
  }
  auto* none = new QListWidgetItem(metrics_.isEmpty() ? QStringLiteral("No metrics on this server yet")
                                                      : QStringLiteral("No metric has this in its name"),
                                   list_);
  none->setData(SeriesCatalogModel::KindRole, SeriesCatalogModel::Series);
  none->setFlags(Qt::NoItemFlags);
}

void AddPanelPopup::choose() {
  const QListWidgetItem* item = list_->currentItem();
  if (item == nullptr || !(item->flags() & Qt::ItemIsEnabled)) return;
  hide();
  Q_EMIT chosen(item->text());
}

bool AddPanelPopup::eventFilter(QObject* watched, QEvent* event) {
  if (watched == filter_ && event->type() == QEvent::KeyPress) {
    const int key = static_cast<QKeyEvent*>(event)->key();
    if (key == Qt::Key_Down || key == Qt::Key_Up) {
      const int step = key == Qt::Key_Down ? 1 : -1;
      list_->setCurrentRow(std::clamp(list_->currentRow() + step, 0, std::max(0, list_->count() - 1)));
      return true;
    }
  }
  return QFrame::eventFilter(watched, event);
}

}  // namespace pulseboard::qt

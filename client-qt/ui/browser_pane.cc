#include "client-qt/ui/browser_pane.h"

#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QPainter>
#include <QPushButton>
#include <QStyle>
#include <QTreeView>
#include <QVBoxLayout>

#include "client-qt/model/units.h"
#include "client-qt/ui/chip.h"
#include "client-qt/ui/filter_field.h"
#include "client-qt/ui/flow_layout.h"
#include "client-qt/ui/metric_delegate.h"
#include "client-qt/ui/state_card.h"
#include "client-qt/ui/theme.h"

namespace pulseboard::qt {
namespace {

constexpr int kBrandHeight = 56;
constexpr int kMaxMenuLabels = 24;
constexpr int kMaxMenuValues = 30;
constexpr int kExpandUpTo = 40;  // rows: a small catalog opens itself

}  // namespace

BrowserPane::BrowserPane(QWidget* parent)
    : QFrame(parent),
      model_(new SeriesCatalogModel(this)),
      filter_(new FilterField(QStringLiteral("Ctrl K"), this)),
      chips_(new QWidget(this)),
      chip_flow_(new FlowLayout(chips_, spacing::kBase)),
      add_chip_(new QPushButton(QStringLiteral("+ label"), chips_)),
      count_(new QLabel(this)),
      tree_(new QTreeView(this)),
      delegate_(new MetricDelegate(this)),
      empty_(new StateCard(this)) {
  setObjectName(QStringLiteral("browser"));
  setAccessibleName(QStringLiteral("Metric browser"));
  setProperty("kind", "bar");
  filter_->setObjectName(QStringLiteral("filter"));
  filter_->setPlaceholderText(QStringLiteral("Filter metrics or labels"));
  filter_->setAccessibleName(QStringLiteral("Filter metrics or labels"));
  filter_->setClearButtonEnabled(false);
  filter_->setFixedHeight(kControlHeight);
  filter_->installEventFilter(this);
  connect(filter_, &QLineEdit::textChanged, this, &BrowserPane::applyFilter);

  add_chip_->setProperty("kind", "chip");
  add_chip_->setFixedHeight(24);
  add_chip_->setAccessibleName(QStringLiteral("Filter by a label"));
  chip_flow_->addWidget(add_chip_);
  connect(add_chip_, &QPushButton::clicked, this, &BrowserPane::openLabelMenu);

  tree_->setObjectName(QStringLiteral("metricTree"));
  tree_->setModel(model_);
  tree_->setItemDelegate(delegate_);
  tree_->setHeaderHidden(true);
  tree_->setIndentation(16);
  tree_->setUniformRowHeights(true);
  tree_->setDragEnabled(true);
  tree_->setDragDropMode(QAbstractItemView::DragOnly);
  tree_->setSelectionMode(QAbstractItemView::ExtendedSelection);
  tree_->setExpandsOnDoubleClick(false);
  tree_->setMouseTracking(true);
  tree_->setAccessibleName(QStringLiteral("Metrics"));
  tree_->setToolTip(QStringLiteral("Drag onto the dashboard, or press Enter, to show"));
  connect(tree_, &QTreeView::activated, this, &BrowserPane::activate);
  connect(tree_, &QTreeView::clicked, this, [this](const QModelIndex& index) {
    if (index.data(SeriesCatalogModel::KindRole).toInt() == SeriesCatalogModel::Segment) {
      tree_->setExpanded(index, !tree_->isExpanded(index));
    }
  });

  auto* heading = new QHBoxLayout;
  auto* metrics = new QLabel(QStringLiteral("METRICS"), this);
  metrics->setProperty("kind", "caption");
  count_->setProperty("kind", "caption");
  heading->addWidget(metrics);
  heading->addStretch(1);
  heading->addWidget(count_);

  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(spacing::kWide, kBrandHeight, spacing::kWide, spacing::kBase);
  column->setSpacing(spacing::kBase);
  column->addWidget(filter_);
  column->addWidget(chips_);
  column->addLayout(heading);
  column->addWidget(tree_, 1);
  column->addWidget(empty_, 1);
  empty_->hide();
  connect(empty_, &StateCard::actionRequested, this, [this] {
    chip_labels_.clear();
    rebuildChips();
    filter_->clear();
    applyFilter();
  });
}

void BrowserPane::setCatalog(const QVector<SeriesItem>& series) {
  catalog_ = series;
  model_->setCatalog(series);
  updateCounts();
  if (!expanded_once_ && !series.isEmpty()) {
    expanded_once_ = true;
    expandFirstLevels();
  }
}

void BrowserPane::focusFilter() {
  filter_->setFocus(Qt::ShortcutFocusReason);
  filter_->selectAll();
}

void BrowserPane::setTouch(bool touch) {
  delegate_->setTouch(touch);
  filter_->setFixedHeight(touch ? kTouchHeight : kControlHeight);
  tree_->setIndentation(touch ? 20 : 16);
  tree_->doItemsLayout();
}

void BrowserPane::applyFilter() {
  model_->setFilter({filter_->text(), chip_labels_});
  updateCounts();
  // Who filters wants to see what is found.
  if (!model_->filter().isEmpty() && model_->shownSeries() > 0) {
    if (model_->shownSeries() <= 200) {
      tree_->expandToDepth(2);
    } else {
      tree_->expandToDepth(1);
    }
  }
}

void BrowserPane::updateCounts() {
  const bool filtered = !model_->filter().isEmpty();
  count_->setText(filtered ? QStringLiteral("%1 of %2 series")
                                 .arg(formatCount(model_->shownSeries()), formatCount(model_->totalSeries()))
                           : QStringLiteral("%1 series").arg(formatCount(model_->totalSeries())));
  const bool nothing = model_->shownSeries() == 0;
  tree_->setVisible(!nothing);
  empty_->setVisible(nothing);
  if (nothing && filtered) {
    empty_->setWords(Icon::Search, QStringLiteral("Nothing matches"), QString(), QStringLiteral("Clear filter"));
  } else if (nothing) {
    empty_->setWords(Icon::Brand, QStringLiteral("No metrics yet"),
                     QStringLiteral("They appear here as soon as something is pushed to this server."), QString());
  }
}

void BrowserPane::expandFirstLevels() {
  int rows = model_->rowCount();
  for (int i = 0; i < model_->rowCount(); ++i) rows += model_->rowCount(model_->index(i, 0));
  if (rows <= kExpandUpTo) tree_->expandToDepth(0);
}

void BrowserPane::rebuildChips() {
  const auto old = chips_->findChildren<Chip*>();
  for (Chip* chip : old) chip->deleteLater();
  while (QLayoutItem* item = chip_flow_->takeAt(0)) delete item;
  for (const LabelItem& label : chip_labels_) {
    auto* chip = new Chip(label.name, label.value, chips_);
    connect(chip, &Chip::removeRequested, this, [this, label] {
      chip_labels_.removeOne(label);
      rebuildChips();
      applyFilter();
    });
    chip_flow_->addWidget(chip);
    chip->show();
  }
  chip_flow_->addWidget(add_chip_);
  chips_->updateGeometry();
}

void BrowserPane::openLabelMenu() {
  QMenu menu(this);
  const QVector<LabelFacet> facets = labelFacets(catalog_, {filter_->text(), chip_labels_});
  for (const LabelFacet& facet : facets.mid(0, kMaxMenuLabels)) {
    QMenu* values = menu.addMenu(QString(facet.name).replace(QLatin1Char('&'), QStringLiteral("&&")));
    for (const LabelValueCount& value : facet.values.mid(0, kMaxMenuValues)) {
      const LabelItem label{facet.name, value.value};
      QAction* action = values->addAction(QStringLiteral("%1\t%2").arg(
          QString(value.value).replace(QLatin1Char('&'), QStringLiteral("&&")), formatCount(value.series_count)));
      action->setEnabled(!chip_labels_.contains(label));
      connect(action, &QAction::triggered, this, [this, label] {
        chip_labels_.append(label);
        rebuildChips();
        applyFilter();
      });
    }
  }
  if (facets.isEmpty()) menu.addAction(QStringLiteral("No labels to filter by"))->setEnabled(false);
  menu.exec(add_chip_->mapToGlobal(QPoint(0, add_chip_->height() + spacing::kTight)));
}

void BrowserPane::activate(const QModelIndex& index) {
  const QString selector = index.data(SeriesCatalogModel::SelectorRole).toString();
  if (selector.isEmpty()) {
    tree_->setExpanded(index, !tree_->isExpanded(index));
  } else {
    Q_EMIT selectorActivated(selector);
  }
}

bool BrowserPane::eventFilter(QObject* watched, QEvent* event) {
  if (watched == filter_ && event->type() == QEvent::KeyPress) {
    const int key = static_cast<QKeyEvent*>(event)->key();
    if (key == Qt::Key_Escape && !filter_->text().isEmpty()) {
      filter_->clear();
      return true;
    }
    if (key == Qt::Key_Down) {
      tree_->setFocus();
      if (!tree_->currentIndex().isValid()) tree_->setCurrentIndex(model_->index(0, 0));
      return true;
    }
  }
  return QFrame::eventFilter(watched, event);
}

void BrowserPane::paintEvent(QPaintEvent* event) {
  QFrame::paintEvent(event);
  const Theme& theme = Theme::current();
  QPainter painter(this);
  paintIcon(painter, Icon::Brand, QRectF(spacing::kWide, 0, 20, kBrandHeight), theme.color(ColorRole::Accent));
  QFont brand = theme.font(FontRole::Strong);
  brand.setPixelSize(14);
  painter.setFont(brand);
  painter.setPen(theme.color(ColorRole::Text));
  painter.drawText(QRect(spacing::kWide + 28, 0, width(), kBrandHeight), Qt::AlignVCenter,
                   QStringLiteral("Pulseboard"));
  painter.setPen(theme.color(ColorRole::Border));
  painter.drawLine(width() - 1, 0, width() - 1, height());
}

}  // namespace pulseboard::qt

#include "client-qt/ui/panel_grid.h"

#include <QDragEnterEvent>
#include <QMimeData>
#include <QPainter>
#include <QScrollBar>
#include <algorithm>

#include "client-qt/chart/crosshair.h"
#include "client-qt/model/series_catalog_model.h"
#include "client-qt/ui/panel_header.h"
#include "client-qt/ui/panel_view.h"
#include "client-qt/ui/state_card.h"
#include "client-qt/ui/theme.h"

namespace pulseboard::qt {
namespace {

constexpr int kGap = spacing::kBase;
constexpr int kMinRow = 224;  // three of them fit into a window of 1280 x 800
constexpr int kMaxRow = 560;
constexpr int kNarrowRow = 264;

QString mimeType() { return QLatin1String(SeriesCatalogModel::kSelectorMimeType); }

}  // namespace

PanelGrid::PanelGrid(Crosshair& crosshair, QWidget* parent)
    : QScrollArea(parent), crosshair_(crosshair), page_(new QWidget), empty_(new StateCard(page_)) {
  setObjectName(QStringLiteral("grid"));
  setFrameShape(QFrame::NoFrame);
  setWidgetResizable(false);
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  setWidget(page_);
  setFocusPolicy(Qt::NoFocus);
  viewport()->setAutoFillBackground(false);
  page_->setAutoFillBackground(false);
  page_->setAcceptDrops(true);
  page_->installEventFilter(this);
  empty_->setWords(Icon::Brand, QStringLiteral("This dashboard has no panels yet"),
                   QStringLiteral("Drag a metric here from the list on the left, or choose one."),
                   QStringLiteral("Add panel"));
  connect(empty_, &StateCard::actionRequested, this, &PanelGrid::addRequested);
}

PanelView* PanelGrid::view(const QString& panel_id) const {
  const auto found =
      std::find_if(views_.begin(), views_.end(), [&](const PanelView* v) { return v->spec().id == panel_id; });
  return found == views_.end() ? nullptr : *found;
}

void PanelGrid::setPanels(const QVector<PanelSpec>& panels) {
  QVector<PanelView*> next;
  for (const PanelSpec& spec : panels) {
    PanelView* have = view(spec.id);
    // Another kind needs another chart.
    if (have != nullptr && have->spec().kind == spec.kind) {
      have->setSpec(spec);
    } else {
      have = new PanelView(spec, crosshair_, page_);
      have->setOffline(offline_);
      Q_EMIT viewAdded(have);
    }
    next.append(have);
  }
  for (PanelView* old : views_) {
    if (next.contains(old)) continue;
    old->hide();
    old->deleteLater();
  }
  views_ = next;
  if (view(maximised_) == nullptr) maximised_.clear();
  arrange();
}

void PanelGrid::setDensity(Density density) {
  if (density == density_) return;
  density_ = density;
  arrange();
}

void PanelGrid::setOffline(bool offline) {
  offline_ = offline;
  for (PanelView* panel : views_) panel->setOffline(offline);
}

void PanelGrid::setMaximised(const QString& panel_id) {
  maximised_ = panel_id;
  arrange();
  verticalScrollBar()->setValue(0);
}

void PanelGrid::scrollTo(const QString& panel_id) {
  if (PanelView* panel = view(panel_id)) ensureWidgetVisible(panel, 0, kGap);
}

QVector<PanelSpec> PanelGrid::placed() const {
  QVector<PanelSpec> specs;
  for (const PanelView* panel : views_) specs.append(panel->spec());
  if (density_ == Density::Wide) return specs;
  QVector<PanelSpec*> order;
  for (PanelSpec& spec : specs) order.append(&spec);
  std::stable_sort(order.begin(), order.end(), [](const PanelSpec* a, const PanelSpec* b) {
    return a->row != b->row ? a->row < b->row : a->column < b->column;
  });
  int column = 0;
  int row = 0;
  int row_height = 1;
  for (PanelSpec* spec : order) {
    const int width = density_ == Density::Narrow || spec->width > kGridColumns / 2 ? kGridColumns : kGridColumns / 2;
    if (column + width > kGridColumns) {
      row += row_height;
      column = 0;
      row_height = 1;
    }
    spec->width = width;
    spec->column = column;
    spec->row = row;
    row_height = std::max(row_height, spec->height);
    column += width;
  }
  return specs;
}

int PanelGrid::rowHeight(int rows) const {
  if (density_ == Density::Narrow) return kNarrowRow;
  return std::clamp((viewport()->height() - (rows + 1) * kGap) / std::max(1, rows), kMinRow, kMaxRow);
}

void PanelGrid::arrange() {
  const int width = viewport()->width();
  empty_->setVisible(views_.isEmpty());
  if (views_.isEmpty()) {
    page_->resize(viewport()->size());
    empty_->setGeometry(page_->rect());
    return;
  }
  if (!maximised_.isEmpty()) {
    page_->resize(viewport()->size());
    for (PanelView* panel : views_) {
      const bool big = panel->spec().id == maximised_;
      if (big) panel->setGeometry(page_->rect().adjusted(kGap, kGap, -kGap, -kGap));
      panel->header().setMaximised(big);
      panel->setVisible(big);
    }
    return;
  }
  const QVector<PanelSpec> places = placed();
  int rows = 1;
  for (const PanelSpec& place : places) rows = std::max(rows, place.row + place.height);
  const int row = rowHeight(rows);
  page_->resize(width, std::max(viewport()->height(), rows * (row + kGap) + kGap));
  // Edges are computed from the full width, so that the last column ends at the margin whatever the rounding.
  const double pitch = static_cast<double>(width - kGap) / kGridColumns;
  for (qsizetype i = 0; i < places.size(); ++i) {
    const PanelSpec& place = places[i];
    const int left = kGap + static_cast<int>(place.column * pitch);
    const int right = static_cast<int>((place.column + place.width) * pitch);
    const int top = kGap + place.row * (row + kGap);
    views_[i]->header().setMaximised(false);
    views_[i]->header().setTouch(density_ == Density::Narrow);
    views_[i]->setGeometry(left, top, right - left, place.height * (row + kGap) - kGap);
    views_[i]->show();
  }
}

void PanelGrid::resizeEvent(QResizeEvent* event) {
  QScrollArea::resizeEvent(event);
  arrange();
}

bool PanelGrid::eventFilter(QObject* watched, QEvent* event) {
  if (watched != page_) return QScrollArea::eventFilter(watched, event);
  const auto target = [this](bool on) {
    drop_target_ = on;
    page_->update();
  };
  switch (event->type()) {
    case QEvent::DragEnter:
    case QEvent::DragMove: {
      auto* drag = static_cast<QDragMoveEvent*>(event);
      if (!drag->mimeData()->hasFormat(mimeType())) return false;
      drag->acceptProposedAction();
      target(true);
      return true;
    }
    case QEvent::DragLeave:
      target(false);
      return true;
    case QEvent::Drop: {
      auto* drop = static_cast<QDropEvent*>(event);
      target(false);
      const QStringList selectors =
          QString::fromUtf8(drop->mimeData()->data(mimeType())).split(QLatin1Char('\n'), Qt::SkipEmptyParts);
      if (selectors.isEmpty()) return false;
      drop->acceptProposedAction();
      Q_EMIT selectorsDropped(selectors);
      return true;
    }
    case QEvent::Paint:
      if (drop_target_) {
        QPainter painter(page_);
        QPen pen(Theme::current().color(ColorRole::Accent), 1.5, Qt::DashLine);
        painter.setPen(pen);
        painter.drawRoundedRect(QRectF(page_->rect()).adjusted(2.5, 2.5, -2.5, -2.5), kPanelRadius, kPanelRadius);
      }
      return false;
    default:
      return QScrollArea::eventFilter(watched, event);
  }
}

}  // namespace pulseboard::qt

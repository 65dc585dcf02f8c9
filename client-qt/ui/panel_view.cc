#include "client-qt/ui/panel_view.h"

#include <QDragEnterEvent>
#include <QMimeData>
#include <QPainter>
#include <QPushButton>
#include <algorithm>
#include <utility>

#include "client-qt/model/series_catalog_model.h"
#include "client-qt/model/units.h"
#include "client-qt/ui/panel_header.h"
#include "client-qt/ui/state_card.h"
#include "client-qt/ui/theme.h"
#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr int kHeaderHeight = PanelHeader::kHeight;
constexpr int kInset = 12;
constexpr int kLoadingLine = 2;
constexpr int kLoadingDelayMs = 300;
constexpr int kLegendEveryMs = 400;  // figures that change faster can't be read
constexpr int kLegendInset = 4;
constexpr int kMinChartHeight = 72;
constexpr int kLegendBesideFrom = 640;  // narrower panels carry their legend below the chart
constexpr qint64 kSilenceFloor = 10 * kNanosPerSecond;

QString kindCaption(const PanelSpec& spec) {
  QStringList metrics;
  for (const QString& selector : spec.selectors) metrics << selector.section(QLatin1Char('{'), 0, 0);
  metrics.removeDuplicates();
  return metrics.size() > 2 ? QStringLiteral("%1 and %2 more").arg(metrics.first()).arg(metrics.size() - 1)
                            : metrics.join(QStringLiteral(", "));
}

qint64 monotonicMs() { return SystemClock().MonotonicNanos() / kNanosPerMilli; }

}  // namespace

PanelView::PanelView(const PanelSpec& spec, Crosshair& crosshair, QWidget* parent)
    : QFrame(parent), spec_(spec), crosshair_(crosshair), data_(std::make_unique<PanelData>(spec.id)) {
  setObjectName(QStringLiteral("panel:") + spec.id);
  setAcceptDrops(true);
  header_ = new PanelHeader(this);
  legend_ = new LegendView(this);
  state_ = new StateCard(this);
  state_->hide();
  connect(header_, &PanelHeader::maximiseToggled, this, &PanelView::maximiseToggled);
  connect(header_, &PanelHeader::removeRequested, this, &PanelView::removeRequested);
  buildChart();
  for (QPushButton* action : header_->findChildren<QPushButton*>()) action->installEventFilter(this);
  connect(state_, &StateCard::actionRequested, this, [this] {
    if (error_.isEmpty()) {
      Q_EMIT widerRangeRequested();
    } else {
      Q_EMIT retryRequested();
    }
  });
  loading_delay_.setSingleShot(true);
  loading_delay_.setInterval(kLoadingDelayMs);
  connect(&loading_delay_, &QTimer::timeout, this, [this] {
    loading_line_ = awaiting_;
    updateState();
    update();
  });
  if (Theme* theme = Theme::instance()) connect(theme, &Theme::changed, this, &PanelView::applyStyle);
  applyStyle();
  updateHeader();
  beginLoading();
}

PanelView::~PanelView() {
  // The charts read data_: they go first.
  delete line_chart_;
  delete bar_chart_;
}

void PanelView::buildChart() {
  if (spec_.kind == PanelKind::TopBars) {
    bar_chart_ = new BarChart(*data_, this);
    bar_chart_->setFocusPolicy(Qt::TabFocus);
    bar_chart_->installEventFilter(this);
    bar_chart_->setScale(spec_.unit, spec_.axis_max);
    connect(bar_chart_, &BarChart::painted, this, &PanelView::onPainted);
    legend_->hide();
    return;
  }
  line_chart_ = new LineChart(*data_, crosshair_, this);
  line_chart_->installEventFilter(this);
  line_chart_->setOptions({spec_.kind == PanelKind::StackedArea, spec_.unit, spec_.axis_min, spec_.axis_max});
  connect(line_chart_, &LineChart::painted, this, &PanelView::onPainted);
  connect(line_chart_, &LineChart::axisUnitChanged, this, &PanelView::updateHeader);
  connect(line_chart_, &LineChart::rangeSelected, this, &PanelView::rangeSelected);
  connect(line_chart_, &LineChart::zoomRequested, this, &PanelView::zoomRequested);
  connect(legend_, &LegendView::highlighted, line_chart_, &LineChart::setHighlighted);
  // Drops on the chart are drops on the panel.
  line_chart_->setAcceptDrops(false);
  line_chart_->viewport()->setAcceptDrops(false);
}

void PanelView::setSpec(const PanelSpec& spec) {
  spec_ = spec;
  updateHeader();
}

void PanelView::applyStyle() {
  const ChartStyle style = Theme::current().chartStyle();
  if (line_chart_ != nullptr) line_chart_->setChartStyle(style);
  if (bar_chart_ != nullptr) bar_chart_->setChartStyle(style);
  legend_->setChartStyle(style);
  update();
}

void PanelView::updateHeader() {
  QStringList caption;
  if (line_chart_ != nullptr) {  // bars carry the unit at each figure
    QString unit = line_chart_->axisUnit();
    if (unit.isEmpty()) unit = unitCaption(spec_.unit.isEmpty() ? data_->unit() : spec_.unit);
    if (!unit.isEmpty()) caption << unit.trimmed();
  }
  const QString source = kindCaption(spec_);
  if (source != spec_.title) caption << source;
  header_->setWords(spec_.title, caption.join(QStringLiteral(" · ")));
  setAccessibleName(QStringLiteral("Panel ") + spec_.title);
  if (line_chart_ != nullptr) line_chart_->setAccessibleName(QStringLiteral("Chart ") + spec_.title);
  if (bar_chart_ != nullptr) bar_chart_->setAccessibleName(QStringLiteral("Bars ") + spec_.title);
}

bool PanelView::apply(const FeedBatch& batch, qint64 backfill_column_nanos) {
  const bool changed = data_->apply(batch, backfill_column_nanos);
  if (batch.backfill_done && awaiting_) finishLoading();
  if (changed) {
    changed_ = true;
    live_pending_ = live_pending_ || (!batch.samples.empty() && !awaiting_);
  }
  return changed;
}

void PanelView::setEvents(const EventLog* events) {
  if (line_chart_ != nullptr) line_chart_->setEvents(events);
}

void PanelView::onPainted() {
  if (std::exchange(live_pending_, false)) ++live_updates_;
  Q_EMIT painted();
}

void PanelView::beginLoading() {
  awaiting_ = true;
  error_ = {};
  loading_delay_.start();
}

void PanelView::finishLoading() {
  awaiting_ = false;
  loading_line_ = false;
  loading_delay_.stop();
  error_ = {};
  changed_ = true;
  updateHeader();
  updateState();
  update(0, kHeaderHeight - 1, width(), 4);
}

void PanelView::applyHistory(const HistoryResult& history, TimeRange range, qint64 column_nanos, bool first) {
  if (first) data_->clear();
  data_->applyHistory(history, range, column_nanos);
  finishLoading();
}

void PanelView::fail(const UserError& error) {
  awaiting_ = false;
  loading_line_ = false;
  loading_delay_.stop();
  error_ = error;
  updateState();
  update();
}

// The card covers the chart only where there is nothing to see below it.
void PanelView::updateState() {
  const bool nothing = data_->isEmpty();
  bool show = true;
  if (!error_.isEmpty()) {
    state_->setWords(Icon::Warning, error_.title, error_.detail, QStringLiteral("Try again"));
  } else if (nothing && awaiting_) {
    state_->setWords(Icon::Brand, QStringLiteral("Waiting for data"), QString(), QString());
    show = loading_line_;
  } else if (nothing) {
    // A day is looked at before a person is told to wait.
    const bool short_range = shown_nanos_ < kNanosPerDay;
    state_->setWords(Icon::Search, QStringLiteral("No data in the shown time"), spec_.selectors.join(QLatin1Char('\n')),
                     short_range ? QStringLiteral("Show last 24 h") : QString());
  } else {
    show = false;
  }
  if (show == !state_->isHidden()) return;
  state_->setVisible(show);
  layoutBody();
}

bool PanelView::refresh(TimeRange range, qint64 now_unix_nanos, bool live) {
  if (awaiting_ || visibleRegion().isEmpty()) return false;
  const bool changed = std::exchange(changed_, false);
  shown_nanos_ = range.end - range.start;
  if (changed) updateState();
  if (line_chart_ != nullptr) line_chart_->refresh(range, now_unix_nanos, live, changed);
  if (bar_chart_ != nullptr) bar_chart_->refresh(range, changed);
  const qint64 now_ms = monotonicMs();
  legend_behind_ = legend_behind_ || changed;
  if ((legend_behind_ && now_ms >= legend_due_) || range.end - range.start != legend_range_.end - legend_range_.start) {
    legend_due_ = now_ms + kLegendEveryMs;
    legend_behind_ = false;
    updateLegend(range);
  }
  updateBadge(now_unix_nanos, live);
  return changed;
}

void PanelView::updateLegend(TimeRange range) {
  legend_range_ = range;
  if (line_chart_ == nullptr) return;
  const auto room = [this] {
    return std::pair(legend_->heightFor(width() - 2 * kInset - kLegendInset), legend_->widthBeside());
  };
  const auto before = room();
  const QString unit = spec_.unit.isEmpty() ? data_->unit() : spec_.unit;
  legend_->setRows(data_->legend(range), unit, data_->hiddenSeries());
  if (room() != before) layoutBody();
}

void PanelView::updateBadge(qint64 now_unix_nanos, bool live) {
  QString words;
  const std::optional<qint64> newest = data_->newestTime();
  if (offline_) {
    words = QStringLiteral("○ offline");
  } else if (live && newest) {
    qint64 interval = 0;
    for (const SeriesItem& series : data_->series()) interval = std::max(interval, data_->intervalOf(series.id));
    const qint64 silence = now_unix_nanos - *newest;
    if (silence > std::max(kSilenceFloor, 3 * interval))
      words = QStringLiteral("○ silent for ") + formatDuration(silence);
  }
  header_->setBadge(words);
}

void PanelView::setOffline(bool offline) {
  if (offline == offline_) return;
  offline_ = offline;
  if (line_chart_ != nullptr) line_chart_->setDimmed(offline);
  if (bar_chart_ != nullptr) bar_chart_->setDimmed(offline);
  updateBadge(0, false);
}

int PanelView::plotPixels() const { return line_chart_ != nullptr ? line_chart_->plotPixels() : 0; }

void PanelView::layoutBody() {
  header_->setGeometry(0, 0, width(), kHeaderHeight);
  const QRect body(kInset, kHeaderHeight + kLoadingLine, width() - 2 * kInset,
                   height() - kHeaderHeight - kLoadingLine - kInset);
  state_->setGeometry(body);
  if (bar_chart_ != nullptr) bar_chart_->setGeometry(body.adjusted(0, 4, 0, 0));
  const bool covered = !state_->isHidden();
  if (bar_chart_ != nullptr) bar_chart_->setVisible(!covered);
  if (line_chart_ == nullptr) return;
  line_chart_->setVisible(!covered);
  const bool beside = body.width() >= kLegendBesideFrom;
  legend_->setBeside(beside);
  if (beside) {
    const int wide = std::min(legend_->widthBeside(), body.width() / 3);
    legend_->setVisible(!covered && !legend_->rows().isEmpty());
    line_chart_->setGeometry(rect().left() + 4, body.top(), width() - wide - kInset - spacing::kSection, body.height());
    legend_->setGeometry(body.right() + 1 - wide, body.top(), wide, body.height());
    return;
  }
  int legend_height = legend_->heightFor(body.width() - kLegendInset);
  if (body.height() - legend_height < kMinChartHeight) legend_height = 0;
  legend_->setVisible(!covered && legend_height > 0);
  line_chart_->setGeometry(rect().left() + 4, body.top(), width() - 8,
                           body.height() - legend_height - (legend_height > 0 ? 4 : 0));
  legend_->setGeometry(body.left() + kLegendInset, body.bottom() + 1 - legend_height, body.width() - kLegendInset,
                       legend_height);
}

void PanelView::resizeEvent(QResizeEvent* event) {
  QFrame::resizeEvent(event);
  layoutBody();
}

void PanelView::paintEvent(QPaintEvent*) {
  const Theme& theme = Theme::current();
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(theme.color(drop_target_ || hasFocusInside() ? ColorRole::Accent : ColorRole::Border));
  painter.setBrush(theme.color(ColorRole::Panel));
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), kPanelRadius, kPanelRadius);
  if (loading_line_)
    painter.fillRect(QRectF(1, kHeaderHeight, width() - 2, kLoadingLine), theme.color(ColorRole::Accent));
}

bool PanelView::hasFocusInside() const {
  const QWidget* focus = focusWidget();
  return focus != nullptr && focus->hasFocus() && isAncestorOf(focus);
}

bool PanelView::eventFilter(QObject* watched, QEvent* event) {
  // Focus shows the actions as hovering does; where it went is known only after it left.
  if (event->type() == QEvent::FocusIn) {
    header_->setActive(true);
    update();
  }
  if (event->type() == QEvent::FocusOut) QTimer::singleShot(0, this, [this] { updateActive(); });
  return QFrame::eventFilter(watched, event);
}

void PanelView::updateActive() {
  header_->setActive(underMouse() || hasFocusInside());
  update();
}

void PanelView::enterEvent(QEnterEvent* event) {
  QFrame::enterEvent(event);
  header_->setActive(true);
}

void PanelView::leaveEvent(QEvent* event) {
  QFrame::leaveEvent(event);
  header_->setActive(hasFocusInside());
}

void PanelView::dragEnterEvent(QDragEnterEvent* event) {
  if (!event->mimeData()->hasFormat(QLatin1String(SeriesCatalogModel::kSelectorMimeType))) return;
  event->acceptProposedAction();
  drop_target_ = true;
  update();
}

void PanelView::dragLeaveEvent(QDragLeaveEvent*) {
  drop_target_ = false;
  update();
}

void PanelView::dropEvent(QDropEvent* event) {
  drop_target_ = false;
  update();
  const QByteArray bytes = event->mimeData()->data(QLatin1String(SeriesCatalogModel::kSelectorMimeType));
  const QStringList selectors = QString::fromUtf8(bytes).split(QLatin1Char('\n'), Qt::SkipEmptyParts);
  if (selectors.isEmpty()) return;
  event->acceptProposedAction();
  Q_EMIT selectorsDropped(selectors);
}

}  // namespace pulseboard::qt

#include "client-qt/chart/line_chart.h"

#include <QChart>
#include <QGraphicsLayout>
#include <QLineSeries>
#include <QPainter>
#include <QValueAxis>
#include <algorithm>

#include "client-qt/chart/event_painter.h"
#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr int kTopMargin = kEventFlag + 2;
constexpr int kBottomMargin = 22;
constexpr int kMinGutter = 40;
constexpr int kGutterStep = 8;  // the plot's left edge moves in steps, so that panels stay aligned
constexpr int kTimeLabelPitch = 76;
constexpr int kBleed = kEventFlag + 2;  // around the plot in the cached picture: halos, flags
constexpr double kDimmedOpacity = 0.6;
constexpr double kGridOpacity = 0.6;
constexpr double kAmendPitch = 7;  // marks of a series do not touch
constexpr int kMaxAreaSeries = 3;  // more would be stripes

QColor mix(const QColor& below, const QColor& above, double opacity) {
  const auto channel = [&](int a, int b) { return static_cast<int>(std::lround(a + (b - a) * opacity)); };
  return QColor(channel(below.red(), above.red()), channel(below.green(), above.green()),
                channel(below.blue(), above.blue()));
}

}  // namespace

LineChart::LineChart(const PanelData& panel_data, Crosshair& crosshair, QWidget* parent)
    : QChartView(parent), data_(panel_data), crosshair_(crosshair) {
  buildChart();
  setFrameShape(QFrame::NoFrame);
  setFocusPolicy(Qt::TabFocus);  // a click is no visit with the keys
  setMouseTracking(true);
  viewport()->setMouseTracking(true);
  setRenderHint(QPainter::Antialiasing, false);
  setViewportUpdateMode(QGraphicsView::MinimalViewportUpdate);
  setOptimizationFlags(QGraphicsView::DontSavePainterState | QGraphicsView::DontAdjustForAntialiasing);
  connect(&crosshair_, &Crosshair::moved, this, &LineChart::onCrosshairMoved);
}

void LineChart::buildChart() {
  chart_ = chart();  // the view's own: setChart() would leave that one to us
  chart_->setAnimationOptions(QChart::NoAnimation);
  chart_->legend()->hide();
  chart_->setMargins(QMargins());
  chart_->setBackgroundVisible(false);
  chart_->setAcceptHoverEvents(false);
  time_axis_ = new QValueAxis(chart_);
  value_axis_ = new QValueAxis(chart_);
  chart_->addAxis(time_axis_, Qt::AlignBottom);
  chart_->addAxis(value_axis_, Qt::AlignLeft);
  for (QValueAxis* axis : {time_axis_, value_axis_}) {
    axis->setLabelsVisible(false);
    axis->setLineVisible(false);
    axis->setMinorGridLineVisible(false);
  }
  time_axis_->setGridLineVisible(false);
  auto* frame = new QLineSeries(chart_);  // axes belong to a series; its lines are painted by us
  chart_->addSeries(frame);
  frame->attachAxis(time_axis_);
  frame->attachAxis(value_axis_);
}

void LineChart::setOptions(const Options& options) {
  options_ = options;
  axis_known_ = false;
  invalidate();
}

void LineChart::setChartStyle(const ChartStyle& style) {
  style_ = style;
  setBackgroundBrush(style.panel);
  // Mixed here: Qt hands translucent lines to its thread pool, which costs far more than the lines.
  value_axis_->setGridLinePen(QPen(mix(style.panel, style.border, kGridOpacity), 1));
  if (card_) card_->setChartStyle(style);
  invalidate();
}

void LineChart::setTimeZone(const QTimeZone& zone) {
  zone_ = zone;
  invalidate();
}

void LineChart::setDimmed(bool dimmed) {
  if (dimmed == dimmed_) return;
  dimmed_ = dimmed;
  viewport()->update();
}

void LineChart::setHighlighted(quint64 series_id) {
  if (series_id == highlighted_) return;
  highlighted_ = series_id;
  picture_stale_ = true;
  viewport()->update();
}

void LineChart::setEvents(const EventLog* events) {
  if (events == events_) return;
  events_ = events;
  invalidate();
}

QString LineChart::unit() const { return options_.unit.isEmpty() ? data_.unit() : options_.unit; }

int LineChart::plotPixels() const { return std::max(1, static_cast<int>(scale_.plot.width())); }

void LineChart::invalidate() {
  if (wanted_.empty()) return;
  rebuild();
}

void LineChart::refresh(TimeRange wanted, qint64 now_unix_nanos, bool live, bool data_changed) {
  if (data_.isLoading() && data_.isEmpty()) return;  // the last pixels stay
  wanted_ = wanted;
  now_ = now_unix_nanos;
  live_ = live;
  if (scale_.plot.isEmpty()) layoutPlot();
  if (!data_changed && PlotScale::onPixels(wanted, plotPixels()) == scale_.range) return;
  fresh_paint_ = fresh_paint_ || data_changed;
  rebuild();
}

void LineChart::rebuild() {
  scale_.range = PlotScale::onPixels(wanted_, plotPixels());
  lines_ = data_.lines(scale_.range, plotPixels());
  stack_ = options_.stacked ? stackLines(lines_, scale_.range, plotPixels()) : QVector<StackLayer>();
  gaps_ = data_.gaps(scale_.range, now_);
  // Stacked, a value has no place of its own.
  amends_ = options_.stacked ? QVector<AmendMark>() : data_.amends(scale_.range, scale_.nanosOf(kAmendPitch));
  event_marks_ =
      events_ != nullptr ? events_->marks(scale_.range, scale_.nanosOf(kEventMarkPitch)) : QVector<EventMark>();
  edge_ = live_ ? data_.liveEdge(scale_.range) : QVector<HoverValue>();
  updateAxis();
  time_ticks_ = timeTicks(scale_.range, std::max(2, plotPixels() / kTimeLabelPitch), zone_);
  drawn_points_ = 0;
  for (const SeriesLine& line : lines_) {
    for (const auto& run : line.runs) drawn_points_ += static_cast<int>(run.size());
  }
  picture_stale_ = true;
  if (mouse_) hoverAt(*mouse_);
  onCrosshairMoved();
  viewport()->update();
}

void LineChart::updateAxis() {
  std::optional<ValueRange> values = data_.valueRange(scale_.range);
  if (options_.stacked) values = ValueRange{0, stackTop(stack_)};
  if (!values) values = ValueRange{0, 1};
  if (options_.axis_min) values->min = *options_.axis_min;
  if (options_.axis_max) values->max = *options_.axis_max;
  const ValueAxis wanted = valueAxis(*values, unit());
  const bool fixed = options_.axis_min && options_.axis_max;
  axis_ = axis_known_ && !fixed ? steadyAxis(axis_, wanted) : wanted;
  axis_known_ = true;
  scale_.min = axis_.min;
  scale_.max = axis_.max;

  const QString suffix = axis_unit_.suffix;
  axis_unit_ = unitScale(std::max(std::abs(axis_.min), std::abs(axis_.max)), unit());
  labels_ = ValueLabels::of(axis_, axis_unit_.divisor);
  const int ticks = std::max<int>(2, static_cast<int>(axis_.ticks.size()));
  if (value_axis_->min() != axis_.min || value_axis_->max() != axis_.max || value_axis_->tickCount() != ticks) {
    value_axis_->setRange(axis_.min, axis_.max);
    value_axis_->setTickCount(ticks);
    applyChartLayout();
  }
  if (suffix != axis_unit_.suffix) Q_EMIT axisUnitChanged(axis_unit_.suffix);

  const int widest = labels_.widest(axis_, style_.caption);
  const int gutter = std::max(kMinGutter, (widest + kAxisLabelGap + 4 + kGutterStep - 1) / kGutterStep * kGutterStep);
  if (gutter > gutter_) {
    gutter_ = gutter;
    layoutPlot();
    scale_.range = PlotScale::onPixels(wanted_, plotPixels());
  }
}

void LineChart::layoutPlot() {
  const QRectF plot(std::max(gutter_, kMinGutter), kTopMargin,
                    std::max(1, viewport()->width() - std::max(gutter_, kMinGutter) - kRightMargin),
                    std::max(1, viewport()->height() - kTopMargin - kBottomMargin));
  if (plot == scale_.plot) return;
  scale_.plot = plot;
  chart_->setPlotArea(plot);
  applyChartLayout();
}

// Qt Charts lays out its grid only when an event of its own comes around, which under steady repaints may be late.
void LineChart::applyChartLayout() {
  chart_->layout()->invalidate();
  chart_->layout()->activate();
}

void LineChart::resizeEvent(QResizeEvent* event) {
  QChartView::resizeEvent(event);
  layoutPlot();
  invalidate();
}

void LineChart::renderPlot() {
  const double ratio = devicePixelRatioF();
  const QSize size = scale_.plot.adjusted(-kBleed, -kBleed, kBleed, kBleed).size().toSize();
  if (picture_.size() != size * ratio) {
    picture_ = QPixmap(size * ratio);
    picture_.setDevicePixelRatio(ratio);
  }
  picture_.fill(Qt::transparent);
  QPainter painter(&picture_);
  painter.translate(kBleed - scale_.plot.left(), kBleed - scale_.plot.top());
  painter.setClipRect(scale_.plot.adjusted(0, -1, 0, 1));
  if (!options_.stacked && lines_.size() <= kMaxAreaSeries && scale_.min == 0) {
    paintAreas(painter, lines_, scale_, style_);
  }
  paintGaps(painter, gaps_, scale_, style_);
  paintEventLines(painter, event_marks_, scale_, style_);
  if (options_.stacked) {
    paintStack(painter, stack_, scale_, style_, highlighted_);
  } else {
    paintLines(painter, lines_, scale_, style_, highlighted_);
    paintAmends(painter, amends_, scale_, style_, highlighted_);
  }
  painter.setClipping(false);
  paintEventFlags(painter, event_marks_, scale_, style_);
  paintLiveEdge(painter, edge_, scale_, style_, options_.stacked);
  picture_stale_ = false;
}

void LineChart::drawForeground(QPainter* painter, const QRectF& exposed) {
  if (!scale_.usable() || !axis_known_) return;
  if (picture_stale_) renderPlot();
  const QRectF& plot = scale_.plot;
  // The crosshair's strips reach no label.
  if (exposed.left() < plot.left() - kAxisLabelGap) paintValueLabels(*painter, axis_, labels_, scale_, style_);
  if (exposed.bottom() > plot.bottom() + kCrosshairMargin + 1) {
    paintTimeLabels(*painter, time_ticks_, scale_, viewport()->width() - 2, style_);
  }
  if (dimmed_) painter->setOpacity(kDimmedOpacity);
  painter->drawPixmap(plot.topLeft() - QPointF(kBleed, kBleed), picture_);
  painter->setOpacity(1);
  if (const EventMark* mark = hoveredEvent()) paintHoveredEvent(*painter, *mark, scale_, style_);
  if (selecting_from_ && mouse_) paintSelection(*painter, *selecting_from_, mouse_->x(), scale_, style_);
  if (crosshair_.time()) paintCrosshair(*painter, *crosshair_.time(), hover_, scale_, style_, options_.stacked);
}

void LineChart::paintEvent(QPaintEvent* event) {
  QChartView::paintEvent(event);
  if (fresh_paint_ && !picture_stale_) {
    fresh_paint_ = false;
    Q_EMIT painted();
  }
}

}  // namespace pulseboard::qt

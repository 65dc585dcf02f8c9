#include "client-qt/ui/panel_view.h"

#include <QDateTime>
#include <QDragEnterEvent>
#include <QElapsedTimer>
#include <QLabel>
#include <QMimeData>
#include <QPainter>
#include <QPushButton>
#include <algorithm>

#include "client-qt/model/series_catalog_model.h"
#include "client-qt/model/units.h"
#include "client-qt/ui/state_card.h"
#include "client-qt/ui/theme.h"
#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr int kHeaderHeight = 32;
constexpr int kInset = 12;
constexpr int kLoadingLine = 2;
constexpr int kLoadingDelayMs = 300;
constexpr int kLegendEveryMs = 400;  // figures that change faster can't be read
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
  legend_ = new LegendView(this);
  state_ = new StateCard(this);
  state_->hide();
  buildHeader();
  buildChart();
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

void PanelView::buildHeader() {
  title_ = new QLabel(this);
  title_->setProperty("kind", "strong");
  title_->setTextFormat(Qt::PlainText);
  caption_ = new QLabel(this);
  caption_->setProperty("kind", "caption");
  caption_->setTextFormat(Qt::PlainText);
  badge_ = new QLabel(this);
  badge_->setProperty("kind", "caption");
  badge_->hide();
  maximise_ = new QPushButton(this);
  maximise_->setIcon(themedIcon(Icon::Maximise, ColorRole::Secondary));
  maximise_->setAccessibleName(QStringLiteral("Maximise panel"));
  maximise_->setToolTip(QStringLiteral("Maximise"));
  maximise_->setObjectName(QStringLiteral("maximise"));
  remove_ = new QPushButton(this);
  remove_->setIcon(themedIcon(Icon::Close, ColorRole::Secondary));
  remove_->setAccessibleName(QStringLiteral("Remove panel"));
  remove_->setToolTip(QStringLiteral("Remove panel"));
  remove_->setObjectName(QStringLiteral("remove"));
  for (QPushButton* button : {maximise_, remove_}) {
    button->setProperty("kind", "quiet");
    button->setFixedSize(24, 24);
    button->setStyleSheet(QStringLiteral("padding: 0; min-height: 22px;"));
    button->installEventFilter(this);  // focus shows the actions as hovering does
  }
  connect(maximise_, &QPushButton::clicked, this, &PanelView::maximiseToggled);
  connect(remove_, &QPushButton::clicked, this, &PanelView::removeRequested);
  showActions(false);
}

void PanelView::buildChart() {
  if (spec_.kind == PanelKind::TopBars) {
    bar_chart_ = new BarChart(*data_, this);
    bar_chart_->setFocusPolicy(Qt::StrongFocus);
    bar_chart_->installEventFilter(this);
    bar_chart_->setScale(spec_.unit, spec_.axis_max);
    connect(bar_chart_, &BarChart::painted, this, &PanelView::painted);
    legend_->hide();
    return;
  }
  line_chart_ = new LineChart(*data_, crosshair_, this);
  line_chart_->installEventFilter(this);
  line_chart_->setOptions({spec_.kind == PanelKind::StackedArea, spec_.unit, spec_.axis_min, spec_.axis_max});
  connect(line_chart_, &LineChart::painted, this, &PanelView::painted);
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
  title_->setText(spec_.title);
  QStringList caption;
  const QString unit =
      line_chart_ != nullptr && !line_chart_->axisUnit().isEmpty() ? line_chart_->axisUnit() : unitCaption(spec_.unit);
  if (!unit.isEmpty()) caption << unit.trimmed();
  const QString source = kindCaption(spec_);
  if (source != spec_.title) caption << source;
  caption_->setText(caption.join(QStringLiteral(" · ")));
  setAccessibleName(QStringLiteral("Panel ") + spec_.title);
  if (line_chart_ != nullptr) line_chart_->setAccessibleName(QStringLiteral("Chart ") + spec_.title);
  if (bar_chart_ != nullptr) bar_chart_->setAccessibleName(QStringLiteral("Bars ") + spec_.title);
  layoutBody();
}

bool PanelView::apply(const FeedBatch& batch, qint64 backfill_column_nanos) {
  const bool changed = data_->apply(batch, backfill_column_nanos);
  if (batch.backfill_done) finishLoading();
  if (changed) {
    changed_ = true;
    if (!batch.samples.empty() && !awaiting_) ++live_updates_;
  }
  return changed;
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
  if ((changed && now_ms >= legend_due_) || range.end - range.start != legend_range_.end - legend_range_.start) {
    legend_due_ = now_ms + kLegendEveryMs;
    updateLegend(range);
  }
  updateBadge(now_unix_nanos, live);
  return changed;
}

void PanelView::updateLegend(TimeRange range) {
  legend_range_ = range;
  if (line_chart_ == nullptr) return;
  const auto room = [this] { return QPair(legend_->heightFor(width() - 2 * kInset), legend_->widthBeside()); };
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
  if (words == badge_->text() && badge_->isHidden() == words.isEmpty()) return;
  badge_->setText(words);
  badge_->setVisible(!words.isEmpty());
  layoutBody();
}

void PanelView::setOffline(bool offline) {
  if (offline == offline_) return;
  offline_ = offline;
  if (line_chart_ != nullptr) line_chart_->setDimmed(offline);
  if (bar_chart_ != nullptr) bar_chart_->setDimmed(offline);
  updateBadge(0, false);
}

void PanelView::setMaximised(bool maximised) {
  maximise_->setIcon(themedIcon(maximised ? Icon::Restore : Icon::Maximise, ColorRole::Secondary));
  maximise_->setAccessibleName(maximised ? QStringLiteral("Restore panel") : QStringLiteral("Maximise panel"));
  maximise_->setToolTip(maximised ? QStringLiteral("Restore (Esc)") : QStringLiteral("Maximise"));
}

void PanelView::setTouch(bool touch) {
  // A finger does not hover: the actions are always there, and large enough.
  maximise_->setFixedSize(touch ? QSize(40, 32) : QSize(24, 24));
  remove_->setFixedSize(maximise_->size());
  setProperty("touch", touch);
  showActions(touch || underMouse());
}

int PanelView::plotPixels() const { return line_chart_ != nullptr ? line_chart_->plotPixels() : 0; }

void PanelView::layoutBody() {
  const QRect inner = rect().adjusted(kInset, 0, -kInset, 0);
  int right = inner.right() + 1;
  // Actions take their room only while shown; the badge moves aside for them.
  for (QPushButton* button : {remove_, maximise_}) {
    if (button->isHidden()) continue;
    right -= button->width();
    button->move(right + 6, (kHeaderHeight - button->height()) / 2 + 1);
  }
  if (!badge_->isHidden()) {
    const int wide = badge_->sizeHint().width();
    right -= wide + (right <= inner.right() ? 4 : 0);
    badge_->setGeometry(right, 0, wide, kHeaderHeight);
  }
  const int title_width = std::min(title_->sizeHint().width(), std::max(40, right - inner.left()));
  title_->setGeometry(inner.left(), 0, title_width, kHeaderHeight);
  const int caption_left = inner.left() + title_width + spacing::kBase;
  caption_->setGeometry(caption_left, 1, std::max(0, right - caption_left - spacing::kBase), kHeaderHeight);

  QRect body(inner.left(), kHeaderHeight + kLoadingLine, inner.width(),
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
  int legend_height = legend_->heightFor(body.width());
  if (body.height() - legend_height < kMinChartHeight) legend_height = 0;
  legend_->setVisible(!covered && legend_height > 0);
  line_chart_->setGeometry(rect().left() + 4, body.top(), width() - 8,
                           body.height() - legend_height - (legend_height > 0 ? 4 : 0));
  legend_->setGeometry(body.left() + 4, body.bottom() + 1 - legend_height, body.width() - 4, legend_height);
}

void PanelView::resizeEvent(QResizeEvent* event) {
  QFrame::resizeEvent(event);
  layoutBody();
}

void PanelView::paintEvent(QPaintEvent*) {
  const Theme& theme = Theme::current();
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(theme.color(drop_target_ ? ColorRole::Accent : ColorRole::Border));
  painter.setBrush(theme.color(ColorRole::Panel));
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), kPanelRadius, kPanelRadius);
  if (loading_line_)
    painter.fillRect(QRectF(1, kHeaderHeight, width() - 2, kLoadingLine), theme.color(ColorRole::Accent));
}

void PanelView::showActions(bool show) {
  if (maximise_->isHidden() == !show) return;
  maximise_->setVisible(show);
  remove_->setVisible(show);
  layoutBody();
}

bool PanelView::hasFocusInside() const {
  const QWidget* focus = focusWidget();
  return focus != nullptr && focus->hasFocus() && isAncestorOf(focus);
}

bool PanelView::eventFilter(QObject* watched, QEvent* event) {
  if (event->type() == QEvent::FocusIn) showActions(true);
  if (event->type() == QEvent::FocusOut) {
    // Where the focus went is known only afterwards.
    QTimer::singleShot(0, this,
                       [this] { showActions(underMouse() || property("touch").toBool() || hasFocusInside()); });
  }
  return QFrame::eventFilter(watched, event);
}

void PanelView::enterEvent(QEnterEvent* event) {
  QFrame::enterEvent(event);
  showActions(true);
}

void PanelView::leaveEvent(QEvent* event) {
  QFrame::leaveEvent(event);
  showActions(property("touch").toBool() || hasFocusInside());
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

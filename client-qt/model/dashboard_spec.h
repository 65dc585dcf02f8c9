// DashboardSpec: what a dashboard shows and where. Plain values, loaded from and stored as JSON.
#pragma once

#include <QJsonObject>
#include <QString>
#include <QStringList>
#include <QVector>
#include <optional>

#include "client-qt/model/types.h"

namespace pulseboard::qt {

inline constexpr int kGridColumns = 12;
inline constexpr int kMaxFeedQueries = 63;  // LiveService's limit per subscription, less the one of the events

// Why the server would refuse a selector, for people; empty when it is good.
QString selectorError(const QString& selector);

enum class PanelKind {
  Lines,
  StackedArea,
  TopBars,  // newest value of each series as bars, largest first
};

struct PanelSpec {
  QString id;  // unique in the dashboard, [a-z0-9-]
  QString title;
  QStringList selectors;
  QString unit;  // UCUM; empty: the series' own
  PanelKind kind = PanelKind::Lines;
  std::optional<double> axis_min;
  std::optional<double> axis_max;
  // Place on a grid of kGridColumns; rows are of equal height and count from 0.
  int column = 0;
  int row = 0;
  int width = 6;
  int height = 1;
  bool operator==(const PanelSpec&) const = default;
};

struct DashboardSpec {
  QString title;
  QVector<PanelSpec> panels;
  qint64 window_seconds = 300;
  bool show_events = true;  // marks of events on the charts

  // CPU, memory, load, disks, network, pressure and the busiest processes of the hosts that push here.
  static DashboardSpec thisMachine();
  // Nothing when the object is no dashboard; `error` then says why. Unknown keys are ignored.
  static std::optional<DashboardSpec> fromJson(const QJsonObject& json, QString* error);
  QJsonObject toJson() const;

  // One feed for all panels: queries `<panel id>/<n>`. Selectors that are no selectors are left out, and
  // panels beyond kMaxFeedQueries selectors.
  FeedSpec feedSpec(qint64 backfill_seconds, int max_points) const;
  PanelSpec* find(const QString& panel_id);
  // A new panel for a selector dragged onto the grid: half a row wide, below all others.
  PanelSpec& addPanel(const QString& selector);
  void removePanel(const QString& panel_id);

  bool operator==(const DashboardSpec&) const = default;
};

// $XDG_CONFIG_HOME/pulseboard/dashboards/<name>.json. Writes are atomic. False with `error` when it did not work.
bool saveDashboard(const QString& path, const DashboardSpec& spec, QString* error);
// Nothing without error when there is no such file.
std::optional<DashboardSpec> loadDashboard(const QString& path, QString* error);

}  // namespace pulseboard::qt

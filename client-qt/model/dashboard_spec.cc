#include "client-qt/model/dashboard_spec.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QJsonArray>
#include <QJsonDocument>
#include <QRegularExpression>
#include <QSaveFile>
#include <QSet>
#include <algorithm>
#include <array>

#include "common/base/errors.h"
#include "common/model/selector.h"

namespace pulseboard::qt {
namespace {

constexpr int kMaxPanels = 64;
constexpr qint64 kMaxFileBytes = 1 << 20;

struct KindName {
  PanelKind kind;
  const char* name;
};
constexpr std::array kKindNames = {KindName{PanelKind::Lines, "lines"}, KindName{PanelKind::StackedArea, "stacked"},
                                   KindName{PanelKind::TopBars, "bars"}};

QString kindName(PanelKind kind) {
  for (const KindName& entry : kKindNames) {
    if (entry.kind == kind) return QString::fromLatin1(entry.name);
  }
  return {};
}

std::optional<PanelKind> kindFrom(const QString& name) {
  for (const KindName& entry : kKindNames) {
    if (name == QLatin1String(entry.name)) return entry.kind;
  }
  return std::nullopt;
}

PanelSpec panel(const char* id, const char* title, QStringList selectors, PanelKind kind, int column, int row,
                int width) {
  PanelSpec spec;
  spec.id = QString::fromLatin1(id);
  spec.title = QString::fromUtf8(title);
  spec.selectors = std::move(selectors);
  spec.kind = kind;
  spec.column = column;
  spec.row = row;
  spec.width = width;
  return spec;
}

QJsonObject panelToJson(const PanelSpec& panel) {
  QJsonObject json{
      {"id", panel.id},     {"title", panel.title},         {"selectors", QJsonArray::fromStringList(panel.selectors)},
      {"unit", panel.unit}, {"kind", kindName(panel.kind)}, {"column", panel.column},
      {"row", panel.row},   {"width", panel.width},         {"height", panel.height}};
  if (panel.axis_min) json["axis_min"] = *panel.axis_min;
  if (panel.axis_max) json["axis_max"] = *panel.axis_max;
  return json;
}

std::optional<PanelSpec> panelFromJson(const QJsonObject& json, QString* error) {
  static const QRegularExpression id_pattern(QStringLiteral("^[a-z0-9-]{1,48}$"));
  PanelSpec panel;
  panel.id = json["id"].toString();
  if (!id_pattern.match(panel.id).hasMatch()) {
    *error = QStringLiteral("panel id '%1' is not 1 to 48 of a-z, 0-9 and dash").arg(panel.id.left(60));
    return std::nullopt;
  }
  const std::optional<PanelKind> kind = kindFrom(json["kind"].toString(QStringLiteral("lines")));
  if (!kind) {
    *error =
        QStringLiteral("panel '%1': kind '%2' is none of lines, stacked, bars").arg(panel.id, json["kind"].toString());
    return std::nullopt;
  }
  panel.kind = *kind;
  panel.title = json["title"].toString();
  panel.unit = json["unit"].toString();
  for (const QJsonValue& selector : json["selectors"].toArray()) panel.selectors << selector.toString();
  if (panel.selectors.isEmpty()) {
    *error = QStringLiteral("panel '%1' has no selector").arg(panel.id);
    return std::nullopt;
  }
  for (const QString& selector : panel.selectors) {
    const QString wrong = selectorError(selector);
    if (wrong.isEmpty()) continue;
    *error = QStringLiteral("panel '%1': %2").arg(panel.id, wrong);
    return std::nullopt;
  }
  if (json["axis_min"].isDouble()) panel.axis_min = json["axis_min"].toDouble();
  if (json["axis_max"].isDouble()) panel.axis_max = json["axis_max"].toDouble();
  panel.width = std::clamp(json["width"].toInt(6), 1, kGridColumns);
  panel.column = std::clamp(json["column"].toInt(), 0, kGridColumns - panel.width);
  panel.row = std::clamp(json["row"].toInt(), 0, 10 * kMaxPanels);
  panel.height = std::clamp(json["height"].toInt(1), 1, 8);
  return panel;
}

}  // namespace

QString selectorError(const QString& selector) {
  const auto parsed = Selector::Parse(selector.toStdString());
  return parsed.ok() ? QString() : QString::fromStdString(StatusMessage(parsed.status()));
}

// Three rows of three: all in sight at once on a usual screen.
DashboardSpec DashboardSpec::thisMachine() {
  DashboardSpec spec;
  spec.title = QStringLiteral("This machine");
  PanelSpec cpu = panel("cpu", "CPU by core", {R"(system.cpu.usage{cpu!="all"})"}, PanelKind::Lines, 0, 0, 4);
  PanelSpec modes = panel("cpu-mode", "CPU by mode", {R"(system.cpu.utilization{cpu="all",mode!="idle"})"},
                          PanelKind::StackedArea, 4, 0, 4);
  PanelSpec memory = panel("memory", "Memory", {R"(system.memory.usage{state=~"used|buffers|cached|free"})"},
                           PanelKind::StackedArea, 0, 1, 4);
  PanelSpec pressure = panel("pressure", "Pressure stall", {"system.pressure"}, PanelKind::Lines, 8, 2, 4);
  for (PanelSpec* from_zero : {&cpu, &modes, &memory, &pressure}) from_zero->axis_min = 0;
  for (PanelSpec* percent : {&cpu, &modes}) percent->axis_max = 100;
  spec.panels = {
      cpu,
      modes,
      panel("process-cpu", "Busiest processes", {"process.cpu.utilization"}, PanelKind::TopBars, 8, 0, 4),
      memory,
      panel("load", "Load", {"system.load"}, PanelKind::Lines, 4, 1, 4),
      panel("process-memory", "Largest processes", {"process.memory.usage"}, PanelKind::TopBars, 8, 1, 4),
      panel("disk", "Disk throughput", {"system.disk.throughput"}, PanelKind::Lines, 0, 2, 4),
      panel("network", "Network throughput", {"system.network.throughput"}, PanelKind::Lines, 4, 2, 4),
      pressure,
  };
  return spec;
}

QJsonObject DashboardSpec::toJson() const {
  QJsonArray list;
  for (const PanelSpec& entry : panels) list.push_back(panelToJson(entry));
  return {{"version", 1},
          {"title", title},
          {"window_seconds", window_seconds},
          {"show_events", show_events},
          {"panels", list}};
}

std::optional<DashboardSpec> DashboardSpec::fromJson(const QJsonObject& json, QString* error) {
  if (json["version"].toInt() != 1) {
    *error = QStringLiteral("version is not 1");
    return std::nullopt;
  }
  DashboardSpec spec;
  spec.title = json["title"].toString();
  spec.window_seconds = std::clamp<qint64>(json["window_seconds"].toInteger(300), 1, qint64{400} * 86'400);
  spec.show_events = json["show_events"].toBool(true);
  const QJsonArray list = json["panels"].toArray();
  if (list.size() > kMaxPanels) {
    *error = QStringLiteral("%1 panels; at most %2 would be accepted").arg(list.size()).arg(kMaxPanels);
    return std::nullopt;
  }
  QSet<QString> ids;
  for (const QJsonValue& value : list) {
    std::optional<PanelSpec> entry = panelFromJson(value.toObject(), error);
    if (!entry) return std::nullopt;
    if (ids.contains(entry->id)) {
      *error = QStringLiteral("two panels have the id '%1'").arg(entry->id);
      return std::nullopt;
    }
    ids.insert(entry->id);
    spec.panels.push_back(*std::move(entry));
  }
  return spec;
}

FeedSpec DashboardSpec::feedSpec(qint64 backfill_seconds, int max_points) const {
  FeedSpec feed;
  feed.backfill_seconds = backfill_seconds;
  feed.max_points = max_points;
  for (const PanelSpec& entry : panels) {
    if (feed.queries.size() + entry.selectors.size() > kMaxFeedQueries) break;
    for (qsizetype i = 0; i < entry.selectors.size(); ++i) {
      // One selector that the server would refuse must not end the feed of all others.
      if (!selectorError(entry.selectors[i]).isEmpty()) continue;
      feed.queries.push_back({QStringLiteral("%1/%2").arg(entry.id).arg(i), entry.selectors[i]});
    }
  }
  return feed;
}

PanelSpec* DashboardSpec::find(const QString& panel_id) {
  for (PanelSpec& entry : panels) {
    if (entry.id == panel_id) return &entry;
  }
  return nullptr;
}

PanelSpec& DashboardSpec::addPanel(const QString& selector) {
  PanelSpec spec;
  for (int n = 1; spec.id.isEmpty() || find(spec.id) != nullptr; ++n) spec.id = QStringLiteral("panel-%1").arg(n);
  spec.title = selector.section(QLatin1Char('{'), 0, 0);
  spec.selectors = {selector};
  for (const PanelSpec& entry : panels) spec.row = std::max(spec.row, entry.row + entry.height);
  // Beside a lone half row at the end rather than below it.
  const auto is_last_row = [&](const PanelSpec& entry) { return entry.row + entry.height == spec.row; };
  int used = 0;
  for (const PanelSpec& entry : panels) {
    if (is_last_row(entry)) used = std::max(used, entry.column + entry.width);
  }
  if (used > 0 && used + spec.width <= kGridColumns) {
    spec.column = used;
    spec.row -= 1;
  }
  panels.push_back(spec);
  return panels.back();
}

void DashboardSpec::removePanel(const QString& panel_id) {
  panels.removeIf([&](const PanelSpec& entry) { return entry.id == panel_id; });
}

bool saveDashboard(const QString& path, const DashboardSpec& spec, QString* error) {
  QDir().mkpath(QFileInfo(path).absolutePath());
  QSaveFile file(path);
  const QByteArray bytes = QJsonDocument(spec.toJson()).toJson();
  if (file.open(QIODevice::WriteOnly) && file.write(bytes) == bytes.size() && file.commit()) return true;
  *error = file.errorString();
  return false;
}

std::optional<DashboardSpec> loadDashboard(const QString& path, QString* error) {
  QFile file(path);
  if (!file.exists()) return std::nullopt;
  if (!file.open(QIODevice::ReadOnly)) {
    *error = file.errorString();
    return std::nullopt;
  }
  QJsonParseError parse;
  const QJsonDocument document = QJsonDocument::fromJson(file.read(kMaxFileBytes), &parse);
  if (!document.isObject()) {
    *error = parse.error == QJsonParseError::NoError ? QStringLiteral("not a JSON object") : parse.errorString();
    return std::nullopt;
  }
  return DashboardSpec::fromJson(document.object(), error);
}

}  // namespace pulseboard::qt

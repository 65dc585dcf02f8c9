#include "client-qt/app/memory.h"

#include <QFile>
#include <QFileInfo>

#include "common/base/log.h"

namespace pulseboard::qt {

Memory::Memory()
    : settings_(QSettings::IniFormat, QSettings::UserScope, QStringLiteral("pulseboard"),
                QStringLiteral("pulseboard")) {
  writer_.setMaxThreadCount(1);
}

QVector<RememberedServer> Memory::servers() const {
  QVector<RememberedServer> out;
  for (const QVariant& entry : settings_.value(QStringLiteral("servers")).toList()) {
    const QStringList parts = entry.toStringList();
    if (parts.size() == 2 && !parts[0].isEmpty()) out.push_back({parts[0], parts[1]});
  }
  return out;
}

void Memory::rememberServer(const RememberedServer& server) {
  QVector<RememberedServer> all = servers();
  all.removeIf([&](const RememberedServer& entry) { return entry.server == server.server; });
  all.push_front(server);
  QVariantList list;
  for (const RememberedServer& entry : all.mid(0, kMaxServers)) list << QVariant(QStringList{entry.server, entry.user});
  settings_.setValue(QStringLiteral("servers"), list);
}

QByteArray Memory::geometry() const { return settings_.value(QStringLiteral("window/geometry")).toByteArray(); }
void Memory::rememberGeometry(const QByteArray& geometry) {
  settings_.setValue(QStringLiteral("window/geometry"), geometry);
}

ThemeChoice Memory::theme() const { return themeChoiceFromWord(settings_.value(QStringLiteral("theme")).toString()); }
void Memory::rememberTheme(ThemeChoice choice) { settings_.setValue(QStringLiteral("theme"), themeChoiceWord(choice)); }

QString Memory::dashboardPath() const {
  return QFileInfo(settings_.fileName()).absolutePath() + QStringLiteral("/dashboards/this-machine.json");
}

DashboardSpec Memory::dashboard() const {
  writer_.waitForDone();
  QString error;
  const QString path = dashboardPath();
  if (std::optional<DashboardSpec> spec = loadDashboard(path, &error)) return *std::move(spec);
  if (!error.isEmpty()) {
    PB_LOG(Warning, "desktop", "cannot read dashboard file={} error={}", path.toStdString(), error.toStdString());
    QFile::remove(path + QStringLiteral(".damaged"));
    QFile::rename(path, path + QStringLiteral(".damaged"));
  }
  return DashboardSpec::thisMachine();
}

void Memory::rememberDashboard(const DashboardSpec& spec) const {
  writer_.start([path = dashboardPath(), spec] {
    QString error;
    if (saveDashboard(path, spec, &error)) return;
    PB_LOG(Warning, "desktop", "cannot save dashboard file={} error={}", path.toStdString(), error.toStdString());
  });
}

}  // namespace pulseboard::qt

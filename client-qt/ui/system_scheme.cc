#include "client-qt/ui/system_scheme.h"

#include <QDBusConnection>
#include <QDBusMessage>
#include <QDBusPendingCallWatcher>
#include <QDBusPendingReply>
#include <QDBusVariant>
#include <QFileInfo>

namespace pulseboard::qt {
namespace {

constexpr auto kService = "org.freedesktop.portal.Desktop";
constexpr auto kPath = "/org/freedesktop/portal/desktop";
constexpr auto kInterface = "org.freedesktop.portal.Settings";
constexpr auto kGroup = "org.freedesktop.appearance";
constexpr auto kKey = "color-scheme";
constexpr int kPortalTimeoutMs = 2000;

// Asking libdbus without a bus would start one (dbus-launch); a machine without a session has no portal either.
bool hasSessionBus() {
  return qEnvironmentVariableIsSet("DBUS_SESSION_BUS_ADDRESS") ||
         QFileInfo::exists(qEnvironmentVariable("XDG_RUNTIME_DIR") + QStringLiteral("/bus"));
}

uint innermost(QVariant value) {
  while (value.canConvert<QDBusVariant>()) value = value.value<QDBusVariant>().variant();
  return value.toUInt();
}

}  // namespace

SystemScheme::SystemScheme(const QPalette& platform_palette, QObject* parent) : QObject(parent) {
  palette_dark_ =
      platform_palette.color(QPalette::Window).lightness() < platform_palette.color(QPalette::WindowText).lightness();
  dark_ = palette_dark_;
  if (hasSessionBus()) askPortal();
}

void SystemScheme::askPortal() {
  QDBusConnection bus = QDBusConnection::sessionBus();
  if (!bus.isConnected()) return;
  bus.connect(QString(), QLatin1String(kPath), QLatin1String(kInterface), QStringLiteral("SettingChanged"), this,
              SLOT(onSettingChanged(QString, QString, QDBusVariant)));
  QDBusMessage call = QDBusMessage::createMethodCall(QLatin1String(kService), QLatin1String(kPath),
                                                     QLatin1String(kInterface), QStringLiteral("Read"));
  call << QString::fromLatin1(kGroup) << QString::fromLatin1(kKey);
  auto* watcher = new QDBusPendingCallWatcher(bus.asyncCall(call, kPortalTimeoutMs), this);
  connect(watcher, &QDBusPendingCallWatcher::finished, this, [this](QDBusPendingCallWatcher* done) {
    const QDBusPendingReply<QDBusVariant> reply = *done;
    if (!reply.isError()) setPortalValue(innermost(reply.value().variant()));
    done->deleteLater();
  });
}

void SystemScheme::onSettingChanged(const QString& group, const QString& key, const QDBusVariant& value) {
  if (group == QLatin1String(kGroup) && key == QLatin1String(kKey)) setPortalValue(innermost(value.variant()));
}

// 0 no preference, 1 dark, 2 light.
void SystemScheme::setPortalValue(uint value) {
  const bool dark = value == 1 || (value != 2 && palette_dark_);
  if (dark == dark_) return;
  dark_ = dark;
  Q_EMIT changed(dark_);
}

}  // namespace pulseboard::qt

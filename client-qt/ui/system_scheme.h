// Whether the desktop wants dark, and news when that changes. Asks the settings portal (D-Bus) where a session bus is;
// else the lightness of the palette the platform brought. Never blocks: the portal answers by signal.
#pragma once

#include <QObject>
#include <QPalette>

class QDBusVariant;

namespace pulseboard::qt {

class SystemScheme : public QObject {
  Q_OBJECT

 public:
  explicit SystemScheme(const QPalette& platform_palette, QObject* parent = nullptr);
  bool isDark() const { return dark_; }

 Q_SIGNALS:
  void changed(bool dark);

 private Q_SLOTS:
  void onSettingChanged(const QString& group, const QString& key, const QDBusVariant& value);

 private:
  void askPortal();
  void setPortalValue(uint value);

  bool palette_dark_ = false;
  bool dark_ = false;
};

}  // namespace pulseboard::qt

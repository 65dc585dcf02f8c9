// Icons as vector paths on a 16 x 16 grid, stroked 1.5 px with round joins: sharp at any scale, coloured by role.
#pragma once

#include <QColor>
#include <QIcon>
#include <QPainter>

#include "client-qt/ui/theme.h"

namespace pulseboard::qt {

enum class Icon {
  Brand,
  Check,
  ChevronDown,
  ChevronRight,
  ChevronUp,
  Close,
  Maximise,
  Restore,
  Menu,
  Pause,
  Play,
  Plus,
  Search,
  Person,
  Sun,
  Warning,
  Offline,
  Flag,
  FlagOff,
  Dot,   // filled: a state that is on
  Ring,  // hollow: off or unknown
};

// Paints the icon centred in `rect`, at most 16 px.
void paintIcon(QPainter& painter, Icon icon, const QRectF& rect, const QColor& color);
// For QPushButton::setIcon: follows the theme, because it asks for the colour whenever it paints.
QIcon themedIcon(Icon icon, ColorRole role = ColorRole::Text);

}  // namespace pulseboard::qt

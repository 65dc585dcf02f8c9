#include "client-qt/ui/control_style.h"

#include <QPainter>
#include <QStyleOption>

#include "client-qt/ui/icons.h"
#include "client-qt/ui/theme.h"

namespace pulseboard::qt {
namespace {

void drawCheckMark(const QStyleOption& option, QPainter& painter, bool round) {
  const Theme& theme = Theme::current();
  const bool on = option.state & QStyle::State_On;
  const bool enabled = option.state & QStyle::State_Enabled;
  const QRectF box = QRectF(option.rect).adjusted(0.5, 0.5, -0.5, -0.5);
  const double radius = round ? box.width() / 2 : 3;
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  const ColorRole edge = on || (option.state & QStyle::State_HasFocus) ? ColorRole::Accent : ColorRole::Muted;
  painter.setPen(theme.color(enabled ? edge : ColorRole::Border));
  painter.setBrush(theme.color(on && enabled ? ColorRole::Accent : ColorRole::Panel));
  painter.drawRoundedRect(box, radius, radius);
  if (on) {
    const QColor ink = theme.color(ColorRole::OnAccent);
    if (round) {
      painter.setPen(Qt::NoPen);
      painter.setBrush(ink);
      painter.drawEllipse(box.center(), 3, 3);
    } else {
      paintIcon(painter, Icon::Check, box.adjusted(1, 1, -1, -1), ink);
    }
  }
  painter.restore();
}

}  // namespace

ControlStyle::ControlStyle() : QProxyStyle(QStringLiteral("Fusion")) {}

void ControlStyle::drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                                 const QWidget* widget) const {
  const QColor ink = Theme::current().color(option->state & State_Enabled ? ColorRole::Secondary : ColorRole::Muted);
  switch (element) {
    case PE_IndicatorCheckBox:
    case PE_IndicatorMenuCheckMark:
      return drawCheckMark(*option, *painter, false);
    case PE_IndicatorRadioButton:
      return drawCheckMark(*option, *painter, true);
    case PE_IndicatorArrowDown:
    case PE_IndicatorSpinDown:
      return paintIcon(*painter, Icon::ChevronDown, option->rect, ink);
    case PE_IndicatorArrowUp:
    case PE_IndicatorSpinUp:
      return paintIcon(*painter, Icon::ChevronUp, option->rect, ink);
    case PE_IndicatorArrowRight:
      return paintIcon(*painter, Icon::ChevronRight, option->rect, ink);
    case PE_IndicatorBranch:
      if (option->state & State_Children) {
        paintIcon(*painter, option->state & State_Open ? Icon::ChevronDown : Icon::ChevronRight, option->rect, ink);
      }
      return;
    case PE_FrameFocusRect:
      return;  // focus is shown by the accent frame of each control
    default:
      QProxyStyle::drawPrimitive(element, option, painter, widget);
  }
}

int ControlStyle::pixelMetric(PixelMetric metric, const QStyleOption* option, const QWidget* widget) const {
  switch (metric) {
    case PM_IndicatorWidth:
    case PM_IndicatorHeight:
    case PM_ExclusiveIndicatorWidth:
    case PM_ExclusiveIndicatorHeight:
      return 16;
    case PM_LayoutLeftMargin:
    case PM_LayoutRightMargin:
    case PM_LayoutTopMargin:
    case PM_LayoutBottomMargin:
      return spacing::kSection;
    case PM_LayoutHorizontalSpacing:
    case PM_LayoutVerticalSpacing:
      return spacing::kBase;
    default:
      return QProxyStyle::pixelMetric(metric, option, widget);
  }
}

int ControlStyle::styleHint(StyleHint hint, const QStyleOption* option, const QWidget* widget,
                            QStyleHintReturn* result) const {
  switch (hint) {
    case SH_EtchDisabledText:
    case SH_DitherDisabledText:
    case SH_UnderlineShortcut:
      return 0;
    case SH_Widget_Animate:
    case SH_Widget_Animation_Duration:
      return 0;
    default:
      return QProxyStyle::styleHint(hint, option, widget, result);
  }
}

}  // namespace pulseboard::qt

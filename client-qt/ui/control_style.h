// Fusion with our own marks: check boxes, arrows, tree branches and focus frames painted from the tokens.
#pragma once

#include <QProxyStyle>

namespace pulseboard::qt {

class ControlStyle : public QProxyStyle {
  Q_OBJECT

 public:
  ControlStyle();
  void drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                     const QWidget* widget = nullptr) const override;
  int pixelMetric(PixelMetric metric, const QStyleOption* option = nullptr,
                  const QWidget* widget = nullptr) const override;
  int styleHint(StyleHint hint, const QStyleOption* option = nullptr, const QWidget* widget = nullptr,
                QStyleHintReturn* result = nullptr) const override;
};

}  // namespace pulseboard::qt

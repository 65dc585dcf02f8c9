// The style sheet of standard widgets, built from the tokens.
#pragma once

#include <QString>

namespace pulseboard::qt {

class Theme;
QString styleSheetOf(const Theme& theme);

}  // namespace pulseboard::qt

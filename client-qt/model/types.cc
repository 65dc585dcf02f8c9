#include "client-qt/model/types.h"

#include "common/model/labels.h"

namespace pulseboard::qt {

QString SeriesItem::selector() const {
  std::vector<pulseboard::Label> parts;
  parts.reserve(static_cast<size_t>(labels.size()));
  for (const LabelItem& item : labels) parts.push_back({item.name.toStdString(), item.value.toStdString()});
  return QString::fromStdString(SeriesKey{metric.toStdString(), Labels(std::move(parts))}.Format());
}

QString SeriesItem::label(const QString& name) const {
  for (const LabelItem& item : labels) {
    if (item.name == name) return item.value;
  }
  return {};
}

}  // namespace pulseboard::qt

#include "client-qt/model/series_names.h"

#include <QHash>
#include <QSet>
#include <QStringList>

namespace pulseboard::qt {
namespace {

bool isNumber(const QString& text) {
  bool ok = false;
  text.toLongLong(&ok);
  return ok;
}

struct LabelUse {
  QString value;  // of the first series that has it
  int series = 0;
  bool differs = false;
};

}  // namespace

std::unordered_map<quint64, QString> distinctNames(const QVector<const SeriesItem*>& group) {
  QHash<QString, LabelUse> uses;
  QSet<QString> metrics;
  for (const SeriesItem* item : group) {
    metrics.insert(item->metric);
    for (const LabelItem& label : item->labels) {
      LabelUse& use = uses[label.name];
      if (use.series++ == 0) use.value = label.value;
      use.differs = use.differs || use.value != label.value;
    }
  }
  std::unordered_map<quint64, QString> out;
  for (const SeriesItem* item : group) {
    QStringList words;
    if (metrics.size() > 1) words << item->metric.section(QLatin1Char('.'), -1);
    for (const LabelItem& label : item->labels) {
      const LabelUse& use = uses[label.name];
      if (!use.differs && use.series == group.size()) continue;
      words << (isNumber(label.value) ? label.name + QLatin1Char(' ') + label.value : label.value);
    }
    out[item->id] = words.join(QLatin1Char(' '));
  }
  return out;
}

}  // namespace pulseboard::qt

#include "client-qt/model/catalog_filter.h"

#include <QHash>
#include <QRegularExpression>
#include <QSet>
#include <algorithm>

namespace pulseboard::qt {
namespace {

bool chipMatches(const LabelItem& chip, const QString& value) {
  if (!chip.value.contains(QLatin1Char('*'))) return chip.value == value;
  const QString pattern = QRegularExpression::escape(chip.value).replace(QStringLiteral("\\*"), QStringLiteral(".*"));
  return QRegularExpression(QRegularExpression::anchoredPattern(pattern)).match(value).hasMatch();
}

bool wordMatches(const QString& word, const SeriesItem& series) {
  if (series.metric.contains(word, Qt::CaseInsensitive)) return true;
  return std::any_of(series.labels.begin(), series.labels.end(), [&](const LabelItem& label) {
    return (label.name + QLatin1Char('=') + label.value).contains(word, Qt::CaseInsensitive);
  });
}

bool textMatches(const QStringList& words, const SeriesItem& series) {
  return std::all_of(words.begin(), words.end(), [&](const QString& word) { return wordMatches(word, series); });
}

QStringList wordsOf(const QString& text) {
  static const QRegularExpression space(QStringLiteral("\\s+"));
  return text.split(space, Qt::SkipEmptyParts);
}

// Names of the labels whose chips do not hold.
QSet<QString> failingNames(const QVector<LabelItem>& chips, const SeriesItem& series) {
  QSet<QString> failing;
  QSet<QString> holding;
  for (const LabelItem& chip : chips) {
    if (chipMatches(chip, series.label(chip.name))) {
      holding.insert(chip.name);
    } else {
      failing.insert(chip.name);
    }
  }
  return failing - holding;
}

}  // namespace

bool CatalogFilter::matches(const SeriesItem& series) const {
  return textMatches(wordsOf(text), series) && failingNames(chips, series).isEmpty();
}

QVector<LabelFacet> labelFacets(const QVector<SeriesItem>& catalog, const CatalogFilter& filter) {
  QHash<QString, QHash<QString, int>> counts;
  const QStringList words = wordsOf(filter.text);
  for (const SeriesItem& series : catalog) {
    if (!textMatches(words, series)) continue;
    const QSet<QString> failing = failingNames(filter.chips, series);
    if (failing.size() > 1) continue;
    for (const LabelItem& label : series.labels) {
      if (failing.isEmpty() || failing.contains(label.name)) ++counts[label.name][label.value];
    }
  }
  QVector<LabelFacet> out;
  for (auto it = counts.begin(); it != counts.end(); ++it) {
    LabelFacet facet{it.key(), 0, {}};
    for (auto value = it->begin(); value != it->end(); ++value) {
      facet.series_count += value.value();
      facet.values.push_back({value.key(), value.value()});
    }
    std::sort(facet.values.begin(), facet.values.end(), [](const LabelValueCount& a, const LabelValueCount& b) {
      return a.series_count != b.series_count ? a.series_count > b.series_count : a.value < b.value;
    });
    if (facet.values.size() > kMaxFacetValues) facet.values.resize(kMaxFacetValues);
    out.push_back(std::move(facet));
  }
  std::sort(out.begin(), out.end(), [](const LabelFacet& a, const LabelFacet& b) {
    return a.series_count != b.series_count ? a.series_count > b.series_count : a.name < b.name;
  });
  return out;
}

}  // namespace pulseboard::qt

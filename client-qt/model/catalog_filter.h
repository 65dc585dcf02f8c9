// Filtering the catalog: free text and label chips, and the labels that are left to choose from.
#pragma once

#include <QString>
#include <QStringList>
#include <QVector>

#include "client-qt/model/types.h"

namespace pulseboard::qt {

// All chips and all words must hold. Plain value.
struct CatalogFilter {
  // Words; each must be part of the metric name or of one `label=value`, whatever the case.
  QString text;
  // A chip's value may hold `*` for anything. Chips of one label name are alternatives.
  QVector<LabelItem> chips;

  bool isEmpty() const { return text.trimmed().isEmpty() && chips.isEmpty(); }
  bool matches(const SeriesItem& series) const;
  bool operator==(const CatalogFilter&) const = default;
};

struct LabelValueCount {
  QString value;
  int series_count = 0;
};

// One label name with its values, most common first, at most kMaxFacetValues.
struct LabelFacet {
  QString name;
  int series_count = 0;  // series that carry the label
  QVector<LabelValueCount> values;
};
inline constexpr int kMaxFacetValues = 100;

// Labels of the series that pass `filter`, most common first. For a label that has chips, the values are counted as if
// those chips were not set, so that others can be chosen instead.
QVector<LabelFacet> labelFacets(const QVector<SeriesItem>& catalog, const CatalogFilter& filter);

}  // namespace pulseboard::qt

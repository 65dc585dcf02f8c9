// Short names by which series of one group can be told apart.
#pragma once

#include <QString>
#include <QVector>
#include <unordered_map>

#include "client-qt/model/types.h"

namespace pulseboard::qt {

// By series id: the values of those labels in which the group's series differ ("vda read"; a number with its label's
// name: "cpu 0"), with the metric's last word in front when metrics differ. Empty for a series that differs in nothing.
std::unordered_map<quint64, QString> distinctNames(const QVector<const SeriesItem*>& group);

}  // namespace pulseboard::qt

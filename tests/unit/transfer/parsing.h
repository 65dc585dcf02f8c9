// Parses a whole text in pieces and gives what came of it in a form that is easy to compare.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/transfer/import_batch.h"
#include "server/transfer/series_text.h"
#include "server/transfer/text_numbers.h"
#include "server/transfer/text_record.h"

namespace pulseboard::testing {

inline constexpr int64_t kReceiptTime = 1'700'000'000'000'000'000;

struct Parsed {
  std::vector<std::string> samples;  // `metric{label="v"} value time_ns`, in the order of the text
  std::vector<LineRefusal> refused;
  std::map<LineReason, int64_t> counts;
  std::map<std::string, ImportSeries> series;  // by spelling
  int64_t exemplars = 0;
  absl::Status status;
};

// `piece`: bytes per Append; 0: all at once.
inline Parsed ParseText(TextParser& parser, std::string_view text, SplitterOptions splitting, size_t piece = 0) {
  Parsed out;
  ImportBatch batch;
  batch.refusals.set_room(1'000);
  RecordSplitter splitter(splitting);
  std::map<uint32_t, std::string> names;
  size_t taken = 0;
  parser.SetDefaultTime(kReceiptTime);
  const auto drain = [&] {
    TextRecord record;
    while (splitter.Next(&record)) {
      parser.Parse(record, &batch);
      if (parser.separator() != 0) splitter.SetSeparator(parser.separator());
    }
  };
  if (piece == 0) piece = std::max<size_t>(1, text.size());
  for (size_t at = 0; at < text.size(); at += piece) {
    splitter.Append(text.substr(at, piece));
    drain();
  }
  splitter.Finish();
  drain();
  parser.End(std::max<int64_t>(1, splitter.line() - 1), &batch);
  for (const ImportSeries& series : batch.series) {
    SeriesKey key{series.metric, {}};
    std::vector<Label> labels;
    for (const auto& [name, value] : series.labels) labels.push_back({name, value});
    key.labels = Labels(std::move(labels));
    AppendSeriesText(key, /*quote_names=*/true, &names[series.ref]);
    out.series[names[series.ref]] = series;
  }
  for (; taken < batch.size(); ++taken) {
    std::string line = names[batch.refs[taken]] + " ";
    AppendValue(batch.values[taken], &line);
    out.samples.push_back(line + " " + std::to_string(batch.times[taken]));
  }
  out.refused = batch.refusals.detailed();
  for (size_t i = 0; i < kLineReasonCount; ++i) {
    const auto reason = static_cast<LineReason>(i);
    if (batch.refusals.count(reason) > 0) out.counts[reason] = batch.refusals.count(reason);
  }
  out.exemplars = batch.dropped_exemplars;
  out.status = parser.status();
  return out;
}

}  // namespace pulseboard::testing

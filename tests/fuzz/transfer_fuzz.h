// What the fuzz targets of the text parsers share: the text in one piece and in small ones must come to the same, and
// what comes of it must keep to the rules that the intake relies on.
#pragma once

#include <cstdlib>
#include <functional>
#include <memory>
#include <string_view>

#include "server/transfer/import_batch.h"
#include "server/transfer/text_record.h"

namespace pulseboard::testing {

using MakeParser = std::function<std::unique_ptr<TextParser>()>;

inline ImportBatch ParseInPieces(TextParser* parser, std::string_view text, const SplitterOptions& splitting,
                                 size_t piece) {
  ImportBatch batch;
  batch.refusals.set_room(1'000'000);
  RecordSplitter splitter(splitting);
  parser->SetDefaultTime(1);
  int64_t last_end = 0;
  const auto drain = [&] {
    TextRecord record;
    while (splitter.Next(&record)) {
      if (record.offset < last_end || record.end_offset < record.offset) std::abort();
      last_end = record.end_offset;
      parser->Parse(record, &batch);
      if (parser->separator() != 0) splitter.SetSeparator(parser->separator());
    }
  };
  for (size_t at = 0; at < text.size(); at += piece) {
    splitter.Append(text.substr(at, piece));
    drain();
  }
  splitter.Finish();
  drain();
  if (last_end != static_cast<int64_t>(text.size()) && !(text.empty() || text == "\xef\xbb\xbf")) std::abort();
  parser->End(splitter.line(), &batch);
  return batch;
}

inline void CheckBatch(const ImportBatch& batch) {
  if (batch.refs.size() != batch.times.size() || batch.refs.size() != batch.values.size()) std::abort();
  for (size_t i = 0; i < batch.size(); ++i) {
    if (batch.times[i] < 0 || batch.refs[i] == 0 || batch.refs[i] > batch.series.size()) std::abort();
  }
  int64_t described = static_cast<int64_t>(batch.refusals.detailed().size());
  if (described > batch.refusals.total()) std::abort();
  for (const LineRefusal& line : batch.refusals.detailed()) {
    if (line.text.size() > kReceiptTextBytes || line.line < 1) std::abort();
  }
}

inline void ParseBothWays(std::string_view text, const SplitterOptions& splitting, const MakeParser& make) {
  const auto whole_parser = make();
  const auto parts_parser = make();
  const ImportBatch whole = ParseInPieces(whole_parser.get(), text, splitting, text.size() + 1);
  const ImportBatch parts = ParseInPieces(parts_parser.get(), text, splitting, 3);
  CheckBatch(whole);
  const bool same = whole.refs == parts.refs && whole.times == parts.times &&
                    whole.series.size() == parts.series.size() && whole.refusals.total() == parts.refusals.total() &&
                    whole_parser->status().ok() == parts_parser->status().ok();
  if (!same) std::abort();
}

}  // namespace pulseboard::testing

#include <algorithm>

#include "server/transfer/import_session.h"

namespace pulseboard {
namespace {

LineReason ToLineReason(RefusalReason reason) { return static_cast<LineReason>(reason); }

std::string_view LineAt(const ImportBatch& batch, int64_t offset) {
  const auto at = static_cast<size_t>(offset - batch.begin_offset);
  if (at > batch.text.size()) return {};
  std::string_view line = std::string_view(batch.text).substr(at, kReceiptTextBytes);
  line = line.substr(0, line.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

void ImportTally::Add(const PushReceipt& receipt, ImportBatch* batch) {
  committed_offset = std::max(committed_offset, receipt.sequence);
  if (receipt.accepted_count > 0) fsynced = receipt.fsynced;
  if (!receipt.duplicate) accepted_count += receipt.accepted_count;
  dropped_exemplar_count += batch->dropped_exemplars;
  refused_count += batch->refusals.total() + receipt.refusals.total();
  for (size_t i = 0; i < kLineReasonCount; ++i) {
    refused_by_reason[i] += batch->refusals.count(static_cast<LineReason>(i));
  }
  for (size_t i = 0; i < kRefusalReasonCount; ++i) {
    refused_by_reason[i] += receipt.refusals.count(static_cast<RefusalReason>(i));
  }
  for (LineRefusal& line : batch->refusals.detailed()) {
    if (room_ <= 0) break;
    --room_;
    waiting_.push_back(std::move(line));
  }
  AddIntakeRefusals(receipt, *batch);
}

void ImportTally::AddIntakeRefusals(const PushReceipt& receipt, const ImportBatch& batch) {
  for (const SampleRefusal& refusal : receipt.refusals.detailed()) {
    if (room_ <= 0) return;
    const auto after = std::upper_bound(batch.records.begin(), batch.records.end(), refusal.sample_index,
                                        [](int64_t index, const ImportBatch::Record& record) {
                                          return index < static_cast<int64_t>(record.first_sample);
                                        });
    if (after == batch.records.begin()) continue;
    const ImportBatch::Record& record = *(after - 1);
    LineRefusal line;
    line.line = record.line;
    line.reason = ToLineReason(refusal.reason);
    line.message = refusal.message;
    line.text = LineAt(batch, record.offset);
    if (batch.series_names != nullptr) {
      const uint32_t ref = batch.refs[static_cast<size_t>(refusal.sample_index)];
      line.series = (*batch.series_names)[ref - 1];
    }
    --room_;
    waiting_.push_back(std::move(line));
  }
}

std::vector<LineRefusal> ImportTally::TakeRefusedLines(size_t most) {
  std::vector<LineRefusal> out;
  while (!waiting_.empty() && out.size() < most) {
    out.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return out;
}

}  // namespace pulseboard

// ImportSession: one import, from pieces of text to batches for the intake. ImportTally: what became of them.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "server/ingest/intake.h"
#include "server/transfer/import_batch.h"
#include "server/transfer/text_record.h"
#include "server/transfer/transfer_options.h"

namespace pulseboard {

// How an import stands. A value; not thread-safe.
class ImportTally {
 public:
  explicit ImportTally(int64_t max_refused_lines) : room_(max_refused_lines) {}

  // A batch is committed: its counts, its refused lines, and the samples the intake refused, by their lines.
  void Add(const PushReceipt& receipt, ImportBatch* batch);
  // Takes up to `most` refused lines that were not taken yet.
  std::vector<LineRefusal> TakeRefusedLines(size_t most);
  size_t waiting_refused_lines() const { return waiting_.size(); }

  int64_t committed_offset = 0;
  int64_t byte_count = 0;
  int64_t line_count = 0;
  int64_t accepted_count = 0;
  int64_t refused_count = 0;
  int64_t skipped_byte_count = 0;
  int64_t dropped_exemplar_count = 0;
  int64_t series_count = 0;
  bool fsynced = true;
  std::array<int64_t, kLineReasonCount> refused_by_reason{};

 private:
  void AddIntakeRefusals(const PushReceipt& receipt, const ImportBatch& batch);

  int64_t room_;
  std::deque<LineRefusal> waiting_;
};

// Batches carry the offset after their last record as sequence, under the producer `import/<producer_id>`: so the
// store's memory of producers says from where an import goes on, and no batch is applied twice. Thread-compatible.
class ImportSession {
 public:
  // `lease`: kept until the session is gone. See Importer::Open.
  static absl::StatusOr<std::unique_ptr<ImportSession>> Make(Intake& intake, const Clock& clock, TenantId tenant,
                                                             ImportSpec spec, const TransferOptions& options,
                                                             std::shared_ptr<void> lease);

  // Everything before is committed.
  int64_t resume_offset() const { return resume_offset_; }
  int64_t max_refused_lines() const { return max_refused_lines_; }

  // Text before the first chunk that the parser has to know. BAD_FIELD when it is too much or too late.
  absl::Status AddContext(std::string_view bytes);
  // The next piece of text. BAD_FIELD when `offset` is not where it should be, or the header is of no use.
  absl::Status Feed(int64_t offset, std::string_view bytes, int64_t line);
  // The text is over.
  absl::Status Finish();
  // The text so far ends within a line. Once NextBatch gave null.
  bool within_line() const { return splitter_->within_record(); }
  // Parses until a batch is full and returns it; null when there is no more text. What is begun then stays open, unless
  // `flush`, or after Finish. BAD_FIELD when the text proves to be of no use.
  absl::StatusOr<std::shared_ptr<ImportBatch>> NextBatch(bool flush);
  // Hands the batch to the intake. INGEST_BACKLOG_FULL: nothing happened, try again later with the same batch. A batch
  // that holds nothing to commit is done at once.
  absl::Status Submit(const std::shared_ptr<ImportBatch>& batch, PushDone done);
  // A batch that is done with: its memory is used again.
  void Recycle(std::shared_ptr<ImportBatch> batch);
  // The counts that are the session's: bytes, lines, skipped bytes, series.
  void Count(ImportTally* tally) const;

 private:
  ImportSession(Intake& intake, const Clock& clock, TenantId tenant, ImportSpec spec, const TransferOptions& options,
                std::shared_ptr<void> lease);

  absl::Status MakeParser(const ImportSpec& spec, const TransferOptions& options);
  absl::Status BeginText(int64_t offset, int64_t line);
  absl::Status TakeRecord(const TextRecord& record);
  absl::Status SkipRecord(const TextRecord& record);
  bool BatchFull() const;
  std::shared_ptr<ImportBatch> CloseBatch();
  void SaveText();

  Intake& intake_;
  const Clock& clock_;
  const std::shared_ptr<void> lease_;
  const std::string producer_id_;
  const std::optional<int64_t> default_time_;
  const std::optional<AckMode> ack_mode_;
  const int64_t max_refused_lines_;
  const std::unique_ptr<IntakeStream> stream_;
  std::unique_ptr<TextParser> parser_;
  std::unique_ptr<RecordSplitter> splitter_;
  std::unique_ptr<RecordSplitter> context_splitter_;
  int64_t context_bytes_ = 0;
  int64_t resume_offset_ = 0;
  bool text_began_ = false;
  bool finished_ = false;
  bool end_seen_ = false;
  int64_t last_sequence_ = 0;
  int64_t next_offset_ = 0;  // of the next chunk
  int64_t first_line_ = 1;
  int64_t byte_count_ = 0;
  int64_t skipped_bytes_ = 0;
  int64_t detail_room_ = 0;
  std::shared_ptr<ImportBatch> batch_;  // in work
  int64_t batch_records_ = 0;
  int64_t text_saved_to_ = 0;  // of batch_->text
  std::vector<std::shared_ptr<ImportBatch>> spare_;
};

}  // namespace pulseboard

#include "server/transfer/import_session.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "server/transfer/openmetrics_parser.h"

namespace pulseboard {
namespace {

// A batch is full at any of these.
constexpr size_t kBatchSamples = 10'000;
constexpr int64_t kBatchRecords = 20'000;  // many lines may have no sample
constexpr int64_t kBatchBytes = 4 << 20;
static_assert(kBatchSamples + kMaxCsvColumns <= kMaxStreamBatchSamples, "a record more must fit");

constexpr int64_t kMaxContextBytes = 64 << 20;
constexpr size_t kSpareBatches = 4;
constexpr std::string_view kProducerPrefix = "import/";
static_assert(kProducerPrefix.size() + kMaxImportProducerIdBytes <= kMaxProducerIdBytes);

StreamBatch ToStreamBatch(const ImportBatch& batch, std::string_view producer_id, std::optional<AckMode> ack_mode) {
  StreamBatch out;
  out.producer_id = producer_id;
  out.ack_mode = ack_mode;
  out.sequence = batch.end_offset;
  if (!batch.begun) {
    for (const ImportSeries& series : batch.series) {
      StreamDefinition& definition = out.definitions.emplace_back();
      definition.ref = series.ref;
      definition.series.metric = series.metric;
      for (const auto& [name, value] : series.labels) definition.series.labels.emplace_back(name, value);
      definition.series.kind = series.kind;
      definition.series.unit = series.unit;
      definition.series.description = series.description;
    }
  }
  out.refs = batch.refs;
  out.time_offsets_nanos = batch.times;
  out.values = batch.values;
  return out;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ImportSession>> ImportSession::Make(Intake& intake, const Clock& clock, TenantId tenant,
                                                                   ImportSpec spec, const TransferOptions& options,
                                                                   std::shared_ptr<void> lease) {
  std::unique_ptr<ImportSession> session(new ImportSession(intake, clock, tenant, spec, options, std::move(lease)));
  PB_RETURN_IF_ERROR(session->MakeParser(spec, options));
  session->resume_offset_ = intake.ProducerPosition(tenant, session->producer_id_);
  return session;
}

ImportSession::ImportSession(Intake& intake, const Clock& clock, TenantId tenant, ImportSpec spec,
                             const TransferOptions& options, std::shared_ptr<void> lease)
    : intake_(intake),
      clock_(clock),
      lease_(std::move(lease)),
      producer_id_(std::string(kProducerPrefix) + spec.producer_id),
      default_time_(spec.default_time_unix_nanos),
      ack_mode_(spec.ack_mode),
      max_refused_lines_(spec.max_refused_lines),
      stream_(intake.OpenStream(tenant)),
      detail_room_(spec.max_refused_lines) {
  const SplitterOptions splitter{.quotes = spec.format == TextFormat::kCsv,
                                 .strip_return = spec.format != TextFormat::kOpenMetrics,
                                 .max_bytes = static_cast<size_t>(options.max_line_bytes)};
  splitter_ = std::make_unique<RecordSplitter>(splitter);
  context_splitter_ = std::make_unique<RecordSplitter>(splitter);
}

absl::Status ImportSession::MakeParser(const ImportSpec& spec, const TransferOptions& options) {
  ParserLimits limits;
  limits.max_labels = intake_.options().max_labels;
  limits.max_series = intake_.options().max_refs_per_stream;
  limits.max_series_bytes = options.max_series_text_bytes;
  switch (spec.format) {
    case TextFormat::kCsv: {
      PB_ASSIGN_OR_RETURN(parser_, CsvParser::Make(spec.csv, limits));
      return absl::OkStatus();
    }
    case TextFormat::kOpenMetrics:
      parser_ = std::make_unique<OpenMetricsParser>(OpenMetricsParser::Dialect::kOpenMetrics, limits);
      return absl::OkStatus();
    case TextFormat::kPrometheus:
      parser_ = std::make_unique<OpenMetricsParser>(OpenMetricsParser::Dialect::kPrometheus, limits);
      return absl::OkStatus();
    case TextFormat::kUnspecified:
    case TextFormat::kJsonLines:
    case TextFormat::kXlsx:
      break;
  }
  return BadField("format", std::to_string(static_cast<int>(spec.format)), "CSV, OPENMETRICS or PROMETHEUS");
}

absl::Status ImportSession::AddContext(std::string_view bytes) {
  context_bytes_ += static_cast<int64_t>(bytes.size());
  if (text_began_) return BadField("context", "after a chunk", "context before the first chunk");
  if (context_bytes_ > kMaxContextBytes) {
    return BadField("context", std::to_string(context_bytes_) + " bytes",
                    "at most " + std::to_string(kMaxContextBytes));
  }
  context_splitter_->Append(bytes);
  TextRecord record;
  while (context_splitter_->Next(&record)) parser_->Skip(record);
  return parser_->status();
}

absl::Status ImportSession::BeginText(int64_t offset, int64_t line) {
  text_began_ = true;
  context_splitter_->Finish();
  TextRecord record;
  while (context_splitter_->Next(&record)) parser_->Skip(record);
  context_splitter_ = nullptr;
  PB_RETURN_IF_ERROR(parser_->status());
  if (offset != 0 && offset != resume_offset_) {
    return BadField("chunk.offset", std::to_string(offset),
                    "0 or " + std::to_string(resume_offset_) + " (resume_offset)");
  }
  if (offset != 0 && !parser_->ready()) {
    return BadField("context", "", "the header record as context of a text that does not begin at 0");
  }
  if (offset != 0) skipped_bytes_ = offset;
  first_line_ = std::max<int64_t>(1, line);
  splitter_->StartAt(offset, first_line_);
  next_offset_ = offset;
  return absl::OkStatus();
}

absl::Status ImportSession::Feed(int64_t offset, std::string_view bytes, int64_t line) {
  if (bytes.empty()) return BadField("chunk.data", "", "at least one byte");
  if (!text_began_) PB_RETURN_IF_ERROR(BeginText(offset, line));
  if (offset != next_offset_) {
    return BadField("chunk.offset", std::to_string(offset),
                    std::to_string(next_offset_) + ", the end of the chunk before,");
  }
  next_offset_ += static_cast<int64_t>(bytes.size());
  byte_count_ += static_cast<int64_t>(bytes.size());
  parser_->SetDefaultTime(default_time_.value_or(clock_.NowUnixNanos()));
  if (batch_ != nullptr) SaveText();
  splitter_->Append(bytes);
  return absl::OkStatus();
}

absl::Status ImportSession::Finish() {
  if (!text_began_) PB_RETURN_IF_ERROR(BeginText(0, 1));
  finished_ = true;
  splitter_->Finish();
  return absl::OkStatus();
}

// Puts the records of the open batch into its text before their bytes go.
void ImportSession::SaveText() {
  batch_->text.append(splitter_->Since(text_saved_to_));
  text_saved_to_ = splitter_->offset();
}

bool ImportSession::BatchFull() const {
  return batch_ != nullptr && (batch_->size() >= kBatchSamples || batch_records_ >= kBatchRecords ||
                               batch_->end_offset - batch_->begin_offset >= kBatchBytes);
}

absl::Status ImportSession::SkipRecord(const TextRecord& record) {
  parser_->Skip(record);
  skipped_bytes_ = record.end_offset;
  return parser_->status();
}

absl::Status ImportSession::TakeRecord(const TextRecord& record) {
  if (record.end_offset <= resume_offset_) return SkipRecord(record);
  if (record.offset < resume_offset_) {
    return BadField("chunk.data", record.text,
                    "the same text as before: an earlier import of this producer_id ended within this line; other text "
                    "under another producer_id");
  }
  if (batch_ == nullptr) {
    if (!spare_.empty()) {
      batch_ = std::move(spare_.back());
      spare_.pop_back();
    } else {
      batch_ = std::make_shared<ImportBatch>();
    }
    batch_->begin_offset = text_saved_to_ = record.offset;
    batch_->refusals.set_room(detail_room_);
    batch_records_ = 0;
  }
  parser_->Parse(record, batch_.get());
  batch_->end_offset = record.end_offset;
  ++batch_records_;
  return parser_->status();
}

absl::StatusOr<std::shared_ptr<ImportBatch>> ImportSession::NextBatch(bool flush) {
  TextRecord record;
  while (!BatchFull() && splitter_->Next(&record)) {
    PB_RETURN_IF_ERROR(TakeRecord(record));
    if (parser_->separator() != 0) splitter_->SetSeparator(parser_->separator());
  }
  if (BatchFull()) return CloseBatch();
  if (finished_) {
    // What the end itself is refused for belongs to the last batch; without one it needs an own one.
    const bool all_known = next_offset_ > 0 && next_offset_ <= resume_offset_;
    if (!std::exchange(end_seen_, true) && !all_known) {
      if (batch_ == nullptr) {
        batch_ = std::make_shared<ImportBatch>();
        batch_->begin_offset = text_saved_to_ = splitter_->offset();
        batch_->refusals.set_room(detail_room_);
      }
      batch_->end_offset = next_offset_;
      parser_->End(std::max<int64_t>(1, splitter_->line() - 1), batch_.get());
      PB_RETURN_IF_ERROR(parser_->status());
    }
    if (batch_ != nullptr) return CloseBatch();
    return nullptr;
  }
  if (flush && batch_ != nullptr) return CloseBatch();
  return nullptr;
}

std::shared_ptr<ImportBatch> ImportSession::CloseBatch() {
  SaveText();
  detail_room_ = batch_->refusals.room();
  return std::move(batch_);
}

absl::Status ImportSession::Submit(const std::shared_ptr<ImportBatch>& batch, PushDone done) {
  if (batch->end_offset <= last_sequence_) {  // what the end was refused for: nothing to commit
    done(PushReceipt{});
    return absl::OkStatus();
  }
  const StreamBatch columns = ToStreamBatch(*batch, producer_id_, ack_mode_);
  if (!batch->begun) {
    stream_->SetMaxDetailedRefusals(static_cast<size_t>(detail_room_));
    PB_RETURN_IF_ERROR(stream_->Begin(columns));
    batch->begun = true;
  }
  const absl::Status queued = stream_->Submit(columns, std::move(done));
  if (queued.ok()) last_sequence_ = batch->end_offset;
  return queued;
}

void ImportSession::Recycle(std::shared_ptr<ImportBatch> batch) {
  if (spare_.size() >= kSpareBatches) return;
  batch->Clear();
  spare_.push_back(std::move(batch));
}

void ImportSession::Count(ImportTally* tally) const {
  tally->byte_count = byte_count_;
  tally->line_count = std::max<int64_t>(0, splitter_->line() - first_line_);
  tally->skipped_byte_count = skipped_bytes_;
  tally->series_count = parser_->series_count();
  tally->committed_offset = std::max(tally->committed_offset, resume_offset_);
}

}  // namespace pulseboard

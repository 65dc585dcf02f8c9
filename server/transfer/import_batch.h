// What a parser makes of a text: samples as columns, the series they are of, and receipts for what was refused.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/model/labels.h"
#include "server/ingest/refusals.h"
#include "server/transfer/text_record.h"

namespace pulseboard {

// Numbers equal pulseboard.v1.LineRefusalReason; those below 16 equal RefusalReason.
enum class LineReason : uint8_t {
  kUnspecified = 0,
  kBadMetric = 1,
  kBadLabels = 2,
  kTooOld = 3,
  kInFuture = 4,
  kSeriesLimit = 6,
  kBadTime = 7,
  kBadSyntax = 16,
  kBadValue = 17,
  kLineTooLong = 18,
  kBadQuoting = 19,
  kBadFieldCount = 20,
  kBadMetadata = 21,
  kAfterEof = 22,
  kMissingEof = 23,
};
inline constexpr size_t kLineReasonCount = 24;
static_assert(kRefusalReasonCount <= 16);

struct LineRefusal {
  int64_t line = 0;
  int64_t column = 0;  // byte within the line, from 1; 0 unknown
  LineReason reason = LineReason::kUnspecified;
  std::string message;
  std::string text;    // the line, cut at kReceiptTextBytes
  std::string series;  // where it helps
};

// Refused lines: the first ones in detail, all of them counted. A value, not thread-safe.
class LineRefusals {
 public:
  // `make` gives a LineRefusal; it is only called while there is room for details.
  template <typename Make>
  void Add(LineReason reason, Make&& make) {
    ++counts_[static_cast<size_t>(reason)];
    ++total_;
    if (room_ <= 0) return;
    --room_;
    detailed_.push_back(make());
  }
  void Count(LineReason reason, int64_t count) {
    counts_[static_cast<size_t>(reason)] += count;
    total_ += count;
  }
  // Details there is room for.
  int64_t room() const { return room_; }
  void set_room(int64_t room) { room_ = room; }

  std::vector<LineRefusal>& detailed() { return detailed_; }
  const std::vector<LineRefusal>& detailed() const { return detailed_; }
  int64_t count(LineReason reason) const { return counts_[static_cast<size_t>(reason)]; }
  int64_t total() const { return total_; }
  void Clear() {
    detailed_.clear();
    counts_.fill(0);
    total_ = 0;
  }

 private:
  std::vector<LineRefusal> detailed_;
  std::array<int64_t, kLineReasonCount> counts_{};
  int64_t total_ = 0;
  int64_t room_ = 0;
};

// A series the text speaks of for the first time.
struct ImportSeries {
  uint32_t ref = 0;
  std::string metric;
  std::vector<std::pair<std::string, std::string>> labels;
  MetricKind kind = MetricKind::kGauge;
  std::string unit;
  std::string description;
};

// Samples of whole records, one after the other. A value: reused, its columns keep their memory.
struct ImportBatch {
  struct Record {
    int64_t line = 0;
    int64_t offset = 0;         // of its text
    uint32_t first_sample = 0;  // its samples end where the next record's begin
  };

  std::vector<ImportSeries> series;  // used from this batch on
  std::vector<uint32_t> refs;
  std::vector<int64_t> times;
  std::vector<double> values;
  std::vector<Record> records;  // those with samples, ascending
  LineRefusals refusals;
  int64_t dropped_exemplars = 0;
  // Wide CSV: the series of ref i + 1. Null elsewhere.
  std::shared_ptr<const std::vector<std::string>> series_names;

  int64_t begin_offset = 0;
  int64_t end_offset = 0;  // after its last record; the batch's sequence
  std::string text;        // from begin_offset to end_offset
  bool begun = false;      // its series are bound: see IntakeStream::Begin

  size_t size() const { return refs.size(); }
  void Add(uint32_t ref, int64_t time, double value) {
    refs.push_back(ref);
    times.push_back(time);
    values.push_back(value);
  }
  void Truncate(size_t samples) {
    refs.resize(samples);
    times.resize(samples);
    values.resize(samples);
  }
  void BeginRecord(const TextRecord& record) {
    records.push_back({record.line, record.offset, static_cast<uint32_t>(refs.size())});
  }
  // Refuses the record, or a sample of it. `column`: from 1, 0 unknown.
  template <typename MakeMessage>
  void Refuse(const TextRecord& record, size_t column, LineReason reason, MakeMessage&& make_message) {
    refusals.Add(reason, [&] {
      return LineRefusal{record.line,
                         static_cast<int64_t>(column),
                         reason,
                         make_message(),
                         std::string(record.text.substr(0, kReceiptTextBytes)),
                         ""};
    });
  }
  void Clear() {
    series.clear();
    Truncate(0);
    records.clear();
    refusals.Clear();
    dropped_exemplars = 0;
    text.clear();
    begun = false;
  }
};

// Takes a text record by record. Thread-compatible.
class TextParser {
 public:
  virtual ~TextParser() = default;
  // Adds the samples and refusals of a record.
  virtual void Parse(const TextRecord& record, ImportBatch* batch) = 0;
  // Takes from a record that is not to be imported (again) what later ones need.
  virtual void Skip(const TextRecord& record) = 0;
  // The text is over. `line`: the number of its last line.
  virtual void End(int64_t line, ImportBatch* batch) = 0;
  // Whether records can be understood: false as long as a header is to come.
  virtual bool ready() const = 0;
  // Not OK once the text has turned out to be of no use at all: INVALID_ARGUMENT/BAD_FIELD.
  virtual const absl::Status& status() const = 0;
  // The time of samples that carry none.
  virtual void SetDefaultTime(int64_t time_unix_nanos) = 0;
  // What stands between fields, once known: see RecordSplitter::SetSeparator. 0: nothing does.
  virtual char separator() const = 0;
  // Different series so far.
  virtual int64_t series_count() const = 0;
};

struct ParserLimits {
  int32_t max_labels = 64;               // per series
  int64_t max_series = 1'000'000;        // different spellings of series
  int64_t max_series_bytes = 256 << 20;  // their text in memory
};

}  // namespace pulseboard

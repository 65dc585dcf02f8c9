// RecordSplitter: cuts a text that comes in pieces into lines, or into CSV records whose quoted fields may hold line
// breaks. Linear in the bytes, however small the pieces and whatever stands in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pulseboard {

// Bytes of a refused line that a receipt repeats.
inline constexpr size_t kReceiptTextBytes = 200;

struct TextRecord {
  enum class Fault {
    kNone,
    kTooLong,        // longer than allowed; `text` is its start
    kUnclosedQuote,  // `text` is the first line of it; the next record begins after that line
  };

  std::string_view text;    // without its line end; valid until the next Append
  int64_t line = 0;         // number of its (first) line
  int64_t offset = 0;       // of its first byte in the whole text
  int64_t end_offset = 0;   // after its line end
  bool has_quotes = false;  // a field begins with a quote; only where quotes are looked at
  Fault fault = Fault::kNone;
};

struct SplitterOptions {
  bool quotes = false;         // CSV: line breaks inside quoted fields do not end a record
  bool strip_return = false;   // a carriage return before the line break belongs to the line end
  size_t max_bytes = 1 << 20;  // longest record
};

// Thread-compatible. Holds at most one piece and one record.
class RecordSplitter {
 public:
  explicit RecordSplitter(SplitterOptions options) : options_(options) {}

  // Where the text begins: not 0 when an import goes on. Before the first Append.
  void StartAt(int64_t offset, int64_t line);
  // A quote opens a field only after this byte or at the start of a record; 0: after any of `,`, `;` and tab.
  void SetSeparator(char separator) { separator_ = separator; }
  // Takes the next piece; views of earlier records are gone.
  void Append(std::string_view bytes);
  // No more pieces: what is left is the last record, with or without a line break.
  void Finish() { ended_ = true; }
  // What came last is not a whole record yet.
  bool within_record() const { return discarding_ || at_ < buffer_.size(); }
  // The next whole record; false when there is none yet.
  bool Next(TextRecord* record);

  int64_t line() const { return line_; }                                // number of the line that comes next
  int64_t offset() const { return base_ + static_cast<int64_t>(at_); }  // where the next record begins
  // Bytes from `offset` (of a record whose views are valid) to the record that comes next.
  std::string_view Since(int64_t offset) const;

 private:
  static constexpr size_t kNowhere = static_cast<size_t>(-1);

  bool SkipByteOrderMark();
  // The end of the record that begins at `at_`: the place of its line break, or of the end of the text. kNowhere when
  // it is not there yet.
  size_t FindEnd();
  size_t FindNewline();
  bool OpensField(size_t quote) const;
  void Emit(size_t end, TextRecord* record);
  bool EmitFirstLine(TextRecord::Fault fault, TextRecord* record);
  bool Discard(TextRecord* record);
  // Gives the record its last fields and moves on to `next`.
  void Leave(size_t next, int64_t lines, TextRecord* record);

  const SplitterOptions options_;
  char separator_ = 0;
  std::string buffer_;
  int64_t base_ = 0;  // place of buffer_[0] in the text
  int64_t line_ = 1;
  size_t at_ = 0;              // where the next record begins
  size_t scan_ = 0;            // up to where it was looked at
  size_t newline_ = kNowhere;  // the first line break from `scan_` on, when known
  size_t no_newline_before_ = 0;
  bool in_quotes_ = false;
  bool has_quotes_ = false;
  bool ended_ = false;
  bool mark_checked_ = false;
  bool discarding_ = false;  // inside a record that is too long
  int64_t discarded_from_ = 0;
  std::string discarded_;  // its start
};

}  // namespace pulseboard

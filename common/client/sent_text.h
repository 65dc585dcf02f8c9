// SentText: what an importing client remembers of the text it has read: the bytes that may have to be sent again, the
// lines a parser has to know when it does not begin at the start, and line numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

namespace pulseboard::client {

// Not thread-safe.
class SentText {
 public:
  // `csv`: the context is the header record; else the lines that begin with `#`.
  explicit SentText(bool csv) : csv_(csv) {}

  struct Piece {
    int64_t offset = 0;
    int64_t line = 1;  // number of the line its first byte belongs to
    std::string bytes;
  };

  // The next bytes of the text.
  void Append(std::string bytes);
  // Forgets bytes that are committed.
  void Forget(int64_t committed_offset);
  // The bytes from `offset` on that are still here, at most a piece of them. Empty behind the end. REQUIRES: `offset`
  // is not forgotten.
  Piece From(int64_t offset) const;
  bool Holds(int64_t offset) const { return offset >= begin() && offset <= end_; }
  // What stands before `offset` and a parser has to know.
  std::string ContextBefore(int64_t offset) const;

  int64_t end() const { return end_; }
  size_t window_bytes() const { return static_cast<size_t>(end_ - begin()); }

 private:
  int64_t begin() const { return pieces_.empty() ? end_ : pieces_.front().offset; }
  void ScanHeader(std::string_view bytes);
  void ScanComments(std::string_view bytes, int64_t offset);

  const bool csv_;
  std::deque<Piece> pieces_;
  int64_t end_ = 0;
  int64_t line_ = 1;
  std::string header_;
  bool header_done_ = false;
  bool in_quotes_ = false;
  std::deque<std::pair<int64_t, std::string>> comments_;  // by offset
  size_t comment_bytes_ = 0;
  bool in_comment_ = false;
  bool at_line_start_ = true;
};

}  // namespace pulseboard::client

#include "server/transfer/text_record.h"

#include <algorithm>
#include <cstring>

namespace pulseboard {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

void RecordSplitter::StartAt(int64_t offset, int64_t line) {
  base_ = offset;
  line_ = line;
  mark_checked_ = offset > 0;
}

void RecordSplitter::Append(std::string_view bytes) {
  // What is left over is moved once per piece at most, and only when it is the smaller part.
  if (at_ > buffer_.size() / 2) {
    buffer_.erase(0, at_);
    base_ += static_cast<int64_t>(at_);
    scan_ -= at_;
    if (newline_ != kNowhere) newline_ -= at_;
    no_newline_before_ -= std::min(no_newline_before_, at_);
    at_ = 0;
  }
  buffer_.append(bytes);
}

std::string_view RecordSplitter::Since(int64_t offset) const {
  const auto from = static_cast<size_t>(std::max<int64_t>(0, offset - base_));
  return std::string_view(buffer_).substr(std::min(from, at_), at_ - std::min(from, at_));
}

bool RecordSplitter::SkipByteOrderMark() {
  if (mark_checked_) return true;
  const std::string_view head = std::string_view(buffer_).substr(0, kByteOrderMark.size());
  if (head.size() < kByteOrderMark.size() && kByteOrderMark.starts_with(head) && !ended_) return false;
  if (head == kByteOrderMark) at_ = scan_ = head.size();
  mark_checked_ = true;
  return true;
}

size_t RecordSplitter::FindNewline() {
  if (newline_ != kNowhere && newline_ >= scan_) return newline_;
  const size_t found = buffer_.find('\n', std::max(scan_, no_newline_before_));
  if (found == std::string::npos) {
    no_newline_before_ = buffer_.size();
    return newline_ = kNowhere;
  }
  return newline_ = found;
}

bool RecordSplitter::OpensField(size_t quote) const {
  if (quote == at_) return true;
  const char before = buffer_[quote - 1];
  return separator_ != 0 ? before == separator_ : before == ',' || before == ';' || before == '\t';
}

size_t RecordSplitter::FindEnd() {
  const auto find_quote = [this](size_t to) {
    const void* found = scan_ < to ? std::memchr(buffer_.data() + scan_, '"', to - scan_) : nullptr;
    return found == nullptr ? kNowhere : static_cast<size_t>(static_cast<const char*>(found) - buffer_.data());
  };
  while (options_.quotes) {
    if (in_quotes_) {
      const size_t quote = find_quote(buffer_.size());
      const bool undecided = quote != kNowhere && quote + 1 == buffer_.size() && !ended_;
      if (quote == kNowhere || undecided) {
        scan_ = undecided ? quote : buffer_.size();
        return kNowhere;
      }
      const bool doubled = quote + 1 < buffer_.size() && buffer_[quote + 1] == '"';
      in_quotes_ = doubled;
      scan_ = quote + (doubled ? 2 : 1);
      continue;
    }
    const size_t newline = FindNewline();
    const size_t limit = newline == kNowhere ? buffer_.size() : newline;
    const size_t quote = find_quote(limit);
    if (quote == kNowhere) {
      scan_ = limit;
      break;
    }
    in_quotes_ = OpensField(quote);
    has_quotes_ |= in_quotes_;
    scan_ = quote + 1;
  }
  const size_t newline = FindNewline();
  if (newline != kNowhere) return newline;
  scan_ = buffer_.size();
  return ended_ && at_ < buffer_.size() ? buffer_.size() : kNowhere;
}

void RecordSplitter::Leave(size_t next, int64_t lines, TextRecord* record) {
  record->line = line_;
  record->end_offset = base_ + static_cast<int64_t>(next);
  line_ += lines;
  at_ = scan_ = next;
  in_quotes_ = has_quotes_ = false;
}

void RecordSplitter::Emit(size_t end, TextRecord* record) {
  record->text = std::string_view(buffer_).substr(at_, end - at_);
  record->offset = base_ + static_cast<int64_t>(at_);
  record->has_quotes = has_quotes_;
  record->fault = TextRecord::Fault::kNone;
  const int64_t breaks_inside = has_quotes_ ? std::count(record->text.begin(), record->text.end(), '\n') : 0;
  if (record->text.size() > options_.max_bytes) {
    record->fault = TextRecord::Fault::kTooLong;
    record->text = record->text.substr(0, kReceiptTextBytes);
  } else if (options_.strip_return && record->text.ends_with('\r')) {
    record->text.remove_suffix(1);
  }
  Leave(std::min(end + 1, buffer_.size()), 1 + breaks_inside, record);
}

// Only the first line of what has no end: the lines after it may be good.
bool RecordSplitter::EmitFirstLine(TextRecord::Fault fault, TextRecord* record) {
  const size_t newline = buffer_.find('\n', at_);
  if (newline == std::string::npos) return false;
  record->text = std::string_view(buffer_).substr(at_, newline - at_);
  record->offset = base_ + static_cast<int64_t>(at_);
  record->has_quotes = has_quotes_;
  record->fault = fault;
  newline_ = kNowhere;
  no_newline_before_ = 0;
  Leave(newline + 1, 1, record);
  return true;
}

// Inside a record that is too long: throws bytes away up to its line break.
bool RecordSplitter::Discard(TextRecord* record) {
  const size_t newline = FindNewline();
  if (newline == kNowhere && !ended_) {
    at_ = scan_ = buffer_.size();
    return false;
  }
  record->text = discarded_;
  record->offset = discarded_from_;
  record->has_quotes = false;
  record->fault = TextRecord::Fault::kTooLong;
  discarding_ = false;
  Leave(newline == kNowhere ? buffer_.size() : newline + 1, 1, record);
  return true;
}

bool RecordSplitter::Next(TextRecord* record) {
  if (!SkipByteOrderMark()) return false;
  if (discarding_) return Discard(record);
  const size_t end = FindEnd();
  if (end != kNowhere) {
    Emit(end, record);
    return true;
  }
  if (in_quotes_ && (ended_ || buffer_.size() - at_ > options_.max_bytes)) {
    if (EmitFirstLine(TextRecord::Fault::kUnclosedQuote, record)) return true;
    if (ended_ && at_ < buffer_.size()) {
      Emit(buffer_.size(), record);
      if (record->fault == TextRecord::Fault::kNone) record->fault = TextRecord::Fault::kUnclosedQuote;
      return true;
    }
  }
  if (buffer_.size() - at_ <= std::max(options_.max_bytes, kReceiptTextBytes)) return false;
  discarding_ = true;
  discarded_from_ = offset();
  discarded_ = buffer_.substr(at_, kReceiptTextBytes);
  in_quotes_ = false;
  return Discard(record);
}

}  // namespace pulseboard

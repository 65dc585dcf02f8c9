#include "common/client/sent_text.h"

#include <algorithm>
#include <cstring>

namespace pulseboard::client {
namespace {

constexpr size_t kMaxHeaderBytes = 16 << 20;
// More than any exposition says about its metrics; beyond it the oldest go, which only new series can miss.
constexpr size_t kMaxCommentBytes = 32 << 20;

}  // namespace

void SentText::Append(std::string bytes) {
  if (csv_) {
    ScanHeader(bytes);
  } else {
    ScanComments(bytes, end_);
  }
  Piece& piece = pieces_.emplace_back();
  piece.offset = end_;
  piece.line = line_;
  piece.bytes = std::move(bytes);
  end_ += static_cast<int64_t>(piece.bytes.size());
  line_ += std::count(piece.bytes.begin(), piece.bytes.end(), '\n');
}

void SentText::Forget(int64_t committed_offset) {
  while (!pieces_.empty()) {
    const Piece& first = pieces_.front();
    if (first.offset + static_cast<int64_t>(first.bytes.size()) > committed_offset) return;
    pieces_.pop_front();
  }
}

SentText::Piece SentText::From(int64_t offset) const {
  const auto after = std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                      [](int64_t wanted, const Piece& piece) { return wanted < piece.offset; });
  if (after == pieces_.begin() || offset >= end_) return {offset, line_, {}};
  const Piece& piece = *(after - 1);
  const auto skipped = static_cast<ptrdiff_t>(offset - piece.offset);
  const auto from = piece.bytes.begin() + skipped;
  return {offset, piece.line + std::count(piece.bytes.begin(), from, '\n'), std::string(from, piece.bytes.end())};
}

std::string SentText::ContextBefore(int64_t offset) const {
  if (csv_) return header_;
  std::string out;
  for (const auto& [at, line] : comments_) {
    if (at < offset) out += line;
  }
  return out;
}

void SentText::ScanHeader(std::string_view bytes) {
  if (header_done_) return;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == '"') in_quotes_ = !in_quotes_;
    // Empty lines before the header are none.
    const bool blank = header_.find_first_not_of("\r\n") == std::string::npos && (bytes[i] == '\n' || bytes[i] == '\r');
    if (bytes[i] != '\n' || in_quotes_ || blank) {
      header_.push_back(bytes[i]);
      if (header_.size() < kMaxHeaderBytes) continue;
    }
    header_.push_back('\n');
    header_done_ = true;
    return;
  }
}

void SentText::ScanComments(std::string_view bytes, int64_t offset) {
  size_t at = 0;
  while (at < bytes.size()) {
    if (at_line_start_) {
      in_comment_ = bytes[at] == '#';
      if (in_comment_) comments_.emplace_back(offset + static_cast<int64_t>(at), "");
    }
    const void* found = std::memchr(bytes.data() + at, '\n', bytes.size() - at);
    const size_t end =
        found == nullptr ? bytes.size() : static_cast<size_t>(static_cast<const char*>(found) - bytes.data()) + 1;
    if (in_comment_) {
      comments_.back().second.append(bytes.substr(at, end - at));
      comment_bytes_ += end - at;
    }
    at_line_start_ = found != nullptr;
    at = end;
  }
  while (comment_bytes_ > kMaxCommentBytes && comments_.size() > 1) {
    comment_bytes_ -= comments_.front().second.size();
    comments_.pop_front();
  }
}

}  // namespace pulseboard::client

#include "common/codec/huffman.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "common/codec/bits.h"

namespace pulseboard {
namespace {

constexpr size_t kStreams = 4;
constexpr size_t kPadding = 16;         // zero bytes after a copied segment, so that whole words can be loaded
constexpr size_t kShortColumn = 2048;   // symbols; below, filling a long table would take longer than using it
constexpr int kShortColumnCodeBits = 8;
constexpr int kFirstLengthGuess = 6;

enum LengthStep : uint64_t { kSameLength = 0, kLonger = 1, kShorter = 2, kExplicit = 3 };

// Canonical codes, bits reversed because streams start at the lowest bit.
std::array<uint16_t, kMaxSymbols> AssignCodes(const CodeLengths& lengths) {
  std::array<uint16_t, kMaxSymbols> codes = {};
  uint32_t code = 0;
  for (int length = 1; length <= kMaxCodeBits; ++length) {
    code <<= 1;
    for (size_t s = 0; s < kMaxSymbols; ++s) {
      if (lengths[s] != length) continue;
      uint32_t reversed = 0;
      for (int bit = 0; bit < length; ++bit) reversed |= ((code >> bit) & 1) << (length - 1 - bit);
      codes[s] = static_cast<uint16_t>(reversed);
      ++code;
    }
  }
  return codes;
}

struct Range {
  size_t begin;
  size_t end;
};
Range StreamRange(size_t stream, size_t count) {
  const size_t quarter = (count + kStreams - 1) / kStreams;
  return {std::min(count, stream * quarter), std::min(count, (stream + 1) * quarter)};
}

void WriteLengths(const CodeLengths& lengths, size_t symbols, std::string* out) {
  BitWriter bits(out);
  int previous = kFirstLengthGuess;
  for (size_t s = 0; s < symbols; ++s) {
    const int length = lengths[s];
    if (length == previous) {
      bits.Write(kSameLength, 2);
    } else if (length == previous + 1) {
      bits.Write(kLonger, 2);
    } else if (length == previous - 1) {
      bits.Write(kShorter, 2);
    } else {
      bits.Write(kExplicit | static_cast<uint64_t>(length) << 2, 6);
    }
    previous = length;
  }
  bits.Finish();
}

// False unless they make a complete prefix code.
bool ReadLengths(ByteReader* in, size_t symbols, CodeLengths* lengths, int* longest) {
  BitReader bits(in->rest());
  int previous = kFirstLengthGuess;
  uint32_t used = 0;
  *longest = 0;
  for (size_t s = 0; s < symbols; ++s) {
    const uint64_t step = bits.Read(2);
    if (step == kLonger) ++previous;
    if (step == kShorter) --previous;
    if (step == kExplicit) previous = static_cast<int>(bits.Read(4));
    if (previous < 0 || previous > kMaxCodeBits) return false;
    (*lengths)[s] = static_cast<uint8_t>(previous);
    *longest = std::max(*longest, previous);
    if (previous > 0) used += 1u << (kMaxCodeBits - previous);
  }
  if (!bits.ok() || used != 1u << kMaxCodeBits) return false;
  in->Bytes(bits.consumed_bytes());
  return true;
}

struct Entry {
  uint8_t symbol;
  uint8_t length;
};
using Table = std::array<Entry, size_t{1} << kMaxCodeBits>;

void FillTable(const CodeLengths& lengths, int longest, Table* table) {
  const auto codes = AssignCodes(lengths);
  for (size_t s = 0; s < kMaxSymbols; ++s) {
    if (lengths[s] == 0) continue;
    const Entry entry = {static_cast<uint8_t>(s), lengths[s]};
    for (size_t at = codes[s]; at < size_t{1} << longest; at += size_t{1} << lengths[s]) (*table)[at] = entry;
  }
}

struct Stream {
  const char* bytes;
  size_t limit;  // bytes; kPadding more can be read
  size_t bit = 0;
  uint8_t* out = nullptr;
  uint8_t* end = nullptr;

  size_t consumed_bytes() const { return (bit + 7) / 8; }
  // The next 57 bits at least; nothing but zeros after the end.
  uint64_t Peek() const {
    const size_t byte = std::min(bit / 8, limit);
    uint64_t word;
    std::memcpy(&word, bytes + byte, sizeof(word));
    return word >> (bit % 8);
  }
};

// As long as every stream has kRun symbols left. A stream that runs over its end goes on over zeros: noticed by length.
template <int kRun>
void DecodeInterleaved(const Table& table, int longest, std::array<Stream, kStreams>* streams) {
  const uint64_t mask = LowBits(longest);
  auto [a, b, c, d] = *streams;
  // The last stream is never longer than the others.
  for (auto runs = (d.end - d.out) / kRun; runs > 0; --runs) {
    uint64_t wa = a.Peek(), wb = b.Peek(), wc = c.Peek(), wd = d.Peek();
    const auto step = [&table, mask](uint64_t* word, Stream* stream, int i) {
      const Entry entry = table[*word & mask];
      stream->out[i] = entry.symbol;
      *word >>= entry.length;
      stream->bit += entry.length;
    };
    for (int i = 0; i < kRun; ++i) {
      step(&wa, &a, i);
      step(&wb, &b, i);
      step(&wc, &c, i);
      step(&wd, &d, i);
    }
    a.out += kRun;
    b.out += kRun;
    c.out += kRun;
    d.out += kRun;
  }
  *streams = {a, b, c, d};
}

void DecodeRest(const Table& table, int longest, Stream* stream) {
  const uint64_t mask = LowBits(longest);
  while (stream->out < stream->end) {
    const Entry entry = table[stream->Peek() & mask];
    *stream->out++ = entry.symbol;
    stream->bit += entry.length;
  }
}

}  // namespace

CodeLengths BuildCodeLengths(const std::array<uint32_t, kMaxSymbols>& counts) {
  CodeLengths lengths = {};
  std::array<std::pair<uint32_t, uint8_t>, kMaxSymbols> used;
  size_t n = 0;
  uint64_t total = 0;
  for (size_t s = 0; s < kMaxSymbols; ++s) {
    if (counts[s] > 0) used[n++] = {counts[s], static_cast<uint8_t>(s)};
    total += counts[s];
  }
  if (n < 2) return lengths;
  std::sort(used.begin(), used.begin() + static_cast<std::ptrdiff_t>(n));
  // Two queues: leaves by weight, and inner nodes, which come out by weight of themselves.
  std::array<uint64_t, 2 * kMaxSymbols> weight;
  std::array<uint8_t, 2 * kMaxSymbols> parent, depth;
  for (size_t i = 0; i < n; ++i) weight[i] = used[i].first;
  size_t leaf = 0, inner = n;
  for (size_t node = n; node < 2 * n - 1; ++node) {
    weight[node] = 0;
    for (int child = 0; child < 2; ++child) {
      const size_t taken = leaf < n && (inner >= node || weight[leaf] <= weight[inner]) ? leaf++ : inner++;
      weight[node] += weight[taken];
      parent[taken] = static_cast<uint8_t>(node);
    }
  }
  depth[2 * n - 2] = 0;
  for (size_t node = 2 * n - 2; node-- > 0;) depth[node] = static_cast<uint8_t>(depth[parent[node]] + 1);
  // Cut to the limit, then pay the debt by lengthening the rarest codes that can grow, then give back what is left.
  const int limit = total < kShortColumn ? kShortColumnCodeBits : kMaxCodeBits;
  int64_t room = int64_t{1} << limit;
  for (size_t i = 0; i < n; ++i) {
    depth[i] = static_cast<uint8_t>(std::min<int>(depth[i], limit));
    room -= int64_t{1} << (limit - depth[i]);
  }
  for (size_t i = 0; room < 0; i = i + 1 == n ? 0 : i + 1) {
    if (depth[i] >= limit) continue;
    ++depth[i];
    room += int64_t{1} << (limit - depth[i]);
  }
  for (size_t i = n; i-- > 0;) {
    while (depth[i] > 1 && room >= int64_t{1} << (limit - depth[i])) {
      room -= int64_t{1} << (limit - depth[i]);
      --depth[i];
    }
  }
  for (size_t i = 0; i < n; ++i) lengths[used[i].second] = depth[i];
  return lengths;
}

void EncodeSymbols(std::span<const uint8_t> symbols, const CodeLengths& lengths, std::string* out) {
  size_t alphabet = kMaxSymbols;
  while (alphabet > 1 && lengths[alphabet - 1] == 0) --alphabet;
  out->push_back(static_cast<char>(alphabet));
  if (alphabet == 1) return;
  WriteLengths(lengths, alphabet, out);
  const auto codes = AssignCodes(lengths);
  std::array<std::string, kStreams> streams;
  for (size_t s = 0; s < kStreams; ++s) {
    const Range range = StreamRange(s, symbols.size());
    BitWriter bits(&streams[s]);
    for (const uint8_t symbol : symbols.subspan(range.begin, range.end - range.begin)) {
      bits.Write(codes[symbol], lengths[symbol]);
    }
    bits.Finish();
  }
  PutVarint(out, streams[0].size() + streams[1].size());
  for (size_t s = 0; s < kStreams; s += 2) {
    out->append(streams[s]);
    out->append(streams[s + 1].rbegin(), streams[s + 1].rend());
  }
}

bool DecodeSymbols(ByteReader* in, size_t count, uint8_t* out) {
  const size_t alphabet = in->Fixed<uint8_t>();
  if (alphabet == 1 && in->remaining() == 0) {
    std::memset(out, 0, count);
    return true;
  }
  CodeLengths lengths = {};
  int longest = 0;
  if (alphabet < 2 || alphabet > kMaxSymbols || !ReadLengths(in, alphabet, &lengths, &longest)) {
    in->Fail();
    return false;
  }
  Table table;
  FillTable(lengths, longest, &table);
  const std::string_view first = in->LengthPrefixed();
  if (!in->ok()) return false;
  const std::array<std::string_view, 2> segments = {first, in->Bytes(in->remaining())};
  // Each segment as it is, for the stream from its front, and reversed, for the one from its back.
  const size_t room = 2 * (segments[0].size() + segments[1].size()) + kStreams * kPadding;
  const std::unique_ptr<char[]> copies(new char[room]);
  char* at = copies.get();
  std::array<Stream, kStreams> streams;
  for (size_t s = 0; s < kStreams; ++s) {
    const std::string_view segment = segments[s / 2];
    const Range range = StreamRange(s, count);
    streams[s] = {at, segment.size(), 0, out + range.begin, out + range.end};
    if (s % 2 == 0) {
      at = std::copy(segment.begin(), segment.end(), at);
    } else {
      at = std::copy(segment.rbegin(), segment.rend(), at);
    }
    at = std::fill_n(at, kPadding, 0);
  }
  if (longest <= kShortColumnCodeBits) {
    DecodeInterleaved<7>(table, longest, &streams);
  } else {
    DecodeInterleaved<5>(table, longest, &streams);
  }
  for (Stream& stream : streams) DecodeRest(table, longest, &stream);
  for (size_t i = 0; i < segments.size(); ++i) {
    if (streams[2 * i].consumed_bytes() + streams[2 * i + 1].consumed_bytes() != segments[i].size()) in->Fail();
  }
  return in->ok();
}

}  // namespace pulseboard

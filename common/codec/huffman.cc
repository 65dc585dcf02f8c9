#include "common/codec/huffman.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "common/codec/bits.h"

namespace pulseboard {
namespace {

constexpr size_t kStreams = 4;
constexpr size_t kPadding = 16;        // zero bytes after a copied segment, so that whole words can be loaded
constexpr size_t kShortColumn = 2048;  // symbols; below, filling a long table would take longer than using it
constexpr int kShortColumnCodeBits = 8;
constexpr int kFirstLengthGuess = 6;
constexpr size_t kOnStack = 2048;  // bytes of copied segments up to which none is allocated for them

enum LengthStep : uint64_t { kSameLength = 0, kLonger = 1, kShorter = 2, kExplicit = 3 };

constexpr std::array<uint16_t, size_t{1} << kMaxCodeBits> MakeReversed() {
  std::array<uint16_t, size_t{1} << kMaxCodeBits> out = {};
  for (size_t v = 0; v < out.size(); ++v) {
    for (int bit = 0; bit < kMaxCodeBits; ++bit) {
      if ((v >> bit & 1) != 0) out[v] = static_cast<uint16_t>(out[v] | 1u << (kMaxCodeBits - 1 - bit));
    }
  }
  return out;
}
// Of kMaxCodeBits bits, the last as the first.
constexpr std::array<uint16_t, size_t{1} << kMaxCodeBits> kReversed = MakeReversed();

// Canonical codes, bits reversed because streams start at the lowest bit. Of the first `alphabet` symbols; others are
// not touched. REQUIRES: lengths of a prefix code. Short columns pay for this as for their symbols.
void AssignCodes(const CodeLengths& lengths, size_t alphabet, std::array<uint16_t, kMaxSymbols>* codes) {
  std::array<uint32_t, kMaxCodeBits + 1> of_length = {};
  for (size_t s = 0; s < alphabet; ++s) ++of_length[lengths[s]];
  std::array<uint32_t, kMaxCodeBits + 1> next = {};
  for (size_t length = 2; length < next.size(); ++length)
    next[length] = (next[length - 1] + of_length[length - 1]) << 1;
  for (size_t s = 0; s < alphabet; ++s) {
    if (lengths[s] != 0)
      (*codes)[s] = static_cast<uint16_t>(kReversed[next[lengths[s]]++] >> (kMaxCodeBits - lengths[s]));
  }
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

// Length by length: all codes of up to `length` bits stand in the first 2^length entries; to make room for longer ones
// these are repeated behind themselves.
void FillTable(const CodeLengths& lengths, size_t alphabet, int index_bits, Table* table) {
  std::array<uint16_t, kMaxSymbols> codes;
  AssignCodes(lengths, alphabet, &codes);
  std::array<uint8_t, kMaxCodeBits + 2> places = {};  // where the symbols of each length begin in `by_length`
  for (size_t s = 0; s < alphabet; ++s) ++places[lengths[s] + size_t{1}];
  for (size_t length = 1; length < places.size(); ++length) {
    places[length] = static_cast<uint8_t>(places[length] + places[length - 1]);
  }
  const auto begins = places;
  std::array<uint8_t, kMaxSymbols> by_length;
  for (size_t s = 0; s < alphabet; ++s) by_length[places[lengths[s]]++] = static_cast<uint8_t>(s);
  for (int length = 1; length <= index_bits; ++length) {
    const size_t half = size_t{1} << (length - 1);
    std::memcpy(table->data() + half, table->data(), half * sizeof(Entry));
    const auto at = static_cast<size_t>(length);
    for (size_t i = begins[at]; i < begins[at + 1]; ++i) {
      (*table)[codes[by_length[i]]] = {by_length[i], static_cast<uint8_t>(length)};
    }
  }
}

// Whole words while they last.
void CopyReversed(std::string_view from, char* to) {
  const char* end = from.data() + from.size();
  for (; end - from.data() >= static_cast<std::ptrdiff_t>(sizeof(uint64_t)); to += sizeof(uint64_t)) {
    end -= sizeof(uint64_t);
    uint64_t word;
    std::memcpy(&word, end, sizeof(word));
    word = __builtin_bswap64(word);
    std::memcpy(to, &word, sizeof(word));
  }
  while (end != from.data()) *to++ = *--end;
}

// All streams' bytes, one after the other, with padding behind each: one base and one bound for all, which leaves
// registers to the streams.
struct Bytes {
  const char* data;
  size_t last_word;  // the last place where eight bytes can be loaded

  // The next 57 bits at least. A stream that runs over its end reads what is there: noticed by its length.
  uint64_t Peek(size_t bit) const {
    uint64_t word;
    std::memcpy(&word, data + std::min(bit / 8, last_word), sizeof(word));
    return word >> (bit % 8);
  }
};

struct Stream {
  size_t bit;  // place of the next bit in Bytes
  size_t start;
  uint8_t* out;
  uint8_t* end;

  size_t consumed_bytes() const { return (bit - start + 7) / 8; }
};

// As long as every stream has kRun symbols left: kRun codes of kBits or less fit one load.
template <int kBits, int kRun>
void DecodeInterleaved(const Table& table, const Bytes& bytes, std::array<Stream, kStreams>* streams) {
  static_assert(kBits * kRun <= 57);
  auto& [a, b, c, d] = *streams;
  size_t bit_a = a.bit, bit_b = b.bit, bit_c = c.bit, bit_d = d.bit;
  // The last stream is never longer than the others.
  const auto symbols = static_cast<size_t>((d.end - d.out) / kRun * kRun);
  for (size_t at = 0; at < symbols; at += kRun) {
    uint64_t word_a = bytes.Peek(bit_a), word_b = bytes.Peek(bit_b), word_c = bytes.Peek(bit_c),
             word_d = bytes.Peek(bit_d);
    const auto step = [&table](uint64_t& word, size_t& bit, uint8_t* out) {
      const Entry entry = table[word & LowBits(kBits)];
      *out = entry.symbol;
      word >>= entry.length;
      bit += entry.length;
    };
#pragma GCC unroll 8
    for (size_t i = 0; i < kRun; ++i) {
      step(word_a, bit_a, a.out + at + i);
      step(word_b, bit_b, b.out + at + i);
      step(word_c, bit_c, c.out + at + i);
      step(word_d, bit_d, d.out + at + i);
    }
  }
  a.bit = bit_a;
  b.bit = bit_b;
  c.bit = bit_c;
  d.bit = bit_d;
  for (Stream& stream : *streams) stream.out += symbols;
}

void DecodeRest(const Table& table, int index_bits, const Bytes& bytes, Stream* stream) {
  const uint64_t mask = LowBits(index_bits);
  while (stream->out < stream->end) {
    const Entry entry = table[bytes.Peek(stream->bit) & mask];
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
  std::array<uint16_t, kMaxSymbols> codes;
  AssignCodes(lengths, alphabet, &codes);
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
  const int index_bits = longest <= kShortColumnCodeBits ? kShortColumnCodeBits : kMaxCodeBits;
  Table table;
  FillTable(lengths, alphabet, index_bits, &table);
  const std::string_view first = in->LengthPrefixed();
  if (!in->ok()) return false;
  const std::array<std::string_view, 2> segments = {first, in->Bytes(in->remaining())};
  // Each segment as it is, for the stream from its front, and reversed, for the one from its back.
  const size_t room = 2 * (segments[0].size() + segments[1].size()) + kStreams * kPadding;
  std::array<char, kOnStack> small;
  const std::unique_ptr<char[]> large(room > small.size() ? new char[room] : nullptr);
  char* const copies = large != nullptr ? large.get() : small.data();
  char* at = copies;
  std::array<Stream, kStreams> streams;
  for (size_t s = 0; s < kStreams; ++s) {
    const std::string_view segment = segments[s / 2];
    const Range range = StreamRange(s, count);
    const auto bit = static_cast<size_t>(at - copies) * 8;
    streams[s] = {bit, bit, out + range.begin, out + range.end};
    if (s % 2 == 0) {
      std::memcpy(at, segment.data(), segment.size());
    } else {
      CopyReversed(segment, at);
    }
    std::memset(at + segment.size(), 0, kPadding);
    at += segment.size() + kPadding;
  }
  const Bytes bytes = {copies, room - sizeof(uint64_t)};
  if (index_bits == kShortColumnCodeBits) {
    DecodeInterleaved<kShortColumnCodeBits, 7>(table, bytes, &streams);
  } else {
    DecodeInterleaved<kMaxCodeBits, 5>(table, bytes, &streams);
  }
  for (Stream& stream : streams) DecodeRest(table, index_bits, bytes, &stream);
  for (size_t i = 0; i < segments.size(); ++i) {
    if (streams[2 * i].consumed_bytes() + streams[2 * i + 1].consumed_bytes() != segments[i].size()) in->Fail();
  }
  return in->ok();
}

}  // namespace pulseboard

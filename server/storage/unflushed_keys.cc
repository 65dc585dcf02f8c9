#include "server/storage/unflushed_keys.h"

#include <algorithm>
#include <utility>

#include "common/base/endian.h"
#include "server/storage/rocks.h"

namespace pulseboard {
namespace {

constexpr size_t kPieceBytes = 16 << 10;  // so that growing never copies much

}  // namespace

class UnflushedKeys::Reader final : public rocksdb::WriteBatch::Handler {
 public:
  explicit Reader(Noted* into) : into_(into) {}
  rocksdb::Status PutCF(uint32_t family, const rocksdb::Slice& key, const rocksdb::Slice& /*value*/) override {
    into_->Add(family, ToView(key));
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(uint32_t family, const rocksdb::Slice& key) override {
    into_->Add(family, ToView(key));
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteRangeCF(uint32_t family, const rocksdb::Slice& from, const rocksdb::Slice& to) override {
    into_->ranges.push_back({family, from.ToString(), to.ToString()});
    into_->bytes += static_cast<int64_t>(sizeof(Range) + from.size() + to.size());
    return rocksdb::Status::OK();
  }

 private:
  Noted* const into_;
};

void UnflushedKeys::Noted::Add(uint32_t family, std::string_view key) {
  const size_t needed = 2 * sizeof(uint32_t) + key.size();
  if (keys.empty() || keys.back().size() + needed > keys.back().capacity()) {
    keys.emplace_back().reserve(std::max(kPieceBytes, needed));
    bytes += static_cast<int64_t>(keys.back().capacity());
  }
  PutLittleEndian(&keys.back(), family);
  PutLittleEndian(&keys.back(), static_cast<uint32_t>(key.size()));
  keys.back().append(key);
}

void UnflushedKeys::Noted::Append(Noted later) {
  for (std::string& piece : later.keys) keys.push_back(std::move(piece));
  for (Range& range : later.ranges) ranges.push_back(std::move(range));
  bytes += later.bytes;
}

void UnflushedKeys::Note(const rocksdb::WriteBatch& batch) {
  MutexLock lock(&mu_);
  Reader reader(&noted_);
  // A batch that was made by WriteBatch's own calls can be read back.
  batch.Iterate(&reader).PermitUncheckedError();
}

void UnflushedKeys::BeginFlush() {
  MutexLock lock(&mu_);
  flushing_.Append(std::exchange(noted_, {}));
}

void UnflushedKeys::EndFlush(bool flushed) {
  MutexLock lock(&mu_);
  Noted before = std::exchange(flushing_, {});
  if (flushed) return;
  before.Append(std::exchange(noted_, {}));
  noted_ = std::move(before);
}

void UnflushedKeys::Visit(const VisitRange& range, const VisitKey& key) const {
  MutexLock lock(&mu_);
  for (const Noted* noted : {&flushing_, &noted_}) {
    for (const Range& one : noted->ranges) range(one.family, one.from, one.to);
  }
  for (const Noted* noted : {&flushing_, &noted_}) {
    for (const std::string& piece : noted->keys) {
      std::string_view rest = piece;
      while (!rest.empty()) {
        const auto family = GetLittleEndian<uint32_t>(rest);
        const auto size = GetLittleEndian<uint32_t>(rest.substr(sizeof(uint32_t)));
        rest.remove_prefix(2 * sizeof(uint32_t));
        key(family, rest.substr(0, size));
        rest.remove_prefix(size);
      }
    }
  }
}

int64_t UnflushedKeys::bytes() const {
  MutexLock lock(&mu_);
  return noted_.bytes + flushing_.bytes;
}

}  // namespace pulseboard

#include "server/storage/range_compactor.h"

#include <utility>

#include "common/base/log.h"

namespace pulseboard {

RangeCompactor::RangeCompactor(std::shared_ptr<rocksdb::DB> db) : db_(std::move(db)), thread_([this] { Loop(); }) {}

RangeCompactor::~RangeCompactor() {
  cancelled_ = true;
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

void RangeCompactor::Add(PartitionPtr partition, std::string from, std::string to) {
  MutexLock lock(&mu_);
  if (waiting_.size() >= kMaxWaiting) waiting_.pop_front();
  waiting_.push_back({std::move(partition), std::move(from), std::move(to)});
  changed_.NotifyOne();
}

bool RangeCompactor::idle() const {
  MutexLock lock(&mu_);
  return waiting_.empty() && !working_;
}

void RangeCompactor::Loop() {
  while (true) {
    Range range;
    {
      MutexLock lock(&mu_);
      working_ = false;
      while (waiting_.empty() && !stopping_) changed_.Wait(&mu_);
      if (stopping_) return;
      range = std::move(waiting_.front());
      waiting_.pop_front();
      working_ = true;
    }
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    options.canceled = &cancelled_;
    const rocksdb::Slice from(range.from);
    const rocksdb::Slice to(range.to);
    const rocksdb::Status status = db_->CompactRange(options, range.partition->family.get(), &from, &to);
    if (!status.ok() && !cancelled_) {
      PB_LOG(Warning, "storage", "left deleted space family={} error={}", FamilyName(range.partition->window),
             status.ToString());
    }
  }
}

}  // namespace pulseboard

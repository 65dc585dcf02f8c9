#include "server/storage/memory_reads.h"

namespace pulseboard {
namespace {

thread_local MemoryReads* current = nullptr;

}  // namespace

MemoryReads::MemoryReads(int64_t max_samples) : samples_left_(max_samples) { current = this; }

MemoryReads::~MemoryReads() { current = nullptr; }

MemoryReads* MemoryReads::Current() { return current; }

absl::Status MemoryReads::MayDecode(int64_t samples) {
  if (current == nullptr) return absl::OkStatus();
  current->samples_left_ -= samples;
  if (current->samples_left_ >= 0) return absl::OkStatus();
  current->failed_ = true;
  return absl::AbortedError("more to decode than is worth the wait");
}

}  // namespace pulseboard

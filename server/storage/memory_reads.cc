#include "server/storage/memory_reads.h"

namespace pulseboard {
namespace {

thread_local MemoryReads* current = nullptr;

}  // namespace

MemoryReads::MemoryReads(int64_t max_samples) : samples_left_(max_samples) { current = this; }

MemoryReads::~MemoryReads() { current = nullptr; }

MemoryReads* MemoryReads::Current() { return current; }

}  // namespace pulseboard

// Any bytes into the log record decoder.
#include <cstdlib>
#include <string>

#include "server/storage/wal_record.h"

namespace pulseboard {
namespace {

int Try(const uint8_t* data, size_t size) {
  WalRecord record;
  if (!DecodeWalRecord({reinterpret_cast<const char*>(data), size}, &record)) return 0;
  std::string bytes;
  EncodeWalRecord(record.commit_sequence, record.committed_unix_nanos, record.batch, record.definitions, record.late,
                  &bytes);
  WalRecord again;
  if (!DecodeWalRecord(bytes, &again) || again.batch.series != record.batch.series ||
      again.batch.times != record.batch.times || again.late != record.late) {
    std::abort();
  }
  return 0;
}

}  // namespace
}  // namespace pulseboard

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { return pulseboard::Try(data, size); }

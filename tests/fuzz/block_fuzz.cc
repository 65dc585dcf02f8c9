// Any bytes into the block decoder; with the checksum made right, so that the fuzzer gets past it.
#include <cstdlib>
#include <string>

#include "common/base/checksum.h"
#include "common/base/endian.h"
#include "common/codec/block.h"

namespace pulseboard {
namespace {

int Try(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  SampleColumns out;
  (void)ReadBlockHeader(bytes).ok();
  (void)DecodeBlock(bytes, &out).ok();
  std::string checked(bytes.substr(0, size < 4 ? size : size - 4));
  PutLittleEndian(&checked, Crc32(checked));
  out.clear();
  if (!DecodeBlock(checked, &out).ok()) {
    if (!out.empty()) std::abort();
    return 0;
  }
  // What decodes must survive being written again.
  SampleColumns again;
  if (!DecodeBlock(EncodeBlock(out.times, out.values), &again).ok() || again.times != out.times) std::abort();
  if (std::memcmp(again.values.data(), out.values.data(), out.values.size() * sizeof(double)) != 0) std::abort();
  return 0;
}

}  // namespace
}  // namespace pulseboard

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { return pulseboard::Try(data, size); }

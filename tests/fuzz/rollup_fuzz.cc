// Any bytes into the rollup block decoder; with the checksum made right, so that the fuzzer gets past it.
#include <cstdlib>
#include <string>

#include "common/base/checksum.h"
#include "common/base/endian.h"
#include "common/codec/rollup_block.h"

namespace pulseboard {
namespace {

int Try(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  RollupSpan span;
  RollupColumns out;
  (void)ReadRollupSpan(bytes).ok();
  std::string checked(bytes.substr(0, size < 4 ? size : size - 4));
  PutLittleEndian(&checked, Crc32(checked));
  if (!DecodeRollupBlock(checked, kAllRollupFields, &span, &out).ok()) {
    if (!out.empty()) std::abort();
    return 0;
  }
  // What decodes must survive being punched, and being written again.
  const SlotRange first[] = {{0, 1}};
  if (!PunchRollupBlock(checked, first).ok()) std::abort();
  if (out.empty()) return 0;
  for (size_t i = 0; i < out.size(); ++i) {
    if (out.counts[i] != 0) continue;
    out.firsts[i] = out.lasts[i] = out.mins[i] = out.maxs[i] = 0;  // NaN by definition, whatever stands there
  }
  RollupSpan again_span;
  RollupColumns again;
  if (!DecodeRollupBlock(EncodeRollupBlock(span, out), kAllRollupFields, &again_span, &again).ok()) std::abort();
  if (again.starts != out.starts || again.counts != out.counts || again.max_times != out.max_times) std::abort();
  return 0;
}

}  // namespace
}  // namespace pulseboard

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { return pulseboard::Try(data, size); }

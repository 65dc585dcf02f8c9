#include "common/base/checksum.h"

#include <libdeflate.h>

namespace pulseboard {

uint32_t Crc32(std::string_view bytes) { return Crc32(0, bytes); }

uint32_t Crc32(uint32_t crc, std::string_view bytes) { return libdeflate_crc32(crc, bytes.data(), bytes.size()); }

}  // namespace pulseboard

// CRC-32 (IEEE 802.3, as in zlib) over bytes, by libdeflate.
#pragma once

#include <cstdint>
#include <string_view>

namespace pulseboard {

uint32_t Crc32(std::string_view bytes);
// Goes on from the CRC of earlier bytes.
uint32_t Crc32(uint32_t crc, std::string_view bytes);

}  // namespace pulseboard

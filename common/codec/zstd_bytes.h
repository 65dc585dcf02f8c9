// One zstd frame without what a block knows anyway: no magic number, no content size, no checksum.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace pulseboard {

// Appends at most `limit` bytes; false, with `out` as before, when the frame would be longer.
bool CompressZstd(std::string_view content, size_t limit, std::string* out);

// Fills `content` exactly; false when the frame holds anything else. Allocates about the size of the frame.
bool DecompressZstd(std::string_view frame, std::span<char> content);

}  // namespace pulseboard

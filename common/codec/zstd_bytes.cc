#include "common/codec/zstd_bytes.h"

#include <zstd.h>

#include <memory>

namespace pulseboard {
namespace {

constexpr int kLevel = 3;
constexpr std::string_view kMagic("\x28\xB5\x2F\xFD", 4);

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// One per thread: making one takes longer than compressing a block.
ZSTD_CCtx* Compressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> context = [] {
    std::unique_ptr<ZSTD_CCtx, FreeContext> made(ZSTD_createCCtx());
    ZSTD_CCtx_setParameter(made.get(), ZSTD_c_compressionLevel, kLevel);
    ZSTD_CCtx_setParameter(made.get(), ZSTD_c_contentSizeFlag, 0);
    return made;
  }();
  return context.get();
}

ZSTD_DCtx* Decompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  return context.get();
}

}  // namespace

bool CompressZstd(std::string_view content, size_t limit, std::string* out) {
  std::string frame(ZSTD_compressBound(content.size()), '\0');
  const size_t size = ZSTD_compress2(Compressor(), frame.data(), frame.size(), content.data(), content.size());
  if (ZSTD_isError(size) || size - kMagic.size() > limit) return false;
  out->append(frame, kMagic.size(), size - kMagic.size());
  return true;
}

bool DecompressZstd(std::string_view frame, std::span<char> content) {
  std::string whole(kMagic);
  whole += frame;
  // Exactly one frame: more would be appended silently otherwise.
  if (ZSTD_findFrameCompressedSize(whole.data(), whole.size()) != whole.size()) return false;
  return ZSTD_decompressDCtx(Decompressor(), content.data(), content.size(), whole.data(), whole.size()) ==
         content.size();
}

}  // namespace pulseboard

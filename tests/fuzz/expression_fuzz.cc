// Any bytes into the parser of expressions: what it reads, it prints and reads again as the same.
#include <cstdlib>
#include <string>

#include "server/query/expression/parser.h"
#include "server/query/expression/printer.h"

namespace pulseboard::expression {
namespace {

int Try(const uint8_t* data, size_t size) {
  const auto tree = Parse({reinterpret_cast<const char*>(data), size});
  if (!tree.ok()) return 0;
  const std::string text = Print(**tree);
  const auto again = Parse(text);
  // The canonical text may be longer than the limit allows.
  if (!again.ok() && text.size() > kMaxExpressionBytes) return 0;
  if (!again.ok() || Print(**again) != text) std::abort();
  return 0;
}

}  // namespace
}  // namespace pulseboard::expression

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return pulseboard::expression::Try(data, size);
}

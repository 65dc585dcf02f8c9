#include "server/app/moment.h"

#include <optional>

#include "common/base/errors.h"
#include "common/base/units.h"
#include "server/transfer/csv_time.h"

namespace pulseboard {
namespace {

// How long ago, when the text says it so. A bare `0` is Unix seconds.
std::optional<int64_t> ParseAgo(std::string_view text) {
  constexpr std::string_view kAgo = " ago";
  if (text == "0") return std::nullopt;
  if (text.starts_with('-')) return ParseDuration(text.substr(1));
  if (text.ends_with(kAgo)) text.remove_suffix(kAgo.size());
  return ParseDuration(text);
}

}  // namespace

absl::StatusOr<int64_t> ParseMoment(std::string_view flag, const std::string& text, int64_t now_unix_nanos) {
  if (text == "now") return now_unix_nanos;
  std::optional<int64_t> moment;
  if (const std::optional<int64_t> ago = ParseAgo(text)) {
    moment = now_unix_nanos - *ago;
  } else {
    PB_ASSIGN_OR_RETURN(const CsvTimeReader reader, CsvTimeReader::Make(CsvTime::kUnspecified, "", ""));
    moment = reader.Read(text);
  }
  if (moment && *moment >= 0) return *moment;
  return BadField(flag, text, std::string(kMomentSpellings) + " such as 2026-11-24T10:00:00Z, from 1970 on,");
}

}  // namespace pulseboard

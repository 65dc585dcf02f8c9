// CsvTimeReader: the times of a CSV table.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace pulseboard {

// Numbers equal pulseboard.v1.CsvTime.
enum class CsvTime {
  kUnspecified = 0,
  kRfc3339 = 1,
  kUnixSeconds = 2,
  kUnixMillis = 3,
  kUnixMicros = 4,
  kUnixNanos = 5,
  kPattern = 6,
};

// Immutable, thread-safe.
class CsvTimeReader {
 public:
  // BAD_FIELD for an unknown zone, or a pattern where it does not belong (or is missing).
  static absl::StatusOr<CsvTimeReader> Make(CsvTime format, const std::string& pattern, const std::string& zone);
  ~CsvTimeReader();
  CsvTimeReader(CsvTimeReader&&) noexcept;
  CsvTimeReader& operator=(CsvTimeReader&&) noexcept;

  // Nanoseconds since the Unix epoch; nothing for other text and outside of 1970 to 2262.
  std::optional<int64_t> Read(std::string_view text) const;
  // What would be accepted, for messages.
  std::string Accepted() const;

 private:
  struct Zone;
  CsvTimeReader();
  std::optional<int64_t> ReadRfc3339(std::string_view text) const;
  std::optional<int64_t> ReadPattern(std::string_view text) const;

  CsvTime format_ = CsvTime::kUnspecified;
  std::string pattern_;
  std::unique_ptr<Zone> zone_;  // null: UTC
};

}  // namespace pulseboard

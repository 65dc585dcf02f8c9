// SelectorParser: the part of the parser that reads selectors and what shifts them in time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/query/expression/token_reader.h"

namespace pulseboard::expression {

class SelectorParser : public TokenReader {
 protected:
  using TokenReader::TokenReader;

  // `name{…}`, whose name was taken, or `{…}`.
  absl::StatusOr<NodePtr> InstantSelector(const std::optional<Token>& name);
  // Nanoseconds, positive.
  absl::StatusOr<int64_t> Duration();
  // `offset 5m`, `offset -5m`.
  absl::Status Offset(TimeShift* shift);
  // `@ 1700000000`, `@ start()`, `@ end()`.
  absl::Status At(TimeShift* shift);

 private:
  absl::Status AddName(const Token& token, std::string name, std::vector<Matcher>* matchers);
  absl::Status Braces(bool named, std::vector<Matcher>* matchers);
  absl::Status OneMatcher(std::vector<Matcher>* matchers);
};

}  // namespace pulseboard::expression

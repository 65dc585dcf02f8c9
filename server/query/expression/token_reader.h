// TokenReader: the tokens of an expression, one at a time, and what is said when another was expected.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/errors.h"
#include "server/query/expression/functions.h"
#include "server/query/expression/lexer.h"
#include "server/query/expression/parser.h"

namespace pulseboard::expression {

// Base of the parser. Not thread-safe; `text` must outlive it. `token_` is the next token, not yet taken.
class TokenReader {
 protected:
  explicit TokenReader(std::string_view text) : text_(text), lexer_(text) {}

  absl::Status Take() {
    PB_ASSIGN_OR_RETURN(token_, lexer_.Next());
    return absl::OkStatus();
  }
  bool Is(std::string_view symbol) const { return token_.kind == Token::Kind::kSymbol && token_.text == symbol; }
  bool IsWord(std::string_view word) const {
    return token_.kind == Token::Kind::kName && LowerCase(token_.text) == word;
  }
  absl::Status Unexpected(std::string_view expected) const { return Fail(token_, expected); }
  absl::Status Fail(const Token& token, std::string_view expected) const {
    const std::string found =
        token.kind == Token::Kind::kEnd ? "the end" : "'" + Printable(token.text.substr(0, 40)) + "'";
    return BadExpression(text_, token.at, found, expected);
  }
  absl::Status WrongType(const Node& node, std::string_view expected) const {
    return BadExpression(text_, node.column - 1, TypeName(node.type), expected);
  }
  absl::Status Expect(std::string_view symbol) {
    if (!Is(symbol)) return Unexpected("'" + std::string(symbol) + "'");
    return Take();
  }

  // A node, unless there are too many.
  template <typename What>
  absl::StatusOr<NodePtr> Made(What what, ValueType type, size_t at) {
    if (++nodes_ > kMaxNodes) {
      return BadExpression(text_, at, "part " + std::to_string(nodes_),
                           "at most " + std::to_string(kMaxNodes) + " operators, calls, selectors and numbers");
    }
    auto node = std::make_unique<Node>();
    node->what = std::move(what);
    node->type = type;
    node->column = at + 1;
    return node;
  }

  const std::string_view text_;
  Token token_;

 private:
  Lexer lexer_;
  size_t nodes_ = 0;
};

}  // namespace pulseboard::expression

// Secret: a password or token on its way through the process, wiped when it goes.
#pragma once

#include <sodium/utils.h>

#include <string>
#include <string_view>
#include <utility>

namespace pulseboard {

// Move-only, so that no copy is left behind by accident. Holds any bytes. Not thread-safe.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view bytes) : bytes_(bytes) {}
  ~Secret() { Wipe(); }
  // Copies and wipes: a moved short string would stay in place.
  Secret(Secret&& other) noexcept : bytes_(other.bytes_) { other.Wipe(); }  // NOLINT(performance-move-constructor-init)
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      Wipe();
      bytes_ = other.bytes_;
      other.Wipe();
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  std::string_view view() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }
  size_t size() const { return bytes_.size(); }

 private:
  void Wipe() {
    sodium_memzero(bytes_.data(), bytes_.size());
    bytes_.clear();
  }

  std::string bytes_;
};

}  // namespace pulseboard

// TempDir: a folder that goes with its object.
#pragma once

#include <string>
#include <string_view>

namespace pulseboard::testing {

class TempDir {
 public:
  // Under $TMPDIR or /tmp. Aborts when it cannot be made.
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string File(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

// Empty when there is no such file.
std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, std::string_view content, int mode = 0600);

}  // namespace pulseboard::testing

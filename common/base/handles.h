// Owners of what the system and C libraries hand out.
#pragma once

#include <unistd.h>

#include <utility>

namespace pulseboard {

// The deleter of a C library: std::unique_ptr<BIO, Freer<BIO_free_all>>.
template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

// A file descriptor, closed at the end; negative: none. What close() says is not looked at: who must know syncs before.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace pulseboard

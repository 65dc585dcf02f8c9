#include "server/app/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "common/base/handles.h"

namespace pulseboard {
namespace {

absl::Status FromErrno(const std::string& path, int error) {
  const std::string message = path + ": " + std::strerror(error);
  if (error == ENOENT) return absl::NotFoundError(message);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(message);
  return absl::InternalError(message);
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return FromErrno(path, errno);
  std::string content;
  char buffer[4096];
  while (true) {
    const ssize_t n = read(fd.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FromErrno(path, errno);
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
  }
}

absl::StatusOr<std::string> ReadFirstLine(const std::string& path) {
  auto content = ReadFile(path);
  if (!content.ok()) return content;
  content->resize(std::min(content->size(), content->find('\n')));
  if (content->ends_with('\r')) content->pop_back();
  return content;
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view content, mode_t mode) {
  const std::string temporary = path + ".new";
  unlink(temporary.c_str());  // left by a crash
  {
    const FileDescriptor fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (fd.get() < 0) return FromErrno(temporary, errno);
    if (fchmod(fd.get(), mode) != 0) return FromErrno(temporary, errno);  // whatever the umask says
    while (!content.empty()) {
      const ssize_t n = write(fd.get(), content.data(), content.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FromErrno(temporary, errno);
      content.remove_prefix(static_cast<size_t>(n));
    }
    if (fsync(fd.get()) != 0) return FromErrno(temporary, errno);
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return FromErrno(path, errno);
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const FileDescriptor directory(open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || fsync(directory.get()) != 0) return FromErrno(parent.string(), errno);
  return absl::OkStatus();
}

absl::Status MakePrivateDirectory(const std::string& path) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) return FromErrno(parent.string(), error.value());
  if (mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  const int why = errno;
  if (why == EEXIST && std::filesystem::is_directory(path, error)) return absl::OkStatus();
  return FromErrno(path, why);
}

}  // namespace pulseboard

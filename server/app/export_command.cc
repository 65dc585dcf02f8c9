#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "common/base/errors.h"
#include "common/client/export_text.h"
#include "server/app/transfer_command.h"
#include "server/app/transfer_spec.h"

namespace pulseboard {
namespace {

absl::Status FileError(const std::string& file) { return absl::UnknownError(file + ": " + std::strerror(errno)); }

// Takes the text; a file appears under its name only when it is whole.
class ExportTarget {
 public:
  static absl::StatusOr<std::unique_ptr<ExportTarget>> Open(const std::string& name) {
    std::unique_ptr<ExportTarget> target(new ExportTarget(name));
    if (target->to_file()) target->file_ = std::fopen(target->partial_.c_str(), "wb");
    if (target->file_ == nullptr) return FileError(target->partial_);
    return target;
  }
  ~ExportTarget() {
    if (!to_file() || file_ == nullptr) return;
    std::fclose(file_);
    ::unlink(partial_.c_str());
  }
  ExportTarget(const ExportTarget&) = delete;
  ExportTarget& operator=(const ExportTarget&) = delete;

  absl::Status Write(std::string_view bytes) {
    return std::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size() ? absl::OkStatus() : FileError(name_);
  }
  absl::Status Finish() {
    if (std::fflush(file_) != 0) return FileError(name_);
    if (!to_file()) return absl::OkStatus();
    const bool synced = ::fsync(::fileno(file_)) == 0;
    const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
    if (!synced || !closed || std::rename(partial_.c_str(), name_.c_str()) != 0) return FileError(name_);
    return absl::OkStatus();
  }

 private:
  explicit ExportTarget(std::string name) : name_(std::move(name)), partial_(name_ + ".partial") {
    if (!to_file()) file_ = stdout;
  }
  bool to_file() const { return !name_.empty() && name_ != "-"; }

  const std::string name_;
  const std::string partial_;
  std::FILE* file_ = nullptr;
};

absl::Status Export(const ExportCommandOptions& options) {
  PB_ASSIGN_OR_RETURN(const v1::ExportRequest request, MakeExportRequest(options));
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<ExportTarget> target, ExportTarget::Open(options.output));
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<ApiConnection> connection, ApiConnection::Connect(options.connection));
  PB_ASSIGN_OR_RETURN(const v1::ExportSummary summary,
                      client::ExportText(connection->channel(), connection->session(), request,
                                         [&target](std::string_view bytes) { return target->Write(bytes); }));
  PB_RETURN_IF_ERROR(target->Finish());
  std::fprintf(stderr, "exported %lld samples of %lld series, %lld bytes, commit %lld\n",
               static_cast<long long>(summary.sample_count()), static_cast<long long>(summary.series_count()),
               static_cast<long long>(summary.byte_count()), static_cast<long long>(summary.commit_sequence()));
  return absl::OkStatus();
}

}  // namespace

int RunExportCommand(const ExportCommandOptions& options) {
  const absl::Status status = Export(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "pulseboardd export: %s\n", StatusMessage(status).c_str());
  return 1;
}

}  // namespace pulseboard

#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/client/import_text.h"
#include "server/app/transfer_command.h"
#include "server/app/transfer_spec.h"

namespace pulseboard {
namespace {

using FilePtr = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// `TOO_OLD` for LINE_REFUSAL_REASON_TOO_OLD.
std::string ReasonName(v1::LineRefusalReason reason) {
  constexpr std::string_view kPrefix = "LINE_REFUSAL_REASON_";
  const std::string name = v1::LineRefusalReason_Name(reason);
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : std::to_string(static_cast<int>(reason));
}

// The same file imported the same way has the same name, so that a second run goes on where the first one stopped.
std::string NameOfImport(const ImportCommandOptions& options, const struct stat& file, const v1::ImportSpec& spec) {
  std::error_code ignored;
  const std::string path = std::filesystem::weakly_canonical(options.file, ignored).string();
  const std::string identity = path + '\0' + std::to_string(file.st_size) + '\0' + std::to_string(file.st_mtim.tv_sec) +
                               '.' + std::to_string(file.st_mtim.tv_nsec) + '\0' + spec.SerializeAsString();
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(identity.data()), identity.size(), digest.data());
  std::string name = "file-";
  constexpr std::string_view kHex = "0123456789abcdef";
  for (size_t i = 0; i < 16; ++i) {
    name.push_back(kHex[digest[i] >> 4]);
    name.push_back(kHex[digest[i] & 15]);
  }
  return name;
}

std::string RandomName() {
  std::random_device random;
  std::string name = "pipe";
  for (int i = 0; i < 4; ++i) name += "-" + std::to_string(random());
  return name;
}

// Tells refused lines and, once a second, how far it is.
class ImportReport {
 public:
  explicit ImportReport(std::FILE* receipts) : receipts_(receipts) {}

  void Take(const v1::ImportProgress& progress) {
    for (const v1::LineRefusal& line : progress.refused_lines()) {
      std::fprintf(receipts_, "%lld:%lld: %s: %s%s%s: %s\n", static_cast<long long>(line.line()),
                   static_cast<long long>(line.column()), ReasonName(line.reason()).c_str(),
                   Printable(line.series(), 400).c_str(), line.series().empty() ? "" : ": ", line.message().c_str(),
                   Printable(line.text(), 200).c_str());
    }
    const auto now = std::chrono::steady_clock::now();
    if (now - told_at_ < std::chrono::seconds(1)) return;
    told_at_ = now;
    Say(progress);
  }
  static void Say(const v1::ImportProgress& progress) {
    std::fprintf(stderr, "imported %.1f MB, %lld lines, %lld samples; %lld refused\n",
                 static_cast<double>(progress.committed_offset()) / 1e6, static_cast<long long>(progress.line_count()),
                 static_cast<long long>(progress.accepted_count()), static_cast<long long>(progress.refused_count()));
  }

 private:
  std::FILE* const receipts_;
  std::chrono::steady_clock::time_point told_at_ = std::chrono::steady_clock::now();
};

void SaySummary(const v1::ImportSummary& summary, std::chrono::steady_clock::duration took) {
  ImportReport::Say(summary.totals());
  for (const v1::LineRefusalCount& count : summary.refusal_counts()) {
    std::fprintf(stderr, "refused %lld %s\n", static_cast<long long>(count.count()),
                 ReasonName(count.reason()).c_str());
  }
  if (summary.skipped_byte_count() > 0) {
    std::fprintf(stderr, "%lld bytes were imported before and skipped\n",
                 static_cast<long long>(summary.skipped_byte_count()));
  }
  if (summary.dropped_exemplar_count() > 0) {
    std::fprintf(stderr, "%lld exemplars were dropped\n", static_cast<long long>(summary.dropped_exemplar_count()));
  }
  const double seconds = std::chrono::duration<double>(took).count();
  std::fprintf(stderr, "done in %.2f s, %.2f M samples/s\n", seconds,
               static_cast<double>(summary.totals().accepted_count()) / 1e6 / std::max(seconds, 1e-9));
}

absl::Status CannotOpen(const std::string& file) { return absl::NotFoundError(file + ": " + std::strerror(errno)); }

absl::StatusOr<v1::ImportSummary> Import(const ImportCommandOptions& options) {
  client::ImportTextOptions import;
  PB_ASSIGN_OR_RETURN(import.spec, MakeImportSpec(options));
  const bool from_pipe = options.file == "-";
  const FilePtr file(from_pipe ? nullptr : std::fopen(options.file.c_str(), "rb"), std::fclose);
  if (!from_pipe && file == nullptr) return CannotOpen(options.file);
  const int fd = from_pipe ? STDIN_FILENO : ::fileno(file.get());
  std::string producer = options.producer;
  if (producer.empty() && from_pipe) producer = RandomName();
  if (producer.empty()) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return CannotOpen(options.file);
    producer = NameOfImport(options, status, import.spec);
  }
  import.spec.set_producer_id(producer);
  // Not part of the name: an import may go on in another mode.
  if (!options.ack_mode.empty()) {
    import.spec.set_ack_mode(options.ack_mode == "buffered" ? v1::ACK_MODE_BUFFERED : v1::ACK_MODE_FSYNCED);
  }
  const FilePtr receipts(options.receipts.empty() ? nullptr : std::fopen(options.receipts.c_str(), "w"), std::fclose);
  if (!options.receipts.empty() && receipts == nullptr) return CannotOpen(options.receipts);

  PB_ASSIGN_OR_RETURN(const std::unique_ptr<ApiConnection> connection, ApiConnection::Connect(options.connection));
  ImportReport report(receipts == nullptr ? stderr : receipts.get());
  import.on_progress = [&report](const v1::ImportProgress& progress) { report.Take(progress);
};
import.on_retry = [](const absl::Status& why) {
  std::fprintf(stderr, "connection lost, going on: %s\n", StatusMessage(why).c_str());
};  // namespace
client::FileTextSource text(fd);
const auto start = std::chrono::steady_clock::now();
PB_ASSIGN_OR_RETURN(v1::ImportSummary summary,
                    client::ImportText(connection->channel(), connection->session(), text, import));
SaySummary(summary, std::chrono::steady_clock::now() - start);
if (receipts != nullptr && std::fflush(receipts.get()) != 0) return CannotOpen(options.receipts);
return summary;
}  // namespace pulseboard

}  // namespace

int RunImportCommand(const ImportCommandOptions& options) {
  const absl::StatusOr<v1::ImportSummary> summary = Import(options);
  if (!summary.ok()) {
    std::fprintf(stderr, "pulseboardd import: %s\n", StatusMessage(summary.status()).c_str());
    return 1;
  }
  return summary->totals().refused_count() > 0 ? kExitSomeRefused : 0;
}

}  // namespace pulseboard

#include "server/app/storage_command.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "common/base/units.h"
#include "common/wire/status.h"
#include "pulseboard/v1/storage.grpc.pb.h"
#include "server/app/exit_code.h"
#include "server/app/moment.h"
#include "server/rpc/storage_wire.h"
#include "server/storage/restore.h"
#include "server/storage/verify_directory.h"

namespace pulseboard {
namespace {

using Action = StorageCommandOptions::Action;
using google::protobuf::util::TimeUtil;

constexpr int kFoundSomething = 2;

std::string Size(int64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto size = static_cast<double>(bytes);
  size_t unit = 0;
  for (; size >= 1024 && unit + 1 < std::size(kUnits); ++unit) size /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", size, kUnits[unit]);
}

template <typename... Args>
void Print(fmt::format_string<Args...> format, Args&&... args) {
  const std::string line = fmt::format(format, std::forward<Args>(args)...) + "\n";
  std::fputs(line.c_str(), stdout);
}

// Overwrites itself on a terminal, a few times a second at most; says nothing elsewhere. Empty: cleans up.
void PrintProgress(const std::string& text) {
  static std::chrono::steady_clock::time_point next;
  const auto now = std::chrono::steady_clock::now();
  if (isatty(STDERR_FILENO) == 0 || (now < next && !text.empty())) return;
  next = now + std::chrono::milliseconds(250);
  std::fprintf(stderr, "\r\x1b[K%s", text.c_str());
}

void PrintBackup(const v1::Backup& backup) {
  if (!backup.damage().empty()) return Print("{:<24} DAMAGED {}", backup.name(), backup.damage());
  Print("{:<24} {} commit={} files={} size={} copied={}", backup.name(), TimeUtil::ToString(backup.create_time()),
        backup.commit_sequence(), backup.file_count(), Size(backup.byte_count()), Size(backup.copied_byte_count()));
}

void PrintFinding(const v1::VerifyFinding& finding) {
  std::string where = finding.family();
  if (finding.series_id() != 0) where += fmt::format(" tenant={} series={}", finding.tenant_id(), finding.series_id());
  if (finding.block_start_unix_nanos() != 0) where += fmt::format(" block={}", finding.block_start_unix_nanos());
  if (!finding.file().empty()) where += fmt::format(" file={} offset={}", finding.file(), finding.offset());
  Print("FINDING {}: {}", where, finding.description());
}

int PrintSummary(const v1::VerifySummary& summary) {
  Print(
      "verified blocks={} samples={} rollup_blocks={} rollups={} unchecked_rollups={} series={} producers={} "
      "log_commits={} files={} read={} findings={}",
      summary.block_count(), summary.sample_count(), summary.rollup_block_count(), summary.rollup_count(),
      summary.unchecked_rollup_count(), summary.series_count(), summary.producer_count(), summary.log_commit_count(),
      summary.file_count(), Size(summary.byte_count()), summary.finding_count());
  return summary.finding_count() == 0 ? 0 : kFoundSomething;
}

// One call at a time on a connection of its own.
class StorageClient {
 public:
  static absl::StatusOr<std::unique_ptr<StorageClient>> Connect(const ConnectionFlags& flags) {
    PB_ASSIGN_OR_RETURN(auto connection, ApiConnection::Connect(flags));
    return std::unique_ptr<StorageClient>(new StorageClient(std::move(connection)));
  }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::StorageService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                                 Response*),
                                const Request& request) {
    grpc::ClientContext context;
    connection_->Prepare(&context, std::nullopt);
    Response response;
    PB_RETURN_IF_ERROR(FromGrpcStatus((stub_.get()->*method)(&context, request, &response)));
    return response;
  }

  // Visits the messages of a streaming method.
  template <typename Request, typename Response, typename Visit>
  absl::Status Stream(std::unique_ptr<grpc::ClientReader<Response>> (v1::StorageService::Stub::*method)(
                          grpc::ClientContext*, const Request&),
                      const Request& request, const Visit& visit) {
    grpc::ClientContext context;
    connection_->Prepare(&context, std::nullopt);
    const auto reader = (stub_.get()->*method)(&context, request);
    Response response;
    while (reader->Read(&response)) visit(response);
    PrintProgress("");
    return FromGrpcStatus(reader->Finish());
  }

 private:
  explicit StorageClient(std::unique_ptr<ApiConnection> connection)
      : connection_(std::move(connection)), stub_(v1::StorageService::NewStub(connection_->channel())) {}

  const std::unique_ptr<ApiConnection> connection_;
  const std::unique_ptr<v1::StorageService::Stub> stub_;
};

absl::Status Create(const StorageCommandOptions& options, StorageClient* client) {
  v1::CreateBackupRequest request;
  request.set_name(options.name);
  return client->Stream(&v1::StorageService::Stub::CreateBackup, request, [](const v1::CreateBackupResponse& event) {
    if (event.has_backup()) PrintBackup(event.backup());
    if (!event.has_progress()) return;
    const v1::BackupProgress& at = event.progress();
    PrintProgress(fmt::format("{} of {} files, {} of {}", at.file_count(), at.total_file_count(), Size(at.byte_count()),
                              Size(at.total_byte_count())));
  });
}

absl::Status List(StorageClient* client) {
  PB_ASSIGN_OR_RETURN(const auto list, client->Call(&v1::StorageService::Stub::ListBackups, v1::ListBackupsRequest()));
  for (const v1::Backup& backup : list.backups()) PrintBackup(backup);
  Print("{} backups, {} on disk", list.backups_size(), Size(list.byte_count()));
  return absl::OkStatus();
}

absl::Status Prune(const StorageCommandOptions& options, StorageClient* client) {
  v1::PruneBackupsRequest request;
  request.set_keep(options.keep);
  PB_ASSIGN_OR_RETURN(const auto pruned, client->Call(&v1::StorageService::Stub::PruneBackups, request));
  for (const std::string& name : pruned.removed_names()) Print("removed {}", name);
  Print("freed {}", Size(pruned.freed_byte_count()));
  return absl::OkStatus();
}

// Prints the events of either verification.
template <typename Response>
void PrintEvent(const Response& event, int* exit_code) {
  if (event.has_finding()) PrintFinding(event.finding());
  if (event.has_summary()) *exit_code = PrintSummary(event.summary());
  if (!event.has_progress()) return;
  PrintProgress(fmt::format("{}: {} of about {}", event.progress().place(), Size(event.progress().byte_count()),
                            Size(event.progress().total_byte_count())));
}

absl::Status VerifyBackup(const StorageCommandOptions& options, StorageClient* client, int* exit_code) {
  v1::VerifyBackupRequest request;
  request.set_name(options.name);
  return client->Stream(&v1::StorageService::Stub::VerifyBackup, request,
                        [exit_code](const v1::VerifyBackupResponse& event) { PrintEvent(event, exit_code); });
}

absl::Status VerifyStore(StorageClient* client, int* exit_code) {
  return client->Stream(&v1::StorageService::Stub::VerifyStore, v1::VerifyStoreRequest(),
                        [exit_code](const v1::VerifyStoreResponse& event) { PrintEvent(event, exit_code); });
}

absl::Status SetMoment(const char* flag, const std::string& text, google::protobuf::Timestamp* time) {
  PB_ASSIGN_OR_RETURN(const int64_t moment, ParseMoment(flag, text, SystemClock().NowUnixNanos()));
  *time = TimeUtil::NanosecondsToTimestamp(moment);
  return absl::OkStatus();
}

absl::Status Delete(const StorageCommandOptions& options, StorageClient* client) {
  v1::DeleteSamplesRequest request;
  request.set_selector(options.selector);
  request.set_dry_run(options.dry_run);
  if (!options.from.empty()) PB_RETURN_IF_ERROR(SetMoment("--from", options.from, request.mutable_start_time()));
  if (!options.to.empty()) PB_RETURN_IF_ERROR(SetMoment("--to", options.to, request.mutable_end_time()));
  PB_ASSIGN_OR_RETURN(const auto deleted, client->Call(&v1::StorageService::Stub::DeleteSamples, request));
  Print("{} {} samples of {} series, as of commit {}", options.dry_run ? "would delete" : "deleted",
        deleted.sample_count(), deleted.series_count(), deleted.commit_sequence());
  return absl::OkStatus();
}

absl::Status TrySetting(const std::string& text, v1::PreviewRetentionRequest* request) {
  const size_t equals = text.find('=');
  const std::string key = text.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : text.substr(equals + 1);
  if (key == "storage.tenant_retention") {
    request->set_tenant_retention(value);
  } else if (const auto bytes = ParseBytes(value); key == "storage.max_size" && bytes) {
    request->set_max_byte_count(*bytes);
  } else if (const auto duration = ParseDuration(value); key == "storage.raw_retention" && duration) {
    request->set_raw_retention_nanos(*duration);
  } else if (key == "storage.tiers") {
    request->set_tiers(value);
  } else {
    return BadField("--set", text,
                    "storage.max_size=SIZE, storage.raw_retention=DURATION, storage.tiers=TEXT or "
                    "storage.tenant_retention=TEXT");
  }
  return absl::OkStatus();
}

absl::Status PrintRetention(const StorageCommandOptions& options, StorageClient* client) {
  v1::PreviewRetentionRequest request;
  for (const std::string& text : options.set) PB_RETURN_IF_ERROR(TrySetting(text, &request));
  PB_ASSIGN_OR_RETURN(const auto preview, client->Call(&v1::StorageService::Stub::PreviewRetention, request));
  Print("{:<20} {:<20} {:<20} {:<16} {:<12} {}", "window", "from", "to", "tenant", "size", "reason");
  for (const v1::RetentionStep& step : preview.steps()) {
    Print("{:<20} {:<20} {:<20} {:<16} {:<12} {}", step.family(), TimeUtil::ToString(step.start_time()),
          TimeUtil::ToString(step.end_time()), step.tenant().empty() ? "(all)" : step.tenant(), Size(step.byte_count()),
          v1::RetentionReason_Name(step.reason()).substr(sizeof("RETENTION_REASON_") - 1));
  }
  Print("would drop {} of {}", Size(preview.dropped_byte_count()), Size(preview.total_byte_count()));
  return absl::OkStatus();
}

absl::Status PrintStatus(const StorageCommandOptions& options, StorageClient* client) {
  v1::GetStorageStatusRequest request;
  request.set_count_samples(options.count);
  PB_ASSIGN_OR_RETURN(const auto status, client->Call(&v1::StorageService::Stub::GetStorageStatus, request));
  Print("store {} series={} free={}", status.store_id(), status.series_count(), Size(status.free_byte_count()));
  Print("log {} to replay {} commit={} checkpoint={}", Size(status.log().byte_count()),
        Size(status.log().recovery_byte_count()), status.log().commit_sequence(), status.log().checkpoint_sequence());
  Print("head {} samples in {}", status.head().sample_count(), Size(status.head().byte_count()));
  for (const v1::TierStatus& tier : status.tiers()) {
    Print("tier {} kept {} days, {} windows, {}", tier.tier(), tier.retention_nanos() / 86'400'000'000'000,
          tier.windows_size(), Size(tier.byte_count()));
    for (const v1::WindowStatus& window : tier.windows()) {
      for (const v1::TenantUsage& usage : window.tenants()) {
        Print("  {:<20} tenant={} {}{}", window.family(), usage.tenant(), Size(usage.byte_count()),
              options.count
                  ? fmt::format(" blocks={} samples={} from {} to {}", usage.block_count(), usage.sample_count(),
                                TimeUtil::ToString(usage.oldest_time()), TimeUtil::ToString(usage.newest_time()))
                  : "");
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Restore(const StorageCommandOptions& options) {
  const auto restored = RestoreBackup(options.backup, options.data, [](const BackupProgress& at) {
    PrintProgress(
        fmt::format("{} of {} files, {} of {}", at.files, at.total_files, Size(at.bytes), Size(at.total_bytes)));
    return absl::OkStatus();
  });
  PrintProgress("");
  PB_RETURN_IF_ERROR(restored.status());
  Print("restored {} files={} size={} commit={} into {}", restored->name, restored->files, Size(restored->bytes),
        restored->commit_sequence, options.data);
  return absl::OkStatus();
}

absl::Status VerifyOffline(const StorageCommandOptions& options, int* exit_code) {
  VerifyWatcher watch;
  watch.on_progress = [](const VerifyProgress& at) {
    PrintProgress(fmt::format("{}: {} of about {}", at.place, Size(at.bytes), Size(at.total_bytes)));
    return absl::OkStatus();
  };
  watch.on_finding = [](const VerifyFinding& finding) {
    v1::VerifyFinding message;
    ToProto(finding, &message);
    PrintFinding(message);
  };
  const auto summary = VerifyDirectory(options.data, watch);
  PrintProgress("");
  PB_RETURN_IF_ERROR(summary.status());
  v1::VerifySummary message;
  ToProto(*summary, &message);
  *exit_code = PrintSummary(message);
  return absl::OkStatus();
}

absl::Status Run(const StorageCommandOptions& options, int* exit_code) {
  if (options.action == Action::kRestore) return Restore(options);
  if (options.action == Action::kVerifyOffline) return VerifyOffline(options, exit_code);
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<StorageClient> client, StorageClient::Connect(options.connection));
  switch (options.action) {
    case Action::kBackupCreate:
      return Create(options, client.get());
    case Action::kBackupList:
      return List(client.get());
    case Action::kBackupPrune:
      return Prune(options, client.get());
    case Action::kBackupVerify:
      return VerifyBackup(options, client.get(), exit_code);
    case Action::kVerify:
      return VerifyStore(client.get(), exit_code);
    case Action::kDelete:
      return Delete(options, client.get());
    case Action::kRetention:
      return PrintRetention(options, client.get());
    case Action::kStatus:
      return PrintStatus(options, client.get());
    case Action::kRestore:
    case Action::kVerifyOffline:
      break;
  }
  return absl::OkStatus();
}

}  // namespace

int RunStorageCommand(const StorageCommandOptions& options) {
  InitLogging("warn");
  int exit_code = 0;
  const absl::Status status = Run(options, &exit_code);
  return status.ok() ? exit_code : ExitCodeOf(status);
}

}  // namespace pulseboard

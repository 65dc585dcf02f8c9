#include "server/transfer/importer.h"

#include <algorithm>

#include "common/base/errors.h"

namespace pulseboard {

// Twice: jobs of sessions that were given up may still wait.
Importer::Importer(Intake& intake, const Clock& clock, TransferOptions options)
    : intake_(intake),
      clock_(clock),
      options_(options),
      pool_(std::max(1, options.threads), static_cast<size_t>(std::max(1, options.max_imports)) * 2) {}

Importer::~Importer() { Stop(); }

absl::StatusOr<std::unique_ptr<ImportSession>> Importer::Open(TenantId tenant, ImportSpec spec) {
  if (spec.producer_id.empty() || spec.producer_id.size() > kMaxImportProducerIdBytes) {
    return BadField("producer_id", spec.producer_id, "1 to " + std::to_string(kMaxImportProducerIdBytes) + " bytes");
  }
  if (spec.max_refused_lines < 0) {
    return BadField("max_refused_lines", std::to_string(spec.max_refused_lines), "0 or more");
  }
  spec.max_refused_lines = std::min(spec.max_refused_lines, kMaxRefusedLines);
  const Key key{tenant, spec.producer_id};
  {
    MutexLock lock(&mu_);
    const auto busy = [this](std::string message, ErrorMetadata metadata) {
      return WithRetryAfterMs(MakeError(ErrorReason::kTransferBusy, std::move(message), std::move(metadata)),
                              options_.busy_retry_ms);
    };
    if (active_.contains(key)) {
      return busy("an import of producer '" + Printable(spec.producer_id) + "' is still under way",
                  {{"producerId", Printable(spec.producer_id)}});
    }
    if (active_.size() >= static_cast<size_t>(options_.max_imports)) {
      const std::string limit = std::to_string(options_.max_imports);
      return busy(limit + " imports are under way, the most this server works on at once",
                  {{"limit", limit}, {"setting", "transfer.max_imports"}});
    }
    active_.insert(key);
  }
  const std::shared_ptr<void> lease(nullptr, [this, key](void*) { Release(key); });
  return ImportSession::Make(intake_, clock_, tenant, std::move(spec), options_, lease);
}

void Importer::Release(const Key& key) {
  MutexLock lock(&mu_);
  active_.erase(key);
}

int64_t Importer::active() const {
  MutexLock lock(&mu_);
  return static_cast<int64_t>(active_.size());
}

}  // namespace pulseboard

// Importer: admits imports and runs their parsing on threads of its own, so that RPC threads do not.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/worker_pool.h"
#include "server/ingest/intake.h"
#include "server/transfer/import_session.h"
#include "server/transfer/transfer_options.h"

namespace pulseboard {

// Thread-safe. Intake and clock must outlive it; it must outlive its sessions.
class Importer {
 public:
  Importer(Intake& intake, const Clock& clock, TransferOptions options);
  ~Importer();

  // BAD_FIELD for a wrong spec; RESOURCE_EXHAUSTED/TRANSFER_BUSY with RetryInfo when `max_imports` are under way, or
  // one of the same tenant and producer: what that one has in work may still be committed, and only then is it known
  // where to go on. A session counts until it and all its callbacks are gone.
  absl::StatusOr<std::unique_ptr<ImportSession>> Open(TenantId tenant, ImportSpec spec);

  // Runs `job` on a thread of the pool. At most one job per session may wait or run at a time; then there is always
  // room. False after Stop: the job is dropped unrun.
  [[nodiscard]] bool Run(std::function<void()> job) { return pool_.TrySubmit(std::move(job)); }
  // Lets running jobs end and takes no more. Idempotent; the destructor does it too.
  void Stop() { pool_.Stop(); }

  const IntakeOptions& intake_options() const { return intake_.options(); }
  int64_t active() const;

 private:
  using Key = std::pair<TenantId, std::string>;
  void Release(const Key& key);

  Intake& intake_;
  const Clock& clock_;
  const TransferOptions options_;
  mutable Mutex mu_;
  std::set<Key> active_ PB_GUARDED_BY(mu_);
  WorkerPool pool_;
};

}  // namespace pulseboard

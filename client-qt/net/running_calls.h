// RunningCalls: the gRPC calls of one owner that have not ended, so that a shutdown can cancel them and wait for the
// last.
#pragma once

#include <grpcpp/client_context.h>

#include <map>
#include <memory>

#include "common/base/mutex.h"

namespace pulseboard::qt {

// Thread-safe. Outlive the calls: share it by shared_ptr with their callbacks.
class RunningCalls {
 public:
  // Tracks a call until remove(); the context must live until then. False once cancelAll() ran: do not start the call.
  bool add(quint64 id, grpc::ClientContext* context) PB_EXCLUDES(mu_) {
    MutexLock lock(&mu_);
    if (closed_) return false;
    contexts_[id] = context;
    return true;
  }
  // From the call's last callback, before its context dies.
  void remove(quint64 id) PB_EXCLUDES(mu_) {
    MutexLock lock(&mu_);
    contexts_.erase(id);
    ended_.NotifyAll();
  }
  void cancel(quint64 id) PB_EXCLUDES(mu_) {
    MutexLock lock(&mu_);
    if (const auto call = contexts_.find(id); call != contexts_.end()) call->second->TryCancel();
  }
  // Cancels all and waits until every callback has run; no call starts any more. Never on a gRPC thread.
  void cancelAll() PB_EXCLUDES(mu_) {
    MutexLock lock(&mu_);
    closed_ = true;
    for (const auto& [id, context] : contexts_) context->TryCancel();
    while (!contexts_.empty()) ended_.Wait(&mu_);
  }

 private:
  Mutex mu_;
  CondVar ended_;
  bool closed_ PB_GUARDED_BY(mu_) = false;
  std::map<quint64, grpc::ClientContext*> contexts_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard::qt

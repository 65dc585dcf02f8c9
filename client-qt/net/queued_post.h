// QueuedPost: the way from gRPC's threads back to a QObject's thread, safe against the object's death.
#pragma once

#include <QObject>
#include <utility>

#include "common/base/mutex.h"

namespace pulseboard::qt {

// Thread-safe; share it by shared_ptr between the object and the callbacks. A QPointer would not do across threads.
class QueuedPost {
 public:
  explicit QueuedPost(QObject* target) : target_(target) {}

  // Runs `fn` in the target's thread, later. Does nothing once detached.
  template <typename Fn>
  void run(Fn&& fn) PB_EXCLUDES(mu_) {
    MutexLock lock(&mu_);
    if (target_ != nullptr) QMetaObject::invokeMethod(target_, std::forward<Fn>(fn), Qt::QueuedConnection);
  }
  // Call before the target dies.
  void detach() PB_EXCLUDES(mu_) {
    MutexLock lock(&mu_);
    target_ = nullptr;
  }

 private:
  Mutex mu_;
  QObject* target_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard::qt

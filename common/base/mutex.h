// Mutex, MutexLock, SharedMutex, CondVar: std primitives that clang's thread-safety analysis understands.
// std rather than absl::Mutex, because Debian's prebuilt Abseil is invisible to ThreadSanitizer.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define PB_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define PB_THREAD_ANNOTATION(x)
#endif

#define PB_CAPABILITY(x) PB_THREAD_ANNOTATION(capability(x))
#define PB_SCOPED_CAPABILITY PB_THREAD_ANNOTATION(scoped_lockable)
#define PB_GUARDED_BY(x) PB_THREAD_ANNOTATION(guarded_by(x))
#define PB_PT_GUARDED_BY(x) PB_THREAD_ANNOTATION(pt_guarded_by(x))
#define PB_REQUIRES(...) PB_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define PB_REQUIRES_SHARED(...) PB_THREAD_ANNOTATION(requires_shared_capability(__VA_ARGS__))
#define PB_EXCLUDES(...) PB_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define PB_ACQUIRE(...) PB_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define PB_ACQUIRE_SHARED(...) PB_THREAD_ANNOTATION(acquire_shared_capability(__VA_ARGS__))
#define PB_RELEASE(...) PB_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define PB_RELEASE_GENERIC(...) PB_THREAD_ANNOTATION(release_generic_capability(__VA_ARGS__))
#define PB_NO_THREAD_SAFETY_ANALYSIS PB_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace pulseboard {

class PB_CAPABILITY("mutex") Mutex {
 public:
  void Lock() PB_ACQUIRE() { mu_.lock(); }
  void Unlock() PB_RELEASE() { mu_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mu_;
};

class PB_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex* mu) PB_ACQUIRE(mu) : mu_(mu) { mu_->Lock(); }
  ~MutexLock() PB_RELEASE() { mu_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mu_;
};

// Many readers or one writer.
class PB_CAPABILITY("shared_mutex") SharedMutex {
 public:
  void Lock() PB_ACQUIRE() { mu_.lock(); }
  void Unlock() PB_RELEASE() { mu_.unlock(); }
  void LockShared() PB_ACQUIRE_SHARED() { mu_.lock_shared(); }
  void UnlockShared() PB_RELEASE_GENERIC() { mu_.unlock_shared(); }

 private:
  std::shared_mutex mu_;
};

class PB_SCOPED_CAPABILITY WriterLock {
 public:
  explicit WriterLock(SharedMutex* mu) PB_ACQUIRE(mu) : mu_(mu) { mu_->Lock(); }
  ~WriterLock() PB_RELEASE() { mu_->Unlock(); }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  SharedMutex* const mu_;
};

class PB_SCOPED_CAPABILITY ReaderLock {
 public:
  explicit ReaderLock(SharedMutex* mu) PB_ACQUIRE_SHARED(mu) : mu_(mu) { mu_->LockShared(); }
  ~ReaderLock() PB_RELEASE_GENERIC() { mu_->UnlockShared(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  SharedMutex* const mu_;
};

// Waits always sit in a loop that checks the condition: wake-ups may be spurious.
class CondVar {
 public:
  void Wait(Mutex* mu) PB_REQUIRES(mu) {
    std::unique_lock<std::mutex> lock(mu->mu_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();
  }
  // Returns false when the time ran out first.
  bool WaitFor(Mutex* mu, std::chrono::nanoseconds limit) PB_REQUIRES(mu) {
    std::unique_lock<std::mutex> lock(mu->mu_, std::adopt_lock);
    const bool notified = cv_.wait_for(lock, limit) == std::cv_status::no_timeout;
    lock.release();
    return notified;
  }
  void NotifyOne() { cv_.notify_one(); }
  void NotifyAll() { cv_.notify_all(); }

 private:
  std::condition_variable cv_;
};

}  // namespace pulseboard

// CallbackQueue: runs the callbacks of one object in the order they were added, one at a time, never under a lock of
// the object, and none after Close(). The thread that brings a callback runs it, unless another one is running some
// already.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "common/base/mutex.h"

namespace pulseboard::client {

// Thread-safe. Must outlive every Run() in progress: hold its owner by shared_ptr around Run().
class CallbackQueue {
 public:
  // May be called under the owner's lock, which then fixes the order. Follow with Run() after releasing the lock.
  void Add(std::function<void()> callback) {
    MutexLock lock(&mu_);
    if (!closed_) queue_.push_back(std::move(callback));
  }

  // Never under a lock that a callback may take.
  void Run() {
    mu_.Lock();
    if (running_ == std::thread::id()) {
      running_ = std::this_thread::get_id();
      while (!queue_.empty()) {
        std::function<void()> callback = std::move(queue_.front());
        queue_.pop_front();
        mu_.Unlock();
        callback();
        callback = nullptr;  // what it captured may call back into the owner
        mu_.Lock();
      }
      running_ = std::thread::id();
      idle_.NotifyAll();
    }
    mu_.Unlock();
  }

  // Drops what waits and returns when no callback runs any more, or at once inside a callback.
  void Close() {
    std::deque<std::function<void()>> dropped;
    MutexLock lock(&mu_);
    closed_ = true;
    dropped.swap(queue_);
    while (running_ != std::thread::id() && running_ != std::this_thread::get_id()) idle_.Wait(&mu_);
  }

 private:
  Mutex mu_;
  CondVar idle_;
  std::deque<std::function<void()>> queue_ PB_GUARDED_BY(mu_);
  std::thread::id running_ PB_GUARDED_BY(mu_);
  bool closed_ PB_GUARDED_BY(mu_) = false;
};

}  // namespace pulseboard::client

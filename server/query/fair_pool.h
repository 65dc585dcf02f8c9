// FairPool: threads for queries, of which only so many run at a time, and those that may are chosen fairly.
//
// A job runs while it holds one of `permits`. Long jobs call Breathe now and then: once a job has run for `slice_ns`
// and others wait, it hands its permit over and waits for the next one. Who is next: the tenant that has used least
// time of late, of its calls the one that has used least (and waited longest). So a cheap query passes expensive ones
// within a slice, nobody has to guess beforehand which is which, and a tenant that asks much delays itself. There are
// as many threads as jobs that run or stand still; they run at a lower priority (`nice`) than those that take samples
// in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/model/labels.h"

namespace pulseboard {

class TenantTime;

struct FairPoolOptions {
  int permits = 2;
  int64_t slice_ns = 10 * kNanosPerMilli;
  int nice = 0;  // added to the threads' niceness
};

// Thread-safe. Jobs must not throw.
class FairPool {
 public:
  // What one call has used. Owned by the call; counted for its tenant while it lives. Thread-safe.
  class Customer {
   public:
    ~Customer();
    Customer(const Customer&) = delete;
    Customer& operator=(const Customer&) = delete;
    TenantId tenant() const { return tenant_; }

   private:
    friend class FairPool;
    Customer(FairPool& pool, TenantId tenant) : pool_(pool), tenant_(tenant) {}
    FairPool& pool_;
    const TenantId tenant_;
    int64_t used_ns_ = 0;  // guarded by the pool's mutex
  };

  // `tenant_time`, if any, is told what was worked, at the end of each slice; it must outlive the pool.
  FairPool(const Clock& clock, FairPoolOptions options, TenantTime* tenant_time = nullptr);
  ~FairPool();
  FairPool(const FairPool&) = delete;
  FairPool& operator=(const FairPool&) = delete;

  // The pool must outlive it.
  std::shared_ptr<Customer> Enter(TenantId tenant);
  // Queues a job. False after Stop; the job is then dropped unrun.
  [[nodiscard]] bool Submit(std::shared_ptr<Customer> customer, std::function<void()> job);
  // Runs a short job here and now if a permit is free and nobody waits for one; else false, and nothing was run. It
  // does not give turns to others.
  [[nodiscard]] bool TryHere(Customer* customer, const std::function<void()>& job);
  // From within a job: gives others their turn once this one's slice is over. Returns early, without a turn, once
  // `cancelled` says so; the job should then end. Does nothing on other threads. Cheap.
  static void Breathe(const std::function<bool()>& cancelled);
  // Lets queued jobs, and those of TryHere, run to their end, then joins. Idempotent. Not to be called from a job.
  void Stop();

  // Jobs that wait for a permit.
  size_t waiting() const;
  int64_t handovers() const;

 private:
  // A job that waits for its first permit, or (without `job`) one that stands still in Breathe.
  struct Waiter {
    std::shared_ptr<Customer> customer;
    std::function<void()> job;
    int64_t since_ns = 0;
    bool granted = false;
  };
  using Waiters = std::list<std::shared_ptr<Waiter>>;
  struct Tenant {
    int64_t customers = 0;
    int64_t used_ns = 0;  // against the others'; raised to the least of them when it comes
    int64_t running = 0;
  };
  struct Slice;

  void Run();
  void RunJob(Waiter* waiter);
  void GrantLocked() PB_REQUIRES(mu_);
  bool ComesBeforeLocked(const Waiter& a, const Waiter& b, int64_t now) PB_REQUIRES(mu_);
  Waiters::iterator NextLocked() PB_REQUIRES(mu_);
  void ChargeLocked(Customer* customer, int64_t since_ns) PB_REQUIRES(mu_);
  void GiveTurn(Slice* slice, const std::function<bool()>& cancelled);
  void Leave(TenantId tenant);

  const Clock& clock_;
  const FairPoolOptions options_;
  TenantTime* const tenant_time_;
  mutable Mutex mu_;
  CondVar wake_;    // idle threads
  CondVar resume_;  // those that stand still
  CondVar over_;    // Stop, for jobs of TryHere
  bool stopping_ PB_GUARDED_BY(mu_) = false;
  int running_ PB_GUARDED_BY(mu_) = 0;
  int idle_ PB_GUARDED_BY(mu_) = 0;
  int here_ PB_GUARDED_BY(mu_) = 0;  // of those that run, jobs of TryHere
  int64_t handovers_ PB_GUARDED_BY(mu_) = 0;
  Waiters waiters_ PB_GUARDED_BY(mu_);
  std::deque<std::shared_ptr<Waiter>> granted_ PB_GUARDED_BY(mu_);  // jobs with a permit, for the next thread
  std::map<TenantId, Tenant> tenants_ PB_GUARDED_BY(mu_);
  std::vector<std::thread> threads_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard

#include "server/query/fair_pool.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "server/query/tenant_time.h"

namespace pulseboard {
namespace {

// A cancelled call that stands still notices within so long.
constexpr std::chrono::milliseconds kCancelCheck{10};

}  // namespace

// The job that a thread of the pool runs.
struct FairPool::Slice {
  FairPool* pool = nullptr;
  std::shared_ptr<Customer> customer;
  int64_t started_ns = 0;

  static Slice*& Current() {
    static thread_local Slice* current = nullptr;
    return current;
  }
};

FairPool::Customer::~Customer() { pool_.Leave(tenant_); }

FairPool::FairPool(const Clock& clock, FairPoolOptions options, TenantTime* tenant_time)
    : clock_(clock), options_(options), tenant_time_(tenant_time) {}

FairPool::~FairPool() { Stop(); }

std::shared_ptr<FairPool::Customer> FairPool::Enter(TenantId tenant) {
  MutexLock lock(&mu_);
  Tenant& record = tenants_[tenant];
  if (record.customers++ == 0) {
    // Who was away has saved nothing up.
    int64_t least = INT64_MAX;
    for (const auto& [id, other] : tenants_) {
      if (id != tenant) least = std::min(least, other.used_ns);
    }
    record.used_ns = least == INT64_MAX ? 0 : least;
  }
  return std::shared_ptr<Customer>(new Customer(*this, tenant));
}

void FairPool::Leave(TenantId tenant) {
  MutexLock lock(&mu_);
  const auto it = tenants_.find(tenant);
  if (--it->second.customers == 0) tenants_.erase(it);
}

bool FairPool::Submit(std::shared_ptr<Customer> customer, std::function<void()> job) {
  MutexLock lock(&mu_);
  if (stopping_) return false;
  auto waiter = std::make_shared<Waiter>();
  waiter->customer = std::move(customer);
  waiter->job = std::move(job);
  waiter->since_ns = clock_.MonotonicNanos();
  waiters_.push_back(std::move(waiter));
  GrantLocked();
  return true;
}

bool FairPool::TryHere(Customer* customer, const std::function<void()>& job) {
  {
    MutexLock lock(&mu_);
    if (stopping_ || !waiters_.empty() || running_ >= std::max(1, options_.permits)) return false;
    ++running_;
    ++here_;
    ++tenants_[customer->tenant_].running;
  }
  const int64_t started_ns = clock_.MonotonicNanos();
  job();
  MutexLock lock(&mu_);
  ChargeLocked(customer, started_ns);
  --running_;
  --here_;
  --tenants_[customer->tenant_].running;
  GrantLocked();
  if (!stopping_) return true;
  wake_.NotifyAll();
  over_.NotifyAll();
  return true;
}

bool FairPool::ComesBeforeLocked(const Waiter& a, const Waiter& b, int64_t now) {
  const TenantId x = a.customer->tenant_, y = b.customer->tenant_;
  if (x != y) {
    // A tenant that runs already is charged only later.
    const Tenant& left = tenants_[x];
    const Tenant& right = tenants_[y];
    if (left.running != right.running) return left.running < right.running;
    if (left.used_ns != right.used_ns) return left.used_ns < right.used_ns;
  }
  // Waiting makes up for what was used, so that nobody waits for ever.
  return a.customer->used_ns_ - (now - a.since_ns) < b.customer->used_ns_ - (now - b.since_ns);
}

FairPool::Waiters::iterator FairPool::NextLocked() {
  const int64_t now = clock_.MonotonicNanos();
  auto best = waiters_.begin();
  for (auto it = waiters_.begin(); it != waiters_.end(); ++it) {
    if (it != best && ComesBeforeLocked(**it, **best, now)) best = it;
  }
  return best;
}

void FairPool::GrantLocked() {
  while (running_ < std::max(1, options_.permits) && !waiters_.empty()) {
    const auto next = NextLocked();
    const std::shared_ptr<Waiter> waiter = *next;
    waiters_.erase(next);
    ++running_;
    ++tenants_[waiter->customer->tenant_].running;
    waiter->granted = true;
    if (waiter->job == nullptr) {
      resume_.NotifyAll();
      continue;
    }
    granted_.push_back(waiter);
    // One for each: those that stand still wait for permits that jobs without a thread would hold.
    if (static_cast<size_t>(idle_) < granted_.size()) threads_.emplace_back([this] { Run(); });
    wake_.NotifyOne();
  }
}

void FairPool::ChargeLocked(Customer* customer, int64_t since_ns) {
  const int64_t now = clock_.MonotonicNanos();
  const int64_t used = std::max<int64_t>(0, now - since_ns);
  customer->used_ns_ += used;
  tenants_[customer->tenant_].used_ns += used;
  if (tenant_time_ != nullptr) tenant_time_->Spend(customer->tenant_, used, now);
}

void FairPool::Run() {
  // Lower than what takes samples in; refusal does no harm. On Linux niceness is a thread's own.
  if (options_.nice > 0) static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), options_.nice));
  while (true) {
    std::shared_ptr<Waiter> waiter;
    {
      MutexLock lock(&mu_);
      ++idle_;
      while (granted_.empty() && !(stopping_ && waiters_.empty() && running_ == 0)) wake_.Wait(&mu_);
      --idle_;
      if (granted_.empty()) return;
      waiter = std::move(granted_.front());
      granted_.pop_front();
    }
    RunJob(waiter.get());
  }
}

void FairPool::RunJob(Waiter* waiter) {
  Slice slice{this, waiter->customer, clock_.MonotonicNanos()};
  Slice::Current() = &slice;
  waiter->job();
  Slice::Current() = nullptr;
  waiter->job = nullptr;  // what it holds goes before others are told that it is done
  {
    MutexLock lock(&mu_);
    ChargeLocked(slice.customer.get(), slice.started_ns);
    --running_;
    --tenants_[slice.customer->tenant_].running;
    GrantLocked();
    if (stopping_) wake_.NotifyAll();
  }
  waiter->customer = nullptr;
}

void FairPool::Breathe(const std::function<bool()>& cancelled) {
  Slice* const slice = Slice::Current();
  if (slice == nullptr) return;
  FairPool& pool = *slice->pool;
  if (pool.clock_.MonotonicNanos() - slice->started_ns < pool.options_.slice_ns) return;
  pool.GiveTurn(slice, cancelled);
}

void FairPool::GiveTurn(Slice* slice, const std::function<bool()>& cancelled) {
  MutexLock lock(&mu_);
  ChargeLocked(slice->customer.get(), slice->started_ns);
  slice->started_ns = clock_.MonotonicNanos();
  if (waiters_.empty()) return;
  ++handovers_;
  auto self = std::make_shared<Waiter>();
  self->customer = slice->customer;
  self->since_ns = slice->started_ns;
  waiters_.push_back(self);
  --running_;
  --tenants_[slice->customer->tenant_].running;
  GrantLocked();
  while (!self->granted) {
    resume_.WaitFor(&mu_, kCancelCheck);
    if (self->granted || !cancelled()) continue;
    // One more than permits for the moment that it takes to end.
    std::erase(waiters_, self);
    ++running_;
    ++tenants_[slice->customer->tenant_].running;
    break;
  }
  slice->started_ns = clock_.MonotonicNanos();
}

void FairPool::Stop() {
  while (true) {
    std::vector<std::thread> threads;
    {
      MutexLock lock(&mu_);
      stopping_ = true;
      while (here_ > 0) over_.Wait(&mu_);  // others may wait for their permits
      threads.swap(threads_);
    }
    if (threads.empty()) return;
    wake_.NotifyAll();
    for (std::thread& thread : threads) thread.join();  // the last jobs may have needed more of them
  }
}

size_t FairPool::waiting() const {
  MutexLock lock(&mu_);
  return waiters_.size();
}

int64_t FairPool::handovers() const {
  MutexLock lock(&mu_);
  return handovers_;
}

}  // namespace pulseboard

#include "server/live/ref_table.h"

namespace pulseboard {

uint32_t RefTable::TakeLocked() {
  // Numbers are given out anew only after all others: an old message of a ref is long gone.
  while (next_ == 0 || used_.contains(next_)) ++next_;
  used_.insert(next_);
  return next_++;
}

uint32_t RefTable::Hold(SeriesId series) {
  MutexLock lock(&mu_);
  Held& held = series_[series];
  if (held.holders++ == 0) held.ref = TakeLocked();
  return held.ref;
}

void RefTable::Release(SeriesId series) {
  MutexLock lock(&mu_);
  const auto it = series_.find(series);
  if (it == series_.end() || --it->second.holders > 0) return;
  used_.erase(it->second.ref);
  series_.erase(it);
}

uint32_t RefTable::Take() {
  MutexLock lock(&mu_);
  return TakeLocked();
}

void RefTable::Free(uint32_t ref) {
  MutexLock lock(&mu_);
  used_.erase(ref);
}

size_t RefTable::size() const {
  MutexLock lock(&mu_);
  return used_.size();
}

}  // namespace pulseboard

// The Env under RocksDB: as another one, except that a file may be locked several times by this process. An instance
// that failed is still being read while the next one opens; the directory as a whole is locked by the store.
#pragma once

#include <rocksdb/env.h>

#include <memory>

namespace pulseboard {

// `base` must outlive it; null: the machine's own.
std::shared_ptr<rocksdb::Env> MakeRocksEnv(rocksdb::Env* base);

}  // namespace pulseboard

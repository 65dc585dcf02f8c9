// RocksDB on a SimulatedDisk.
#pragma once

#include <rocksdb/env.h>

#include <memory>

#include "tests/unit/storage/simulated_disk.h"

namespace pulseboard {

// `disk` must outlive it. Files are the disk's; clock and threads are RocksDB's own. It writes no info log.
std::unique_ptr<rocksdb::Env> MakeSimulatedEnv(SimulatedDisk* disk);

}  // namespace pulseboard

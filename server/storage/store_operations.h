// StoreOperations of a DurableStore.
#pragma once

#include <memory>

#include "server/storage/operations.h"

namespace pulseboard {

class DurableStore;

// `store` must outlive it. Removes what an interrupted backup left in the data directory.
std::unique_ptr<StoreOperations> MakeStoreOperations(DurableStore* store);

}  // namespace pulseboard

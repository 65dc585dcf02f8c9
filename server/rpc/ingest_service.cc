#include "server/ingest/intake.h"
#include "server/rpc/services.h"

#include "server/ingest/intake.h"

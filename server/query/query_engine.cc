#include "server/query/query_engine.h"

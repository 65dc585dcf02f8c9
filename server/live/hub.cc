#include "server/live/hub.h"

// Goes the wrong way on purpose: house.LayerCheckRefuses expects an error for each include but the first, in order.
// clang-format off
#include "common/model/labels.h"
#include "server/rpc/authenticator.h"
#include "pulseboard/v1/query.pb.h"
#include <grpcpp/grpcpp.h>
#include <rocksdb/db.h>
#include <QWidget>

// Goes the wrong way on purpose: house.LayerCheckRefuses expects an error for each line but the first.
#include <grpcpp/grpcpp.h>
#include <rocksdb/db.h>
#include <QWidget>
#include "common/model/labels.h"
#include "pulseboard/v1/query.pb.h"
#include "server/rpc/authenticator.h"

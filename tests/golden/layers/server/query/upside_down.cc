// Goes the wrong way on purpose: house.LayerCheckRefuses expects an error for each line but the first.
#include "common/model/labels.h"
#include "server/rpc/authenticator.h"
#include "pulseboard/v1/query.pb.h"
#include <grpcpp/grpcpp.h>
#include <rocksdb/db.h>
#include <QWidget>

#!/usr/bin/python3
"""How rocksdb_wal_store/ was made: a store as pulseboardd left it, killed with -9, while RocksDB still had a log of its own.

Not run by any test; kept so that the folder is no riddle. With the binary of commit 0147f4f (the last one before "RocksDB's own
log is off"), its least sizes for storage.wal_segment and storage.wal_retain lowered to 4096 and 0 so that the folder is small:

    PULSEBOARD_ROOT=. PULSEBOARDD=OLD/build/release/bin/pulseboardd tests/golden/storage/make_rocksdb_wal_store.py FOLDER

What it pushes, old_store_test.cc expects: keep both the same.
"""
import os
import pathlib
import shutil
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integration" / "clients"))
from harness import Client, Server, ingest_pb2, types_pb2, user_pb2  # noqa: E402

MIDNIGHT = 1_795_478_400 * 10**9  # 2026-11-24
SETTINGS = ("storage.wal_segment=16KiB", "storage.wal_retain=0", "storage.checkpoint_interval=1s",
            "storage.seal_age=10s", "storage.block_samples=256")


class Pusher:
    def __init__(self, client):
        self.client, self.sequence = client, 0

    def push(self, metric, points, kind=types_pb2.METRIC_KIND_GAUGE, **labels):
        for at in range(0, len(points), 500):
            self.sequence += 1
            request = ingest_pb2.PushRequest(producer_id="golden", sequence=self.sequence,
                                             ack_mode=ingest_pb2.ACK_MODE_FSYNCED)
            for nanos, value in points[at:at + 500]:
                built = request.samples.add(metric=metric, value=value, labels=labels, kind=kind)
                built.time.FromNanoseconds(nanos)
            response = self.client.call("Push", request)
            assert response.accepted_count == len(points[at:at + 500]), response
            assert response.ack_mode == ingest_pb2.ACK_MODE_FSYNCED, response


def walk(host, first, last):
    """Two decimals, one sample a minute."""
    return [(MIDNIGHT + i * 60 * 10**9, ((i * 37 + host * 11) % 1000) / 100) for i in range(first, last)]


def main(folder):
    server = Server(settings=SETTINGS)
    admin = Client(server)
    admin.call("CreateUser", user_name="golden", password="a golden password", role=user_pb2.ROLE_VIEWER)
    pusher = Pusher(admin)
    for host in range(4):
        pusher.push("old.walk", walk(host, 0, 400), host=str(host))
    pusher.push("old.count", [(MIDNIGHT + i * 10**9, i * 3 % 9000) for i in range(9000)],
                kind=types_pb2.METRIC_KIND_COUNTER)
    time.sleep(15)  # all of it is sealed, and the log is freed: only RocksDB has it now
    pusher.push("old.walk", [(MIDNIGHT + 100 * 60 * 10**9, -1.0)], host="0")  # late: overwrites a sealed sample
    for host in range(4):
        pusher.push("old.walk", walk(host, 400, 410), host=str(host))
    pusher.push("old.last", [(MIDNIGHT, 5.0)])  # a series that only the log knows
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    shutil.copytree(f"{server.directory}/data", folder)
    admin.close()
    server.remove()


main(sys.argv[1])

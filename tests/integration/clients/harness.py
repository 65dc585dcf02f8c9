"""A pulseboardd of its own for each test class, and clients made from the published protos alone.

Runs under Debian's /usr/bin/python3 (python3-grpcio, python3-protobuf). Stubs are generated when the module is imported,
with protoc and grpc_python_plugin, exactly as a newcomer would. CMake passes PULSEBOARDD, PULSEBOARD_ROOT and BUF.
"""
import atexit
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import google
import grpc

ROOT = pathlib.Path(os.environ["PULSEBOARD_ROOT"])
PULSEBOARDD = os.environ["PULSEBOARDD"]
BUF = os.environ.get("BUF", "")
DEADLINE_S = 20  # for one call; generous, since sanitizer builds and busy machines run the same tests


def _generate_stubs():
    out = tempfile.mkdtemp(prefix="pulseboard-stubs-")
    atexit.register(shutil.rmtree, out, True)
    protos = ROOT / "protos"
    files = [str(p.relative_to(protos)) for p in sorted(protos.rglob("*.proto"))]
    plugin = shutil.which("grpc_python_plugin")
    subprocess.run(["protoc", "-I", str(protos), f"--python_out={out}", f"--grpc_python_out={out}",
                    f"--plugin=protoc-gen-grpc_python={plugin}", *files], check=True)
    sys.path.insert(0, out)
    # The vendored google/rpc and grpc/health share their first name with installed packages.
    google.__path__.append(f"{out}/google")
    grpc.__path__.append(f"{out}/grpc")
    return out


STUBS = _generate_stubs()

from google.protobuf import descriptor_pb2, duration_pb2, timestamp_pb2  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from grpc.health.v1 import health_pb2, health_pb2_grpc  # noqa: E402,F401
from grpc.reflection.v1 import reflection_pb2 as reflection_v1, reflection_pb2_grpc as reflection_v1_grpc  # noqa: E402,F401
from grpc.reflection.v1alpha import reflection_pb2 as reflection_v1alpha  # noqa: E402,F401
from grpc.reflection.v1alpha import reflection_pb2_grpc as reflection_v1alpha_grpc  # noqa: E402,F401
from pulseboard.v1 import auth_pb2, auth_pb2_grpc, ingest_pb2, ingest_pb2_grpc, live_pb2, live_pb2_grpc  # noqa: E402,F401
from pulseboard.v1 import query_pb2, query_pb2_grpc, types_pb2, user_pb2, user_pb2_grpc  # noqa: E402,F401
from pulseboard.v1 import alert_pb2, alert_pb2_grpc  # noqa: E402,F401
from pulseboard.v1 import events_pb2, events_pb2_grpc  # noqa: E402,F401
from pulseboard.v1 import storage_pb2, storage_pb2_grpc, transfer_pb2, transfer_pb2_grpc  # noqa: E402,F401

SERVICES = {name: pb.DESCRIPTOR.services_by_name[name] for name, pb in (
    ("AuthService", auth_pb2), ("UserService", user_pb2), ("IngestService", ingest_pb2),
    ("QueryService", query_pb2), ("LiveService", live_pb2), ("StorageService", storage_pb2),
    ("TransferService", transfer_pb2), ("EventService", events_pb2),
    ("AlertService", alert_pb2))}


class Method:
    """One RPC of the contract."""

    def __init__(self, descriptor, proto):
        self.name = descriptor.name
        self.full = f"/{descriptor.containing_service.full_name}/{descriptor.name}"
        self.request = descriptor.input_type._concrete_class
        self.response = descriptor.output_type._concrete_class
        self.client_streaming = proto.client_streaming
        self.server_streaming = proto.server_streaming


def _methods():
    found = {}
    for service in SERVICES.values():
        proto = descriptor_pb2.ServiceDescriptorProto()
        service.CopyToProto(proto)
        for method, method_proto in zip(service.methods, proto.method):
            found[method.name] = Method(method, method_proto)
    return found


METHODS = _methods()  # every RPC of these services, by name


class Failure:
    """What an RPC that failed told its caller."""

    def __init__(self, error):
        self.code = error.code().name
        self.message = error.details()
        self.reason = None
        self.domain = None
        self.fields = []
        self.retry_s = None
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                self._read(status_pb2.Status.FromString(value))

    def _read(self, status):
        infos = 0
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            bad = error_details_pb2.BadRequest()
            retry = error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                infos += 1
                self.reason, self.domain = info.reason, info.domain
            elif detail.Unpack(bad):
                self.fields = [v.field for v in bad.field_violations]
            elif detail.Unpack(retry):
                self.retry_s = retry.retry_delay.ToTimedelta().total_seconds()
        assert infos == 1, f"{infos} ErrorInfo details; exactly one is promised"

    def __str__(self):
        return f"{self.code}/{self.reason} fields={self.fields} {self.message!r}"


def google_time(seconds, nanos=0):
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)


def alert_rule(selector="rules.value", **changed):
    """A rule that may be kept."""
    condition = alert_pb2.AlertCondition(selector=selector, signal=alert_pb2.ALERT_SIGNAL_VALUE,
                                         comparison=alert_pb2.ALERT_COMPARISON_ABOVE,
                                         critical=alert_pb2.AlertBounds(high=90))
    return alert_pb2.AlertRule(**{"name": "too high", "condition": condition, **changed})


def now_nanos():
    return time.time_ns()


class Server:
    """A pulseboardd on a free port with a fresh data directory. Use as context or call stop()."""

    def __init__(self, tls=False, settings=()):
        self.directory = tempfile.mkdtemp(prefix="pulseboard-clients-")
        self.password_file = f"{self.directory}/admin-password"
        self.tls = tls
        self.settings = list(settings)
        self.start()

    def start(self, listen="127.0.0.1:0"):
        command = [PULSEBOARDD, "serve", "--data", f"{self.directory}/data", "--listen", listen,
                   "--admin-password-file", self.password_file, "--set", f"server.tls={'on' if self.tls else 'off'}"]
        for setting in self.settings:
            command += ["--set", setting]
        self.log_path = f"{self.directory}/server.log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        line = ""
        timer = threading.Timer(60, self.process.kill)
        timer.start()
        for line in self.process.stdout:
            if line.startswith("pulseboardd ready "):
                break
        timer.cancel()
        match = re.match(r"pulseboardd ready listen=(\S+) tls=(on|off) fingerprint=(\S+)", line)
        if not match:
            raise RuntimeError(f"no ready line, but {line!r}; log: {self.log()}")
        self.address, tls, self.fingerprint = match.groups()
        assert (tls == "on") == self.tls
        self.root_certificate = None
        if self.tls:
            host, port = self.address.rsplit(":", 1)
            self.root_certificate = ssl.get_server_certificate((host, int(port)))
        self.admin_password = pathlib.Path(self.password_file).read_text().splitlines()[0]

    def log(self):
        return pathlib.Path(self.log_path).read_text(errors="replace")[-4000:]

    def alive(self):
        return self.process.poll() is None

    def channel(self):
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        if not self.tls:
            return grpc.insecure_channel(self.address, options)
        # The self-signed certificate is its own root; it names no public host, so the name is given by hand.
        options.append(("grpc.ssl_target_name_override", "localhost"))
        credentials = grpc.ssl_channel_credentials(self.root_certificate.encode())
        return grpc.secure_channel(self.address, credentials, options)

    def stop(self):
        """SIGTERM; returns the exit code."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        return code

    def remove(self):
        self.stop()
        shutil.rmtree(self.directory, True)


class Client:
    """One channel and one session."""

    def __init__(self, server, login="admin", password=None):
        self.channel = server.channel()
        self.metadata = []
        if login is not None:
            self.session = self.call("Login", login=login, password=password or server.admin_password)
            self.user = self.session.user
            self.metadata = bearer(self.session.tokens.access_token)

    def close(self):
        self.channel.close()

    def start(self, name, request, metadata=None, timeout=DEADLINE_S):
        """The raw gRPC call. `request`: a message, bytes, or for client streams a list or iterator of either."""
        method = METHODS[name]

        def serialize(message):
            return message if isinstance(message, bytes) else message.SerializeToString()

        kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
        call = getattr(self.channel, kind)(method.full, serialize, method.response.FromString)
        metadata = self.metadata if metadata is None else metadata
        if kind == "unary_unary":
            return call.future(request, timeout, metadata)
        if method.client_streaming and isinstance(request, list):
            request = iter(request)
        return call(request, timeout, metadata)

    def call(self, name, request=None, metadata=None, **fields):
        """The response of a unary call, the list of responses of a stream. Raises grpc.RpcError."""
        method = METHODS[name]
        if request is None:
            request = method.request(**fields)
        call = self.start(name, request, metadata)
        return list(call) if method.server_streaming else call.result()

    def failure(self, name, request=None, metadata=None, **fields):
        """The Failure of a call, or None when it did not fail. A subscription that is still open after its first message
        has not failed."""
        method = METHODS[name]
        if request is None:
            request = method.request(**fields)
        call = self.start(name, request, metadata)
        try:
            if name in ("Subscribe", "SubscribeEvents", "WatchTransitions", "Attach"):
                next(call)
                call.cancel()
            elif method.server_streaming:
                list(call)
            else:
                call.result()
        except grpc.RpcError as error:
            return Failure(error)
        return None


def bearer(token):
    return [("authorization", f"Bearer {token}")]


def sample(metric="test.value", value=1.0, seconds_ago=0.0, **labels):
    """A Sample measured `seconds_ago`."""
    built = ingest_pb2.Sample(metric=metric, value=value, labels=labels)
    built.time.FromNanoseconds(now_nanos() - int(seconds_ago * 1e9))
    return built


def import_text(text, producer, **spec):
    """The messages of an import of a text."""
    data = text if isinstance(text, bytes) else text.encode()
    spec = {"format": transfer_pb2.TEXT_FORMAT_CSV, **spec}
    request = transfer_pb2.ImportRequest
    return [request(spec=transfer_pb2.ImportSpec(producer_id=producer, **spec)),
            request(chunk=transfer_pb2.ImportChunk(offset=0, data=data)), request(end=transfer_pb2.ImportEnd())]


def batch(sequence, values, metric="stream.value", producer="python", ref=1, base=None, labels=()):
    """A PushStreamRequest of one series with 1 ms between its samples."""
    return ingest_pb2.PushStreamRequest(
        producer_id=producer, sequence=sequence, base_time_unix_nanos=base or now_nanos() - 60 * 10**9,
        definitions=[ingest_pb2.PushSeriesDefinition(
            ref=ref, metric=metric, labels=[types_pb2.Label(name=n, value=v) for n, v in labels])],
        refs=[ref] * len(values), time_offsets_nanos=[i * 10**6 for i in range(len(values))], values=values)


def times_and_values(columns):
    """Decodes SeriesColumns to [(unix nanos, value)]."""
    at = columns.first_time_unix_nanos
    decoded = []
    for delta, value in zip(columns.time_deltas_nanos, columns.values):
        at += delta
        decoded.append((at, value))
    return decoded


def read_range(client, selector, seconds=3600, max_points=0):
    """QueryRange over the last `seconds`: {metric: [(unix nanos, value)]}."""
    request = query_pb2.QueryRangeRequest(selector=selector, max_points=max_points)
    request.start_time.FromNanoseconds(now_nanos() - seconds * 10**9)
    names, found = {}, {}
    for chunk in client.call("QueryRange", request):
        if chunk.HasField("definition"):
            names[chunk.definition.ref] = chunk.definition.series.metric
        for columns in chunk.samples.columns:
            found.setdefault(names[columns.ref], []).extend(times_and_values(columns))
    return found


class ServerTestCase(unittest.TestCase):
    """A test class with one server and an admin's client, both shared by its tests."""

    TLS = False
    SETTINGS = ()

    @classmethod
    def settings(cls):
        return cls.SETTINGS

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.TLS, cls.settings())
        cls.admin = Client(cls.server)

    @classmethod
    def tearDownClass(cls):
        cls.admin.close()
        code = cls.server.stop()
        log = cls.server.log()
        cls.server.remove()
        assert code == 0, f"the server ended with {code}: {log}"

    def make_user(self, name, role, password="correct horse battery"):
        """Creates an account and logs it in."""
        self.admin.call("CreateUser", user_name=name, password=password, role=role)
        client = Client(self.server, name, password)
        self.addCleanup(client.close)
        return client

"""`buf curl`, a client that was not written here, uses the server by reflection alone: over plaintext and over TLS."""
import base64
import json
import os
import pathlib
import subprocess
import unittest

import harness as h

ALL = {"pulseboard.v1." + name for name in h.SERVICES} | {"grpc.health.v1.Health"}


class BufCurl:
    """The tests; run once per transport by the classes below."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if cls.TLS:
            cls.certificate = f"{cls.server.directory}/root.pem"
            pathlib.Path(cls.certificate).write_text(cls.server.root_certificate)

    def command(self, arguments, path=""):
        flags = ["--protocol", "grpc"]
        if self.TLS:
            flags += ["--cacert", self.certificate, "--servername", "localhost"]
        else:
            flags += ["--http2-prior-knowledge"]
        scheme = "https" if self.TLS else "http"
        return [h.BUF, "curl", *flags, *arguments, f"{scheme}://{self.server.address}{path}"]

    def run_buf(self, arguments, path=""):
        # buf keeps a cache in HOME; the test brings its own.
        env = {**os.environ, "HOME": self.server.directory, "XDG_CACHE_HOME": self.server.directory}
        return subprocess.run(self.command(arguments, path), capture_output=True, text=True, timeout=h.DEADLINE_S * 2,
                              cwd=self.server.directory, env=env)

    def curl(self, method, data, token=None, path=None):
        """The answers of a call as a list of objects."""
        headers = ["-H", f"authorization: Bearer {token}"] if token else []
        done = self.run_buf([*headers, "-d", data if isinstance(data, str) else json.dumps(data)],
                            path or h.METHODS[method].full)
        self.assertEqual(done.returncode, 0, done.stderr)
        return list(objects(done.stdout))

    def refused(self, method, data, token=None):
        headers = ["-H", f"authorization: Bearer {token}"] if token else []
        done = self.run_buf([*headers, "-d", data], h.METHODS[method].full)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr

    def login(self):
        answer, = self.curl("Login", {"login": "admin", "password": self.server.admin_password})
        return answer["tokens"]["accessToken"]

    def test_lists_all_methods_and_describes_all_services(self):
        listed = self.run_buf(["--list-methods"])
        self.assertEqual(listed.returncode, 0, listed.stderr)
        methods = {line.strip() for line in listed.stdout.splitlines()}
        for method in h.METHODS.values():
            self.assertIn(method.full.lstrip("/"), {m.lstrip("/") for m in methods})
        services = self.run_buf(["--list-services"])
        self.assertEqual(services.returncode, 0, services.stderr)
        self.assertLessEqual(ALL, set(services.stdout.split()))

    def test_both_reflection_protocols_serve_it(self):
        for protocol in ("grpc-v1", "grpc-v1alpha"):
            with self.subTest(protocol):
                done = self.run_buf(["--reflect-protocol", protocol, "--list-services"])
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertLessEqual(ALL, set(done.stdout.split()))

    def test_logs_in_pushes_and_queries(self):
        token = self.login()
        who, = self.curl("WhoAmI", {}, token)
        self.assertEqual((who["user"]["userName"], who["user"]["role"]), ("admin", "ROLE_ADMIN"))
        receipt, = self.curl("Push", {"samples": [
            {"metric": "demo.temperature", "labels": {"room": "kitchen"}, "value": 21.5},
            {"metric": "demo.temperature", "labels": {"room": "not a number"}, "value": "NaN"},
            {"metric": "not allowed", "value": 1}]}, token)
        self.assertEqual(receipt["acceptedCount"], "2")
        self.assertEqual(receipt["refusals"][0]["reason"], "REFUSAL_REASON_BAD_METRIC")
        latest, = self.curl("QueryLatest", {"selector": 'demo.temperature{room="kitchen"}'}, token)
        self.assertEqual([s["value"] for s in latest["samples"]], [21.5])
        ranged = self.curl("QueryRange", {"selector": 'demo.temperature{room="kitchen"}', "startTime": "2020-01-01T00:00:00Z"}, token)
        values = [v for m in ranged for c in m.get("samples", {}).get("columns", []) for v in c["values"]]
        self.assertEqual(values, [21.5])
        self.assertEqual(ranged[-1]["summary"]["sampleCount"], "1")

    def test_pushes_a_stream_of_batches(self):
        token = self.login()
        base = h.now_nanos() - 10**10
        batches = "\n".join(json.dumps({
            "producerId": "buf", "sequence": n, "baseTimeUnixNanos": base, "refs": [1, 1], "values": [n, n + 0.5],
            "timeOffsetsNanos": [n * 1000, n * 1000 + 1],
            "definitions": [{"ref": 1, "metric": "buf.stream"}] if n == 1 else []}) for n in (1, 2))
        answers = self.curl("PushStream", batches, token)
        self.assertEqual(answers[-1]["ackedSequence"], "2")
        latest, = self.curl("QueryLatest", {"selector": "buf.stream"}, token)
        self.assertEqual(latest["samples"][0]["value"], 2.5)

    def test_sees_a_push_live(self):
        token = self.login()
        watching = subprocess.Popen(
            self.command(["-H", f"authorization: Bearer {token}", "-d", '{"queries":[{"selector":"buf.live"}]}'],
                         h.METHODS["Subscribe"].full), stdout=subprocess.PIPE, text=True, cwd=self.server.directory)
        self.addCleanup(watching.stdout.close)
        self.addCleanup(watching.wait)
        self.addCleanup(watching.kill)
        seen = objects(iter(lambda: watching.stdout.read(1), ""))
        self.assertTrue(any("backfillDone" in message for message in seen))
        self.curl("Push", {"samples": [{"metric": "buf.live", "value": 42}]}, token)
        frame = next(message for message in seen if "samples" in message)
        self.assertEqual(frame["samples"]["columns"][0]["values"], [42])
        self.assertTrue(frame["resumeToken"])

    def test_health_is_serving(self):
        answer, = self.curl(None, {}, path="/grpc.health.v1.Health/Check")
        self.assertEqual(answer["status"], "SERVING")

    def test_errors_arrive_with_their_details(self):
        error = json.loads(self.refused("QueryLatest", '{"selector":"a{"}', self.login()))
        self.assertEqual(error["code"], "invalid_argument")
        infos = [h.error_details_pb2.ErrorInfo.FromString(base64.b64decode(d["value"] + "=="))
                 for d in error["details"] if d["type"] == "google.rpc.ErrorInfo"]
        self.assertEqual([(i.reason, i.domain) for i in infos], [("BAD_SELECTOR", "pulseboard")])
        self.assertEqual(infos[0].metadata["selector"], "a{")

    def test_wrong_types_never_arrive(self):
        token = self.login()
        for method, data in (
                ("Login", '{"login": 5}'), ("Push", '{"samples": 5}'), ("Push", '{"samples": [{"metric": "a", "value": "x"}]}'),
                ("Push", '{"samples": [{"metric": "a", "time": "yesterday"}]}'), ("ListUsers", '{"page_size": "many"}'),
                ("ListUsers", '{"page_size": 2147483648}'), ("ListUsers", '{"role": "ROLE_KING"}'), ("SetRole", '[1]'),
                ("UpdatePreferences", '{"preferences": [1]}'), ("UpdatePreferences", '{"preferences": {"a": NaN}}'),
                ("QueryRange", '{"start_time": "2020-13-01T00:00:00Z"}'), ("QueryRange", '{"max_points": 1.5}'),
                ("Subscribe", '{"resume_token": "***"}'), ("Subscribe", '{"queries": {"selector": "a"}}'),
                ("WhoAmI", '{"no_such_field": 1}'), ("GetUser", "not JSON")):
            with self.subTest(method=method, data=data):
                self.assertTrue(self.refused(method, data, token))
        self.assertTrue(self.server.alive())


def objects(text):
    """JSON objects one after the other, from text or from an iterator of characters."""
    depth, quoted, escaped, buffer = 0, False, False, []
    for c in text:
        buffer.append(c)
        if quoted:
            escaped, quoted = (c == "\\" and not escaped), not (c == '"' and not escaped)
        elif c == '"':
            quoted = True
        elif c in "{}":
            depth += 1 if c == "{" else -1
            if depth == 0:
                yield json.loads("".join(buffer))
                buffer = []


class PlaintextTest(BufCurl, h.ServerTestCase):
    pass


class TlsTest(BufCurl, h.ServerTestCase):
    TLS = True


if __name__ == "__main__":
    unittest.main()

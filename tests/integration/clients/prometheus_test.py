"""Expressions against real Prometheus 2.42 on the same samples, where server/query/expression/LANGUAGE.md says that both mean
the same. Sample times lie between the edges of windows: there the two differ on purpose, as in what counters do.

Prometheus comes from PATH, or from where `./dev test` unpacks it; skipped without it."""
import json
import math
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import harness as h

SPACING_S = 15
COUNT = 200

# No two values are equal where topk has to choose: samples of two series never have the same time.
EXPRESSIONS = """
gauge
gauge{host="a"}
gauge{host=~"a|b",cpu!="0"}
{__name__=~"gauge|other",host!~"b"}
{__name__="gauge"}
missing
gauge offset 3m
gauge offset -90s
gauge @ {at}
gauge @ start()
sum_over_time(gauge[5m] @ end() offset 2m)
1 + 2 * 3 ^ 2 ^ 0.5 - 7 % 4 / 2
-2 ^ 2
time() - 1e9
2 > bool 1
-gauge
+gauge
gauge + 1
2 - gauge
gauge * 2 ^ 2
7 % gauge
gauge / 0
gauge > 4
4 > gauge
gauge >= bool 4
gauge == 3
gauge != bool 3
gauge + gauge
gauge - other
gauge - on (host, cpu) other
sum without (cpu) (gauge) - ignoring (cpu) sum without (cpu) (other)
gauge / on (host) group_left sizes
gauge / on (host) group_left (rack) sizes
sizes * on (host) group_right (rack) gauge
gauge > on (host) group_left sizes
sizes > bool on (host) group_right gauge
gauge and other
gauge and on (host) sizes
gauge unless on (host) sizes{rack="r1"}
gauge > 5 or other
abs(gauge) or abs(other)
sizes or on (rack) gauge
vector(1) or gauge
sum(gauge)
sum by (host) (gauge)
sum without (host) (gauge)
sum by (nothing) (gauge)
avg by (host) (gauge)
min(gauge) + max(gauge)
count(gauge > 3)
group by (cpu) (gauge)
stddev by (host) (gauge)
stdvar(gauge)
topk(2, gauge * 1000 + timestamp(gauge))
bottomk by (host) (1, gauge * 1000 + timestamp(gauge))
quantile(0.3, gauge)
quantile by (host) (1.5, gauge)
count_values("v", gauge)
count_values by (host) ("v", gauge / 8)
sum by (__name__) ({__name__=~"gauge|other"})
irate(counter[2m])
idelta(gauge[2m])
deriv(gauge[5m])
resets(counter[20m])
changes(gauge[5m])
avg_over_time(gauge[3m])
min_over_time(gauge[3m])
max_over_time(gauge[3m])
sum_over_time(gauge[3m])
count_over_time(gauge[3m])
last_over_time(gauge[10m])
quantile_over_time(0.7, gauge[5m])
quantile_over_time(scalar(sum(gauge)) / 50, gauge[5m])
stddev_over_time(gauge[5m])
stdvar_over_time(gauge[5m])
present_over_time(gauge[1m])
absent_over_time(gauge{host="a",cpu="0"}[10s])
absent(gauge{host="a"} > 8)
absent(missing{x="1",y=~"2"})
absent(sum(missing))
avg_over_time(gauge[3m] offset 1m)
max_over_time(sum(gauge)[5m:30s])
max_over_time(sum by (host) (gauge)[5m:])
avg_over_time(avg_over_time(gauge[1m])[10m:1m] offset 2m)
count_over_time((gauge > 4)[10m:20s])
deriv(irate(counter[2m])[10m:30s])
abs(gauge - 5)
ceil(gauge / 3)
floor(gauge / 3)
round(gauge / 3)
round(gauge - 5, 2)
clamp(gauge, 2, 6)
clamp(gauge, 6, 2)
clamp_min(gauge, 4)
clamp_max(gauge, 4)
exp(gauge)
ln(gauge)
log2(gauge)
log10(gauge)
sqrt(gauge - 4)
sgn(gauge - 4)
scalar(sizes{host="a"})
scalar(gauge)
vector(time())
timestamp(gauge)
timestamp(gauge + 1)
timestamp(gauge offset 1m)
label_replace(gauge, "x", "$1-${2}$$", "host", "(.)(.*)")
label_replace(gauge{host="a"}, "host", "", "cpu", "0") > 7
label_replace(gauge, "x", "y", "missing", "")
label_join(gauge, "x", "/", "host", "cpu", "none")
sort(gauge)
histogram_quantile(0.9, buckets)
histogram_quantile(0.5, sum by (le) (buckets))
histogram_quantile(scalar(sizes{host="a"}) / 40, buckets)
histogram_quantile(2, buckets)
""".replace("{at}", "AT").strip().splitlines()


def find(program):
    places = [os.environ.get("PROMETHEUS_BIN", ""), str(h.ROOT / "build/tools/peers/usr/bin")]
    places += [str(p.parent) for p in (h.ROOT / "build/tools/peers").glob("*/usr/bin/prometheus")]
    return shutil.which(program) or next((f"{p}/{program}" for p in places if p and os.access(f"{p}/{program}", os.X_OK)), None)


def series():
    """[(metric, labels, [(milliseconds, value)])], the same each time but for now."""
    rng = random.Random(7)
    begin = (int(time.time()) - 2 * 3600) // 60 * 60 * 1000
    built = []

    def add(metric, labels, values, gaps=True):
        # Off the whole half seconds, where the edges of windows are.
        at = begin + 137 + rng.randrange(300)
        samples = []
        for value in values:
            samples.append((at, float(value)))
            at += SPACING_S * 1000 + (rng.randrange(10) * SPACING_S * 1000 if gaps and rng.random() < 0.03 else 0)
        built.append((metric, labels, samples))

    for host in "abc":
        for cpu in "01":
            labels = {"host": host, "cpu": cpu}
            add("gauge", labels, [rng.randrange(10) for _ in range(COUNT)])
            add("other", labels, [rng.randrange(10) for _ in range(COUNT)])
            total, counted = 0, []
            for _ in range(COUNT):
                total = rng.randrange(3) if rng.random() < 0.05 else total + rng.randrange(6)
                counted.append(total)
            add("counter", labels, counted)
        add("sizes", {"host": host, "rack": f"r{ord(host) % 2}"}, [1 + rng.randrange(20) for _ in range(COUNT)])
    for job in "xy":
        for share, bound in ((1, "0.1"), (3, "0.5"), (4, "2"), (5, "+Inf")):
            add("buckets", {"le": bound, "job": job}, [share * (i + 1) for i in range(COUNT)], gaps=False)
    return begin, built


class Prometheus:
    def __init__(self, directory, samples):
        lines = [f"{metric}{{{','.join(f'{k}={json.dumps(v)}' for k, v in labels.items())}}} {value} {at / 1000:.3f}"
                 for metric, labels, points in samples for at, value in points]
        pathlib.Path(directory, "samples.om").write_text("\n".join(lines) + "\n# EOF\n")
        pathlib.Path(directory, "prometheus.yml").write_text("global: {}\n")
        subprocess.run([find("promtool"), "tsdb", "create-blocks-from", "openmetrics", f"{directory}/samples.om", f"{directory}/data"],
                       check=True, stdout=subprocess.DEVNULL)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self.process = subprocess.Popen(
            [find("prometheus"), f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
             f"--web.listen-address={self.url[7:]}", "--storage.tsdb.retention.time=10y", "--log.level=error"])
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).read()
                return
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.stop()
                    raise RuntimeError("Prometheus did not start")
                time.sleep(0.05)

    def stop(self):
        self.process.kill()
        self.process.wait()

    def range(self, expression, start, end, step):
        query = urllib.parse.urlencode({"query": expression, "start": f"{start / 1000:.3f}", "end": f"{end / 1000:.3f}", "step": step})
        with urllib.request.urlopen(f"{self.url}/api/v1/query_range?{query}", timeout=30) as response:
            result = json.load(response)["data"]["result"]
        return {tuple(sorted(s["metric"].items())): {round(t * 1000): float(v) for t, v in s["values"]} for s in result}


def near(a, b):
    if math.isnan(a) or math.isnan(b) or math.isinf(a) or math.isinf(b):
        return a == b or (math.isnan(a) and math.isnan(b))
    return abs(a - b) <= 1e-9 * max(1.0, abs(a), abs(b))


@unittest.skipUnless(find("prometheus") and find("promtool"),
                     "neither on PATH nor in build/tools/peers: ./dev test could not have the Debian package prometheus")
class PrometheusTest(h.ServerTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.directory = tempfile.mkdtemp(prefix="pulseboard-prometheus-")
        cls.addClassCleanup(shutil.rmtree, cls.directory, True)
        cls.begin, cls.series = series()
        rows = [(metric, labels, at, value) for metric, labels, points in cls.series for at, value in points]
        for first in range(0, len(rows), 1000):
            samples = []
            for metric, labels, at, value in rows[first:first + 1000]:
                built = h.ingest_pb2.Sample(metric=metric, value=value, labels=labels)
                built.time.FromMilliseconds(at)
                samples.append(built)
            answer = cls.admin.call("Push", samples=samples)
            assert answer.accepted_count == len(samples), answer
        cls.prometheus = Prometheus(cls.directory, cls.series)
        cls.addClassCleanup(cls.prometheus.stop)

    def ours(self, expression, start, end, step):
        request = h.query_pb2.QueryExpressionRequest(expression=expression)
        request.start_time.FromMilliseconds(start)
        request.end_time.FromMilliseconds(end)
        request.step.FromSeconds(step)
        names, found = {}, {}
        for chunk in self.admin.call("QueryExpression", request):
            if chunk.HasField("definition"):
                one = chunk.definition.series
                labels = {label.name: label.value for label in one.labels}
                if one.metric:
                    labels["__name__"] = one.metric
                names[chunk.definition.ref] = tuple(sorted(labels.items()))
            for columns in chunk.samples.columns:
                values = found.setdefault(names[columns.ref], {})
                values.update((at // 10**6, value) for at, value in h.times_and_values(columns))
        return found

    def test_expressions_mean_the_same(self):
        # Half a second off the minute: instants of subqueries, too, are never on an edge.
        start = self.begin - 60_000 + 500
        end = start + (COUNT * SPACING_S + 1800) * 1000
        with_values = 0
        for expression in EXPRESSIONS:
            expression = expression.replace("AT", str(self.begin // 1000 + 1200) + ".5")
            for step in (13, 60):
                with self.subTest(expression=expression, step=step):
                    expected = self.prometheus.range(expression, start, end, step)
                    got = self.ours(expression, start, end, step)
                    self.assertEqual(sorted(got), sorted(expected))
                    for labels, values in expected.items():
                        self.assertEqual(sorted(got[labels]), sorted(values), labels)
                        for at, value in values.items():
                            self.assertTrue(near(got[labels][at], value), f"{labels} at {at}: {got[labels][at]}, expected {value}")
                    with_values += bool(expected)
        self.assertGreater(with_values, 1.8 * len(EXPRESSIONS))

    def test_what_prometheus_refuses_is_refused(self):
        for expression in ("sum(gauge", "gauge[5m]", "rate(gauge)", "1 and 2", "gauge + on (x) group_left (x) other", "foo(gauge)",
                           "gauge offset 5m [5m]", "1 == 2", "{}", "gauge + bool 1", "topk(gauge, gauge)", "(gauge)[5m]",
                           "gauge * on (host) other", "gauge - ignoring (cpu) sum without (cpu) (other)",
                           'label_replace(gauge, "host", "", "cpu", ".*")', "sizes * on (host) gauge", "gauge @ foo", "gauge[5m1h]"):
            with self.subTest(expression=expression):
                with self.assertRaises(urllib.error.HTTPError) as refused:
                    self.prometheus.range(expression, self.begin + 600_500, self.begin + 660_500, 60)
                refused.exception.close()
                request = h.query_pb2.QueryExpressionRequest(expression=expression)
                request.end_time.FromMilliseconds(self.begin + 600_500)
                failed = self.admin.failure("QueryExpression", request)
                self.assertIsNotNone(failed)
                self.assertEqual((failed.code, failed.reason), ("INVALID_ARGUMENT", "BAD_EXPRESSION"), str(failed))


if __name__ == "__main__":
    unittest.main()

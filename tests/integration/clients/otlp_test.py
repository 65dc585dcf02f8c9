"""OpenTelemetry's MetricsService: what becomes of each kind of metric (server/ingest/OTLP.md), what is refused, who may push."""
import os
import pathlib
import subprocess
import unittest

import harness as h
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service, metrics_service_pb2_grpc as service_grpc
from opentelemetry.proto.common.v1 import common_pb2 as common
from opentelemetry.proto.metrics.v1 import metrics_pb2 as metrics

SECOND = 1_000_000_000
CUMULATIVE, DELTA = metrics.AGGREGATION_TEMPORALITY_CUMULATIVE, metrics.AGGREGATION_TEMPORALITY_DELTA


def attributes(**values):
    kinds = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}
    return [common.KeyValue(key=key.replace("__", "."), value=common.AnyValue(**{kinds[type(value)]: value}))
            for key, value in values.items()]


class OtlpTest(h.ServerTestCase):
    def setUp(self):
        self.now = h.now_nanos() // SECOND * SECOND
        self.stub = service_grpc.MetricsServiceStub(self.admin.channel)

    def export(self, *metric, metadata=None):
        request = service.ExportMetricsServiceRequest()
        resource = request.resource_metrics.add()
        resource.resource.attributes.extend(attributes(service__name="shop", telemetry__sdk__name="x", process__pid=7))
        scope = resource.scope_metrics.add()
        scope.scope.name = "cart"
        scope.metrics.extend(metric)
        return self.stub.Export(request, metadata=metadata or self.admin.metadata, timeout=h.DEADLINE_S)

    def point(self, value, seconds_ago=0.0, start_ago=None, **more):
        start = self.now - int(start_ago * SECOND) if start_ago is not None else 0
        return metrics.NumberDataPoint(time_unix_nano=self.now - int(seconds_ago * SECOND), start_time_unix_nano=start,
                                       as_double=value, attributes=attributes(**more))

    def latest(self, selector):
        answer = self.admin.call("QueryLatest", selector=selector)
        return {tuple(sorted((l.name, l.value) for l in s.series.labels)): s for s in answer.samples}

    def evaluate(self, expression):
        request = h.query_pb2.QueryExpressionRequest(expression=expression, end_time=h.google_time(self.now // SECOND))
        values = []
        for message in self.admin.start("QueryExpression", request):
            for column in message.samples.columns:
                values += column.values
        return values

    def test_labels_come_from_resource_scope_and_point(self):
        gauge = metrics.Metric(name="queue.size", unit="1", gauge=metrics.Gauge(
            data_points=[self.point(3.0, shop__lane="a", express=True), self.point(4.0, service__name="other")]))
        self.assertFalse(self.export(gauge).HasField("partial_success"))
        found = self.latest("queue.size")
        own = (("express", "true"), ("otel.scope.name", "cart"), ("service.name", "shop"), ("shop.lane", "a"))
        self.assertEqual(found[own].value, 3.0)
        self.assertEqual(found[own].series.kind, h.types_pb2.METRIC_KIND_GAUGE)
        self.assertEqual(found[(("otel.scope.name", "cart"), ("service.name", "other"))].value, 4.0)
        self.assertEqual(len(found), 2)

    def test_a_counter_counts_from_its_start_and_over_restarts_it_has_passed(self):
        def push(value, ago, start_ago):
            self.export(metrics.Metric(name="orders", sum=metrics.Sum(
                data_points=[self.point(value, ago, start_ago)], aggregation_temporality=CUMULATIVE, is_monotonic=True)))
        push(10.0, 100, 110)
        self.assertEqual(self.evaluate("increase(orders[200s])"), [10.0])
        push(15.0, 90, 110)
        push(15.0, 90, 110)  # sent again
        push(40.0, 60, 80)  # began anew and is above already
        self.assertEqual(self.evaluate("increase(orders[200s])"), [55.0])
        self.assertEqual(self.latest("orders").popitem()[1].series.kind, h.types_pb2.METRIC_KIND_COUNTER)

    def test_a_counter_may_be_told_in_the_moment_it_starts(self):
        self.export(metrics.Metric(name="quick", sum=metrics.Sum(
            data_points=[self.point(4.0, 10, 10)], aggregation_temporality=CUMULATIVE, is_monotonic=True)))
        self.assertEqual(self.evaluate("increase(quick[1m])"), [4.0])

    def test_sums_by_temporality(self):
        self.export(
            metrics.Metric(name="bytes", sum=metrics.Sum(aggregation_temporality=DELTA, is_monotonic=True, data_points=[
                self.point(5.0, 20), self.point(7.0, 10)])),
            metrics.Metric(name="open", sum=metrics.Sum(aggregation_temporality=CUMULATIVE, data_points=[
                self.point(2.0, 20, 30)])))
        self.assertEqual(self.evaluate("increase(bytes[1m])"), [12.0])
        self.assertEqual(self.latest("open").popitem()[1].series.kind, h.types_pb2.METRIC_KIND_GAUGE)
        self.assertEqual(self.evaluate("count_over_time(open[1m])"), [1.0])

    def test_histograms_are_component_series_whose_quantiles_have_bounds(self):
        point = metrics.HistogramDataPoint(time_unix_nano=self.now, start_time_unix_nano=self.now - 60 * SECOND, count=10,
                                           sum=42.0, bucket_counts=[2, 5, 3], explicit_bounds=[1.0, 2.5], min=0.5, max=9.0)
        self.export(metrics.Metric(name="took", unit="s", histogram=metrics.Histogram(
            data_points=[point], aggregation_temporality=CUMULATIVE)))
        self.assertEqual(sorted((dict(labels)["le"], s.value) for labels, s in self.latest("took_bucket").items()),
                         [("+Inf", 10.0), ("1", 2.0), ("2.5", 7.0)])
        for name, value in (("took_count", 10.0), ("took_sum", 42.0), ("took_min", 0.5), ("took_max", 9.0)):
            self.assertEqual(self.latest(name).popitem()[1].value, value)
        self.assertEqual(self.evaluate("histogram_quantile_low(0.5, increase(took_bucket[5m]))"), [1.0])
        self.assertEqual(self.evaluate("histogram_quantile_high(0.5, increase(took_bucket[5m]))"), [2.5])

    def test_the_sum_of_values_that_may_be_negative_is_no_counter(self):
        for name, more, kind in (("above", dict(sum=3.0, min=1.0), h.types_pb2.METRIC_KIND_COUNTER),
                                 ("below", dict(sum=3.0, min=-1.0), h.types_pb2.METRIC_KIND_GAUGE),
                                 ("bound", dict(sum=3.0, explicit_bounds=[-5.0], bucket_counts=[0, 2]),
                                  h.types_pb2.METRIC_KIND_GAUGE)):
            point = metrics.HistogramDataPoint(time_unix_nano=self.now, start_time_unix_nano=self.now - 60 * SECOND,
                                               count=2, **more)
            self.export(metrics.Metric(name=name, histogram=metrics.Histogram(
                data_points=[point], aggregation_temporality=CUMULATIVE)))
            self.assertEqual(self.latest(name + "_sum").popitem()[1].series.kind, kind, name)
            self.assertEqual(self.latest(name + "_count").popitem()[1].series.kind, h.types_pb2.METRIC_KIND_COUNTER)

    def test_exponential_histograms_keep_their_quantiles_within_a_factor(self):
        value, scale = 100.0, 6  # 64 buckets per octave
        index = 425  # 2^(425/64) < 100 <= 2^(426/64)
        self.assertTrue(2 ** (index / 64) < value <= 2 ** ((index + 1) / 64))
        point = metrics.ExponentialHistogramDataPoint(
            time_unix_nano=self.now, start_time_unix_nano=self.now - 60 * SECOND, count=9, sum=1.0, scale=scale, zero_count=1)
        point.positive.offset = index
        point.positive.bucket_counts.extend([6])
        point.negative.offset = 0
        point.negative.bucket_counts.extend([2])
        self.export(metrics.Metric(name="sizes", exponential_histogram=metrics.ExponentialHistogram(
            data_points=[point], aggregation_temporality=CUMULATIVE)))
        (low,) = self.evaluate("histogram_quantile_low(0.9, increase(sizes_bucket[5m]))")
        (high,) = self.evaluate("histogram_quantile_high(0.9, increase(sizes_bucket[5m]))")
        self.assertTrue(low < value <= high and high / low < 1.0906, (low, high))
        (low,) = self.evaluate("histogram_quantile_low(0.05, increase(sizes_bucket[5m]))")
        (high,) = self.evaluate("histogram_quantile_high(0.05, increase(sizes_bucket[5m]))")
        self.assertTrue(low < -1.0 <= high <= -0.9, (low, high))

    def test_a_bucket_that_has_its_first_value_late_brings_no_others(self):
        def push(ago, counts):
            point = metrics.ExponentialHistogramDataPoint(
                time_unix_nano=self.now - ago * SECOND, start_time_unix_nano=self.now - 3000 * SECOND, count=sum(counts), scale=3)
            point.positive.bucket_counts.extend(counts)
            self.export(metrics.Metric(name="late", exponential_histogram=metrics.ExponentialHistogram(
                data_points=[point], aggregation_temporality=CUMULATIVE)))
        push(2000, [1000])
        push(20, [1000])
        push(10, [1001, 0, 0, 2])
        self.assertEqual(sorted(self.evaluate("increase(late_bucket[1m])")), [1.0, 2.0])
        self.assertEqual(self.evaluate("sum(increase(late_bucket[1h]))"), [1003.0])

    def test_an_application_with_the_sdk(self):
        modules = pathlib.Path(h.BUF).parent.parent
        for temporality in ("cumulative", "delta"):
            done = subprocess.run(
                ["node", "tests/integration/clients/otel_sdk.cjs"], capture_output=True, text=True, timeout=60, cwd=h.ROOT,
                env={**os.environ, "NODE_PATH": str(modules), "PULSEBOARD_SERVER": self.server.address, "TEMPORALITY": temporality,
                     "PULSEBOARD_TOKEN": self.admin.session.tokens.access_token})
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            self.now = h.now_nanos() // SECOND * SECOND + SECOND
            me = f'service.name="shop",service.instance.id="{temporality}"'
            for name, value in ((f'shop.orders{{country="de",{me}}}', 6.0), (f'shop.latency_count{{{me}}}', 9.0),
                                (f'shop.latency_bucket{{le="0.1",{me}}}', 3.0), (f'shop.latency_bucket{{le="1",{me}}}', 7.0),
                                (f'shop.latency_bucket{{le="+Inf",{me}}}', 9.0), (f'shop.latency.exponential_count{{{me}}}', 9.0)):
                self.assertEqual(self.evaluate(f"increase({name}[5m])"), [value], name)
            self.assertEqual(sorted(self.evaluate(f"increase(shop.latency.exponential_bucket{{{me}}}[5m])")), [1, 1, 1, 3, 3])
            self.assertEqual(self.latest(f'shop.temperature{{room="store",{me}}}').popitem()[1].value, 21.5)

    def test_summaries(self):
        point = metrics.SummaryDataPoint(time_unix_nano=self.now, count=4, sum=8.0)
        point.quantile_values.add(quantile=0.99, value=3.5)
        self.export(metrics.Metric(name="rpc", summary=metrics.Summary(data_points=[point])))
        self.assertEqual(self.latest('rpc{quantile="0.99"}').popitem()[1].value, 3.5)
        self.assertEqual(self.latest("rpc_count").popitem()[1].value, 4.0)

    def test_one_bad_point_costs_only_itself(self):
        answer = self.export(
            metrics.Metric(name="good", gauge=metrics.Gauge(data_points=[self.point(1.0)])),
            metrics.Metric(name="bad name!", gauge=metrics.Gauge(data_points=[self.point(1.0)])),
            metrics.Metric(name="timeless", gauge=metrics.Gauge(data_points=[metrics.NumberDataPoint(as_int=1)])),
            metrics.Metric(name="unsaid", sum=metrics.Sum(data_points=[self.point(1.0), self.point(2.0)])),
            metrics.Metric(name="crooked", histogram=metrics.Histogram(aggregation_temporality=DELTA, data_points=[
                metrics.HistogramDataPoint(time_unix_nano=self.now, bucket_counts=[1, 2], explicit_bounds=[1.0, 2.0])])))
        self.assertEqual(answer.partial_success.rejected_data_points, 5)
        self.assertIn("time_unix_nano 0", answer.partial_success.error_message)
        self.assertEqual(self.latest("good").popitem()[1].value, 1.0)

    def test_a_request_larger_than_a_batch_is_taken_whole(self):
        points = [self.point(float(i), number=i) for i in range(25_000)]
        answer = self.export(metrics.Metric(name="many", sum=metrics.Sum(
            data_points=points, aggregation_temporality=CUMULATIVE, is_monotonic=True)))
        self.assertFalse(answer.HasField("partial_success"), str(answer))
        counts = [self.evaluate(f'count(many{{number=~"{part}"}})') for part in (".{1,4}", "1....", "2....")]
        self.assertEqual(counts, [[10_000.0], [10_000.0], [5_000.0]])

    def test_only_pushers_may(self):
        self.admin.call("CreateUser", user_name="watcher", password="correct horse battery",
                        role=h.user_pb2.Role.Value("ROLE_VIEWER"))
        viewer = h.Client(self.server, "watcher", "correct horse battery")
        self.addCleanup(viewer.close)
        gauge = metrics.Metric(name="queue.size", gauge=metrics.Gauge(data_points=[self.point(3.0)]))
        for metadata, code in ((viewer.metadata, "PERMISSION_DENIED"), ([("x", "y")], "UNAUTHENTICATED")):
            with self.assertRaises(h.grpc.RpcError) as refused:
                self.export(gauge, metadata=metadata)
            self.assertEqual(refused.exception.code().name, code)


if __name__ == "__main__":
    unittest.main()

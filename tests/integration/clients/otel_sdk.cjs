// What an application with the OpenTelemetry SDK does; otlp_test.py runs it. Prints what it counted as JSON.
const { MeterProvider, PeriodicExportingMetricReader, AggregationType, AggregationTemporality } = require("@opentelemetry/sdk-metrics");
const { OTLPMetricExporter } = require("@opentelemetry/exporter-metrics-otlp-grpc");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { Metadata } = require("@grpc/grpc-js");

const metadata = new Metadata();
metadata.set("authorization", `Bearer ${process.env.PULSEBOARD_TOKEN}`);
const temporality = process.env.TEMPORALITY === "delta" ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE;
const exporter = new OTLPMetricExporter({ url: `http://${process.env.PULSEBOARD_SERVER}`, metadata, temporalityPreference: temporality });
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
const provider = new MeterProvider({
  resource: resourceFromAttributes({ "service.name": "shop", "service.instance.id": process.env.TEMPORALITY }),
  readers: [reader],
  views: [{ instrumentName: "*.exponential", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
});
const meter = provider.getMeter("checkout", "1.0");
const orders = meter.createCounter("shop.orders", { unit: "{order}", description: "Orders that were paid." });
const open = meter.createUpDownCounter("shop.carts");
const explicit = meter.createHistogram("shop.latency", { unit: "s", advice: { explicitBucketBoundaries: [0.1, 0.5, 1] } });
const exponential = meter.createHistogram("shop.latency.exponential", { unit: "s" });
meter.createObservableGauge("shop.temperature").addCallback((result) => result.observe(21.5, { room: "store" }));

(async () => {
  for (let round = 0; round < 3; ++round) {
    orders.add(round + 1, { country: "de" });
    open.add(round === 1 ? -1 : 2);
    for (const value of [0.05, 0.3, 0.7 + round]) {
      explicit.record(value);
      exponential.record(value);
    }
    await reader.forceFlush();
  }
  await provider.shutdown();
})().catch((error) => { console.error(error); process.exit(1); });

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <thread>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "tests/bench/peers/report.h"
#include "tests/bench/peers/sections.h"

namespace pulseboard::bench {
namespace {

constexpr std::chrono::seconds kAfterLoad{2};  // background work that the load left behind still counts
constexpr int kCheckedHosts = 10;
constexpr double kLeastLiveRatio = 2.5, kMostCpuPerMillion = 0.15, kMostRollups = 0.15;
constexpr double kDisturbedCores = 0.2;  // used by other processes during a load

struct Contestant {
  std::unique_ptr<Peer> peer;
  bool measured_on_disk = false;  // one way of each server
  bool takes_live = true;         // false: what it is sent was compressed by another one of its kind before
  std::vector<double> rates, cpu_per_million, cpu_later;
  int64_t peak_bytes = 0;
  bool disturbed = false;
  double bytes_per_sample = 0, rollup_share = 0;  // on disk
  bool is_lossless = false;
  std::string lossless = "";
};

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

std::vector<Contestant> MakeContestants(const BenchSettings& settings) {
  std::vector<Contestant> out;
  const auto add = [&out](std::unique_ptr<Peer> peer, bool on_disk) {
    out.emplace_back();
    out.back().peer = std::move(peer);
    out.back().measured_on_disk = on_disk;
  };
  if (!settings.programs.victoria.empty()) {
    add(MakeVictoria(settings.programs, VictoriaWay::kText), false);
    add(MakeVictoria(settings.programs, VictoriaWay::kColumns), true);
    add(MakeVictoria(settings.programs, VictoriaWay::kBlocks), false);
    out.back().takes_live = false;
  }
  if (!settings.programs.influx.empty()) add(MakeInflux(settings.programs), true);
  if (!settings.programs.prometheus.empty()) add(MakePrometheus(settings.programs), true);
  add(MakePulseboard(1), true);
  add(MakePulseboard(2), false);
  return out;
}

struct Comparison {
  int64_t sent = 0, identical = 0;
  double worst = 0;  // relative
};

void CompareSeries(const Workload& workload, const double* sent, const SampleColumns& back, Comparison* out) {
  out->sent += workload.steps;
  for (size_t i = 0; i < back.size(); ++i) {
    const int64_t offset = back.times[i] - workload.start_unix_nanos;
    const int64_t step = offset / kWorkloadStepNanos;
    if (offset % kWorkloadStepNanos != 0 || step < 0 || step >= workload.steps) continue;
    const double value = sent[step];
    if (std::bit_cast<uint64_t>(value) == std::bit_cast<uint64_t>(back.values[i])) {
      ++out->identical;
    } else if (value != 0) {
      out->worst = std::max(out->worst, std::fabs(back.values[i] - value) / std::fabs(value));
    }
  }
}

absl::StatusOr<Comparison> CompareHosts(Peer* peer, const Workload& workload, int hosts) {
  Comparison out;
  for (int i = 0; i < hosts; ++i) {
    const int host = i * workload.hosts / hosts;
    PB_ASSIGN_OR_RETURN(const std::vector<SampleColumns> series, peer->ReadHost(host));
    for (int metric = 0; metric < kMetricsPerHost; ++metric) {
      CompareSeries(workload, workload.SeriesValues(host, metric), series[static_cast<size_t>(metric)], &out);
    }
  }
  return out;
}

absl::Status MeasureOnDisk(const Workload& workload, Contestant* c) {
  PB_RETURN_IF_ERROR(c->peer->Settle());
  PB_ASSIGN_OR_RETURN(const int64_t bytes, c->peer->DataBytes());
  PB_ASSIGN_OR_RETURN(const Comparison back, CompareHosts(c->peer.get(), workload, kCheckedHosts));
  c->bytes_per_sample = static_cast<double>(bytes) / static_cast<double>(workload.samples());
  c->rollup_share = static_cast<double>(c->peer->RollupBytes()) / static_cast<double>(bytes);
  c->is_lossless = back.identical == back.sent;
  c->lossless = c->is_lossless
                    ? "yes"
                    : Text("no: %lld of %lld as sent, off by up to %.0e", static_cast<long long>(back.identical),
                           static_cast<long long>(back.sent), back.worst);
  return absl::OkStatus();
}

absl::Status RunOnce(const Workload& workload, bool last, Contestant* c) {
  PB_RETURN_IF_ERROR(c->peer->StartFresh());
  const double cpu_before = testing::CpuSeconds(c->peer->pid());
  PB_ASSIGN_OR_RETURN(const LoadResult load, c->peer->Load());
  const double millions = static_cast<double>(load.samples) / 1e6;
  c->rates.push_back(millions / load.wall);
  c->cpu_per_million.push_back(load.server_cpu / millions);
  c->peak_bytes = std::max(c->peak_bytes, PeakResidentBytes(c->peer->pid()));
  c->disturbed |= load.other_cpu > kDisturbedCores * load.wall;
  std::fprintf(stderr, "  %s, %s: %.2f M samples/s, %.3f CPU-s per M (client %.3f, others %.2f cores)\n",
               c->peer->server().c_str(), c->peer->way().c_str(), c->rates.back(), c->cpu_per_million.back(),
               load.client_cpu / millions, load.other_cpu / load.wall);
  if (last) {
    std::this_thread::sleep_for(kAfterLoad);
    c->cpu_later.push_back((testing::CpuSeconds(c->peer->pid()) - cpu_before) / millions);
    if (c->measured_on_disk) PB_RETURN_IF_ERROR(MeasureOnDisk(workload, c));
  }
  c->peer->Kill();
  return absl::OkStatus();
}

// By server.
using Survivals = std::map<std::string, std::string>;

absl::StatusOr<Survivals> RunDurability(const BenchSettings& settings, int64_t start) {
  const Workload workload = MakeWorkload(100, 3, Precision::kTwoDecimals, start);
  Survivals out;
  for (Contestant& c : MakeContestants(settings)) {
    if (!c.measured_on_disk) continue;
    PB_RETURN_IF_ERROR(c.peer->Prepare(workload));
    PB_RETURN_IF_ERROR(c.peer->StartFresh());
    PB_RETURN_IF_ERROR(c.peer->Load().status());
    c.peer->Kill();
    PB_RETURN_IF_ERROR(c.peer->Restart());
    PB_ASSIGN_OR_RETURN(const Comparison back, CompareHosts(c.peer.get(), workload, workload.hosts));
    out[c.peer->server()] =
        Text("%.0f %%", 100.0 * static_cast<double>(back.identical) / static_cast<double>(back.sent));
    std::fprintf(stderr, "  %s: %lld of %lld samples after kill -9\n", c.peer->server().c_str(),
                 static_cast<long long>(back.identical), static_cast<long long>(back.sent));
    c.peer->Kill();
  }
  return out;
}

struct DataSet {
  int hosts, hours;
  Precision precision;
};

std::vector<DataSet> DataSets(bool quick) {
  if (quick) return {{100, 6, Precision::kInteger}, {100, 6, Precision::kTwoDecimals}, {100, 6, Precision::kFull}};
  return {{100, 24, Precision::kInteger},
          {100, 24, Precision::kTwoDecimals},
          {100, 24, Precision::kFull},
          {1000, 3, Precision::kInteger}};
}

std::string BytesText(const Contestant& c) {
  if (!c.measured_on_disk) return "";
  return Text("%.3f", c.bytes_per_sample) +
         (c.rollup_share > 0 ? Text(" + %.1f %% rollups", 100 * c.rollup_share) : "");
}

void AddRows(const Workload& workload, const std::vector<Contestant>& contestants, const Survivals& survivals,
             MarkdownTable* table) {
  for (const Contestant& c : contestants) {
    const auto survived = survivals.find(c.peer->server());
    table->Add({workload.Name(), c.peer->server(), c.peer->way(), c.peer->AckMeaning(),
                Text("%.2f%s", Median(c.rates), c.disturbed ? " *" : ""), Text("%.3f", Median(c.cpu_per_million)),
                Text("%.3f", Median(c.cpu_later)), Text("%.0f", static_cast<double>(c.peak_bytes) / (1 << 20)),
                BytesText(c), c.lossless, c.measured_on_disk && survived != survivals.end() ? survived->second : ""});
  }
}

// Of one server, over all its ways.
struct Best {
  double live_rate = 0, compressed_rate = 0, cpu_per_million = 1e9;
  double peak_mib = 0;
  const Contestant* on_disk = nullptr;
};

Best BestOf(std::string_view server, const std::vector<Contestant>& contestants) {
  Best out;
  for (const Contestant& c : contestants) {
    if (c.peer->server() != server) continue;
    double& rate = c.takes_live ? out.live_rate : out.compressed_rate;
    rate = std::max(rate, Median(c.rates));
    out.cpu_per_million = std::min(out.cpu_per_million, Median(c.cpu_per_million));
    if (!c.measured_on_disk) continue;
    out.on_disk = &c;
    out.peak_mib = static_cast<double>(c.peak_bytes) / (1 << 20);
  }
  return out;
}

// What the issue asks of bytes on disk, raw tier; integers: no more than VictoriaMetrics.
std::optional<double> MostBytesPerSample(Precision precision) {
  if (precision == Precision::kTwoDecimals) return 1.15;
  if (precision == Precision::kFull) return 6.5;
  return std::nullopt;
}

void JudgeBytes(const Workload& workload, const Contestant& ours, const Contestant* victoria,
                std::vector<Verdict>* out) {
  const std::optional<double> fixed = MostBytesPerSample(workload.precision);
  if (!fixed && victoria == nullptr) return;
  const double most = fixed ? *fixed : victoria->bytes_per_sample;
  out->push_back({workload.Name() + ": bytes per sample, raw tier",
                  Text("%.3f%s", ours.bytes_per_sample, ours.is_lossless ? ", lossless" : ", NOT lossless") +
                      (victoria == nullptr ? "" : Text("; VictoriaMetrics %.3f", victoria->bytes_per_sample)),
                  fixed ? Text("<= %.2f, lossless", most) : Text("<= VictoriaMetrics, %.3f", most),
                  ours.bytes_per_sample <= most && ours.is_lossless});
  out->push_back({workload.Name() + ": all rollup tiers", Text("+ %.1f %%", 100 * ours.rollup_share),
                  Text("<= %.0f %% more", 100 * kMostRollups), ours.rollup_share <= kMostRollups});
}

void Judge(const Workload& workload, const std::vector<Contestant>& contestants, std::vector<Verdict>* out) {
  const Best ours = BestOf("Pulseboard", contestants);
  const Best victoria = BestOf("VictoriaMetrics", contestants);
  const std::string name = workload.Name() + ": ";
  if (victoria.on_disk != nullptr) {
    const double live = ours.live_rate / victoria.live_rate, blocks = ours.live_rate / victoria.compressed_rate;
    out->push_back({name + "durable samples/s against VictoriaMetrics, live",
                    Text("%.1f x (%.2f and %.2f M/s)", live, ours.live_rate, victoria.live_rate),
                    Text(">= %.1f x", kLeastLiveRatio), live >= kLeastLiveRatio});
    out->push_back({name + "the same against its compressed blocks",
                    Text("%.1f x (%.2f M/s)", blocks, victoria.compressed_rate), "> 1 x", blocks > 1});
    out->push_back({name + "peak memory", Text("%.0f MiB, VictoriaMetrics %.0f", ours.peak_mib, victoria.peak_mib),
                    "not more than VictoriaMetrics", ours.peak_mib <= victoria.peak_mib});
  }
  out->push_back({name + "server CPU-s per M samples", Text("%.3f", ours.cpu_per_million),
                  Text("<= %.2f", kMostCpuPerMillion), ours.cpu_per_million <= kMostCpuPerMillion});
  JudgeBytes(workload, *ours.on_disk, victoria.on_disk, out);
}

}  // namespace

absl::StatusOr<SectionResult> RunIngest(const BenchSettings& settings) {
  // The day before yesterday, whole: ended for certain, and young enough for every default.
  const int64_t start = SystemClock().NowUnixNanos() / kNanosPerDay * kNanosPerDay - 2 * kNanosPerDay;
  std::fprintf(stderr, "durability: kill -9 right after the acks\n");
  PB_ASSIGN_OR_RETURN(const Survivals survivals, RunDurability(settings, start));
  SectionResult result;
  result.verdicts.push_back({"kept through kill -9 right after the acks", survivals.at("Pulseboard"), "100 %",
                             survivals.at("Pulseboard") == "100 %"});
  MarkdownTable table({"data", "server", "how it is sent", "ack means", "M samples/s", "server CPU-s per M",
                       "until 2 s later", "peak RSS MiB", "B/sample on disk", "lossless", "left by kill -9 after ack"});
  for (const DataSet& set : DataSets(settings.quick)) {
    const Workload workload = MakeWorkload(set.hosts, set.hours, set.precision, start);
    std::fprintf(stderr, "ingest: %s, making the requests\n", workload.Name().c_str());
    std::vector<Contestant> contestants = MakeContestants(settings);
    for (Contestant& c : contestants) PB_RETURN_IF_ERROR(c.peer->Prepare(workload));
    for (int run = 1; run <= settings.runs; ++run) {
      for (Contestant& c : contestants) {
        PB_RETURN_IF_ERROR(RunOnce(workload, run == settings.runs, &c));
      }
    }
    AddRows(workload, contestants, survivals, &table);
    Judge(workload, contestants, &result.verdicts);
  }
  result.text =
      table.text() + "\nMedian of " + std::to_string(settings.runs) + (settings.runs == 1 ? " run." : " runs.") +
      " Same data, same machine, requests made beforehand, loopback without TLS. On disk: the data files after a "
      "forced seal, flush or merge, without series index and logs (Pulseboard: the raw tier). Lossless: " +
      std::to_string(kCheckedHosts * kMetricsPerHost) +
      " series read back and compared bit by bit. \\*: other processes used more than a fifth of a core "
      "meanwhile.\n";
  return result;
}

}  // namespace pulseboard::bench

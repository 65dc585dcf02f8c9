#include "server/agent/host_sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>

#include "common/base/clock.h"
#include "common/model/names.h"
#include "tests/support/eventually.h"
#include "tests/support/temp_dir.h"

namespace pulseboard {
namespace {

using testing::TempDir;
using testing::WriteFile;

// A machine made of files.
class FakeMachine {
 public:
  FakeMachine() {
    std::filesystem::create_directories(dir_.File("proc/net"));
    std::filesystem::create_directories(dir_.File("proc/self"));
    std::filesystem::create_directories(dir_.File("proc/pressure"));
    std::filesystem::create_directories(dir_.File("sys/block/vda"));
  }
  void Write(std::string_view name, std::string_view content) {
    WriteFile(dir_.File("proc/" + std::string(name)), content);
  }
  void WriteProcess(int pid, const std::string& name, int ticks, int pages, int start = 5) {
    std::filesystem::create_directories(dir_.File("proc/" + std::to_string(pid)));
    Write(std::to_string(pid) + "/stat", std::to_string(pid) + " (" + name + ") S 1 1 1 0 -1 0 0 0 0 0 " +
                                             std::to_string(ticks) + " 0 0 0 20 0 1 0 " + std::to_string(start) +
                                             " 0 " + std::to_string(pages) + "\n");
  }
  void RemoveProcess(int pid) { std::filesystem::remove_all(dir_.File("proc/" + std::to_string(pid))); }
  HostSamplerOptions options() const {
    return {.host = "h", .proc_root = dir_.File("proc"), .sys_root = dir_.File("sys")};
  }

 private:
  TempDir dir_;
};

using Values = std::map<std::string, double>;  // by SeriesKey::Format, without the host

Values Read(HostSampler& sampler, int64_t seconds) {
  Values values;
  for (const Reading& reading : sampler.Sample(seconds * kNanosPerSecond)) {
    EXPECT_EQ(reading.labels.Get("host"), "h");
    std::vector<Label> labels;
    for (const Label& label : reading.labels) {
      if (label.name != "host") labels.push_back(label);
    }
    const std::string name = SeriesKey{std::string(reading.metric->name), Labels(std::move(labels))}.Format();
    EXPECT_TRUE(values.emplace(name, reading.value).second) << "twice: " << name;
  }
  return values;
}

TEST(HostSampler, SharesOutTheTimeOfEachCpu) {
  FakeMachine machine;
  HostSampler sampler(machine.options());
  machine.Write("stat", "cpu  0 0 0 0 0 0 0 0\ncpu0 100 0 100 800 0 0 0 0\n");
  EXPECT_FALSE(Read(sampler, 1).contains("system.cpu.usage{cpu=\"0\"}")) << "no rate from one reading";
  machine.Write("stat", "cpu  0 0 0 0 0 0 0 0\ncpu0 150 0 120 820 10 0 0 0\n");
  const Values values = Read(sampler, 2);
  EXPECT_DOUBLE_EQ(values.at("system.cpu.utilization{cpu=\"0\",mode=\"user\"}"), 50);
  EXPECT_DOUBLE_EQ(values.at("system.cpu.utilization{cpu=\"0\",mode=\"system\"}"), 20);
  EXPECT_DOUBLE_EQ(values.at("system.cpu.utilization{cpu=\"0\",mode=\"idle\"}"), 20);
  EXPECT_DOUBLE_EQ(values.at("system.cpu.utilization{cpu=\"0\",mode=\"iowait\"}"), 10);
  EXPECT_DOUBLE_EQ(values.at("system.cpu.usage{cpu=\"0\"}"), 70);
  EXPECT_FALSE(values.contains("system.cpu.usage{cpu=\"all\"}")) << "no time passed for it";
}

TEST(HostSampler, MeasuresDisksPerSecond) {
  FakeMachine machine;
  HostSampler sampler(machine.options());
  machine.Write("diskstats",
                " 254 0 vda 100 0 1000 50 10 0 100 20 0 500 70\n 254 1 vda1 100 0 1000 50 10 0 100 20 0 500 70\n");
  Read(sampler, 10);
  machine.Write("diskstats",
                " 254 0 vda 120 0 1400 90 10 0 100 20 2 1500 70\n 254 1 vda1 120 0 1400 90 10 0 100 20 0 500 70\n");
  const Values values = Read(sampler, 12);
  EXPECT_DOUBLE_EQ(values.at("system.disk.throughput{device=\"vda\",direction=\"read\"}"), 400 * 512 / 2.0);
  EXPECT_DOUBLE_EQ(values.at("system.disk.throughput{device=\"vda\",direction=\"write\"}"), 0);
  EXPECT_DOUBLE_EQ(values.at("system.disk.operations{device=\"vda\",direction=\"read\"}"), 10);
  EXPECT_DOUBLE_EQ(values.at("system.disk.busy{device=\"vda\"}"), 50);
  EXPECT_DOUBLE_EQ(values.at("system.disk.latency{device=\"vda\",direction=\"read\"}"), 2);
  EXPECT_DOUBLE_EQ(values.at("system.disk.queue{device=\"vda\"}"), 2);
  EXPECT_FALSE(values.contains("system.disk.busy{device=\"vda1\"}")) << "a partition";
}

TEST(HostSampler, LeavesOutRatesOfCountersThatWentBack) {
  FakeMachine machine;
  HostSampler sampler(machine.options());
  machine.Write("net/dev", "h\nh\n eth0: 1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0\n");
  Read(sampler, 1);
  machine.Write("net/dev", "h\nh\n eth0: 500 15 0 0 0 0 0 0 2600 21 0 0 0 0 0 0\n");
  const Values values = Read(sampler, 2);
  EXPECT_FALSE(values.contains("system.network.throughput{device=\"eth0\",direction=\"receive\"}"));
  EXPECT_DOUBLE_EQ(values.at("system.network.throughput{device=\"eth0\",direction=\"transmit\"}"), 600);
  EXPECT_DOUBLE_EQ(values.at("system.network.packets{device=\"eth0\",direction=\"receive\"}"), 5);
  EXPECT_DOUBLE_EQ(values.at("system.network.io{device=\"eth0\",direction=\"receive\"}"), 500);
}

TEST(HostSampler, DividesTheMemory) {
  FakeMachine machine;
  machine.Write("meminfo",
                "MemTotal: 1000 kB\nMemFree: 300 kB\nMemAvailable: 600 kB\nBuffers: 50 kB\nCached: 200 kB\n"
                "SReclaimable: 50 kB\nSwapTotal: 100 kB\nSwapFree: 75 kB\n");
  HostSampler sampler(machine.options());
  const Values values = Read(sampler, 1);
  EXPECT_DOUBLE_EQ(values.at("system.memory.usage{state=\"used\"}"), 400 * 1024);
  EXPECT_DOUBLE_EQ(values.at("system.memory.usage{state=\"cached\"}"), 250 * 1024);
  EXPECT_DOUBLE_EQ(values.at("system.memory.utilization"), 40);
  EXPECT_DOUBLE_EQ(values.at("system.swap.usage{state=\"used\"}"), 25 * 1024);
}

TEST(HostSampler, RanksProcessesByName) {
  FakeMachine machine;
  HostSampler sampler(machine.options());
  machine.WriteProcess(10, "web", 100, 50);
  machine.WriteProcess(11, "web", 100, 50);
  machine.WriteProcess(12, "db", 0, 1000);
  machine.WriteProcess(13, "kworker/0:1", 0, 0);
  Read(sampler, 1);
  machine.WriteProcess(10, "web", 125, 50);
  machine.WriteProcess(11, "web", 125, 60);
  machine.WriteProcess(14, "new", 10, 1);
  const Values values = Read(sampler, 2);
  EXPECT_DOUBLE_EQ(values.at("process.cpu.utilization{process=\"web\"}"), 50);
  EXPECT_DOUBLE_EQ(values.at("process.cpu.utilization{process=\"new\"}"), 10)
      << "all its time is since the last reading";
  EXPECT_DOUBLE_EQ(values.at("process.memory.usage{process=\"web\"}"), 110 * 4096);
  EXPECT_DOUBLE_EQ(values.at("process.memory.usage{process=\"db\"}"), 1000 * 4096);
  EXPECT_FALSE(values.contains("process.memory.usage{process=\"kworker\"}")) << "a kernel thread has none";
}

TEST(HostSampler, KnowsANewProcessWithAnOldPid) {
  FakeMachine machine;
  HostSampler sampler(machine.options());
  machine.WriteProcess(10, "old", 5000, 1, /*start=*/5);
  Read(sampler, 1);
  machine.RemoveProcess(10);
  machine.WriteProcess(10, "young", 20, 1, /*start=*/900);
  const Values values = Read(sampler, 2);
  EXPECT_DOUBLE_EQ(values.at("process.cpu.utilization{process=\"young\"}"), 20);
  EXPECT_FALSE(values.contains("process.cpu.utilization{process=\"old\"}"));
}

TEST(HostSampler, ReportsTenProcessesAndBoundsTheNames) {
  FakeMachine machine;
  HostSamplerOptions options = machine.options();
  options.max_process_names = 15;
  HostSampler sampler(options);
  std::set<std::string> names;
  for (int round = 1; round <= 5; ++round) {
    for (int i = 0; i < 20; ++i) {
      machine.WriteProcess(100 + i, "p" + std::to_string(round) + "-" + std::to_string(i), 0, 10 + i, round);
    }
    int memory = 0;
    for (const auto& [name, value] : Read(sampler, round)) {
      if (name.starts_with("process.memory.usage")) ++memory;
      names.insert(name.substr(name.find('{')));
    }
    if (round == 1) {
      EXPECT_EQ(memory, 10);
    }
  }
  EXPECT_EQ(names.size(), 15U);
}

TEST(HostSampler, HasNothingToSayOfAnEmptyMachine) {
  FakeMachine machine;
  HostSampler sampler(machine.options());
  EXPECT_TRUE(Read(sampler, 1).empty());
  HostSampler nowhere({.host = "h", .proc_root = "/no/such/proc", .sys_root = "/no/such/sys"});
  EXPECT_TRUE(Read(nowhere, 1).empty());
}

TEST(HostSampler, FillsTheRankingWithIdleProcessesThatUsedMost) {
  FakeMachine machine;
  HostSamplerOptions options = machine.options();
  options.top_processes = 2;
  HostSampler sampler(options);
  machine.WriteProcess(10, "busy", 10, 1);
  machine.WriteProcess(11, "idle", 20, 1);
  machine.WriteProcess(12, "veteran", 9000, 1);
  Read(sampler, 1);
  machine.WriteProcess(10, "busy", 20, 1);
  const Values values = Read(sampler, 2);
  EXPECT_DOUBLE_EQ(values.at("process.cpu.utilization{process=\"busy\"}"), 10);
  EXPECT_DOUBLE_EQ(values.at("process.cpu.utilization{process=\"veteran\"}"), 0);
  EXPECT_FALSE(values.contains("process.cpu.utilization{process=\"idle\"}"));
}

TEST(HostSampler, FindsAHundredSeriesOnThisMachine) {
  HostSampler sampler({.host = "h"});
  std::vector<Reading> readings;
  // The kernel's ticks must move between two readings, so real time has to pass.
  EXPECT_TRUE(testing::Eventually([&] {
    readings = sampler.Sample(SystemClock().MonotonicNanos());
    return readings.size() >= 100;
  })) << readings.size();
  for (const Reading& reading : readings) {
    EXPECT_TRUE(std::isfinite(reading.value)) << reading.metric->name;
    EXPECT_GE(reading.value, 0) << reading.metric->name;
  }
}

TEST(HostSampler, GivesOnlyNamesThatAServerTakes) {
  HostSampler sampler({.host = "h"});
  sampler.Sample(kNanosPerSecond);
  for (const Reading& reading : sampler.Sample(2 * kNanosPerSecond)) {
    EXPECT_TRUE(ValidateMetricName("metric", reading.metric->name).ok()) << reading.metric->name;
    EXPECT_LE(reading.metric->unit.size(), kMaxUnitBytes);
    EXPECT_LE(reading.metric->description.size(), kMaxDescriptionBytes);
    for (const Label& label : reading.labels) {
      EXPECT_TRUE(ValidateLabelName("label", label.name).ok()) << label.name;
      EXPECT_TRUE(ValidateLabelValue("label", label.value).ok()) << label.value;
    }
  }
}

}  // namespace
}  // namespace pulseboard

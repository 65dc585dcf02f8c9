#include "server/agent/proc_parsers.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "common/model/names.h"

namespace pulseboard {
namespace {

constexpr std::string_view kStat =
    "cpu  17830 19760 13501 314826 917 0 280 67 0 0\n"
    "cpu0 8092 9542 5950 159771 69 0 21 35 0 0\n"
    "cpu1 9737 10217 7550 155055 847 0 258 31 0 0\n"
    "intr 848282 0 0 1 1 13\n"
    "ctxt 1763978\n"
    "btime 1700000000\n"
    "processes 566\n"
    "procs_running 4\n"
    "procs_blocked 1\n"
    "softirq 500 1 2\n";

constexpr std::string_view kMemInfo =
    "MemTotal:       24684092 kB\n"
    "MemFree:        21227876 kB\n"
    "HugePages_Total:       3\n"
    "Hugepagesize:       2048 kB\n";

constexpr std::string_view kDiskStats =
    "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
    " 254       0 vda 117856 16415 9623186 83818 292828 47230 14698912 42800 3 20152 129991 17385 43 3488136 1311 "
    "67151 2060\n"
    " 254       1 vda1 10 0 80 5 1 0 8 1 0 6 6\n";

constexpr std::string_view kNetDev =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier "
    "compressed\n"
    "    lo:    3267      29    0    0    0     0          0         0     3267      29    0    0    0     0       0   "
    "       0\n"
    "  eth0: 511126521   13176    1    2    0     0          0         0   861878    8709    3    4    0     0       0 "
    "         0\n"
    "eth0:1:5 6 7 8 0 0 0 0 9 10 11 12 0 0 0 0\n";

constexpr std::string_view kPressure =
    "some avg10=53.70 avg60=28.45 avg300=14.39 total=124388257\n"
    "full avg10=0.25 avg60=0.00 avg300=0.00 total=0\n";

constexpr std::string_view kMounts =
    "proc /proc proc rw,relatime 0 0\n"
    "/dev/vda / ext4 rw,relatime 0 0\n"
    "/dev/vda /var/cache/long ext4 rw,relatime 0 0\n"
    "/dev/vdb /srv/with\\040blank xfs rw 0 0\n"
    "server:/export /mnt/nfs nfs4 rw 0 0\n"
    "overlay / overlay rw 0 0\n"
    "overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0\n"
    "tmpfs /run tmpfs rw 0 0\n";

constexpr std::string_view kPidStat =
    "574 (cat) R 561 561 6703 0 -1 4194304 98 0 0 0 12 30 0 0 20 0 1 0 183971 3133440 418 18446744073709551615 "
    "94906680520704 94906680540585 140727301174400 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n";

TEST(KernelStat, ReadsEveryCpuAndTheCounters) {
  const KernelStat stat = ParseKernelStat(kStat);
  ASSERT_EQ(stat.cpus.size(), 3U);
  EXPECT_EQ(stat.cpus[0].cpu, "all");
  EXPECT_EQ(stat.cpus[2].cpu, "1");
  EXPECT_EQ(stat.cpus[2].user, 9737);
  EXPECT_EQ(stat.cpus[2].steal, 31);
  EXPECT_EQ(stat.cpus[2].total(), 9737 + 10217 + 7550 + 155055 + 847 + 0 + 258 + 31);
  EXPECT_EQ(stat.context_switches, 1763978);
  EXPECT_EQ(stat.interrupts, 848282);
  EXPECT_EQ(stat.forks, 566);
  EXPECT_EQ(stat.running, 4);
  EXPECT_EQ(stat.blocked, 1);
}

TEST(KernelStat, TakesOldKernelsWithFewerModes) {
  const KernelStat stat = ParseKernelStat("cpu 1 2 3 4\n");
  ASSERT_EQ(stat.cpus.size(), 1U);
  EXPECT_EQ(stat.cpus[0].total(), 10);
}

TEST(KernelStat, LeavesOutWhatItCannotRead) {
  EXPECT_TRUE(ParseKernelStat("cpu\ncpu0 1 2\ncpux 1 2 3 4\ncpu1 a b c d\n").cpus.empty());
  EXPECT_TRUE(ParseKernelStat("cpu0 1 2 3 -4\n").cpus.empty());
  EXPECT_TRUE(ParseKernelStat("cpu0 18446744073709551615 2 3 4\n").cpus.empty()) << "would overflow the total";
  EXPECT_EQ(ParseKernelStat("ctxt \n").context_switches, std::nullopt);
  EXPECT_EQ(ParseKernelStat("ctxt 99999999999999999999999999\n").context_switches, std::nullopt);
}

TEST(MemInfo, GivesBytes) {
  const auto memory = ParseMemInfo(kMemInfo);
  EXPECT_EQ(memory.at("MemTotal"), int64_t{24684092} * 1024);
  EXPECT_EQ(memory.at("HugePages_Total"), 3);
  EXPECT_EQ(ParseMemInfo("A: 9223372036854775807 kB\n").at("A"), std::numeric_limits<int64_t>::max());
  EXPECT_TRUE(ParseMemInfo(":\n: 5\nA 5 kB\nB: -5 kB\nC:\n").empty());
}

TEST(LoadAverage, ReadsThreeWindowsAndThreads) {
  const auto load = ParseLoadAverage("1.80 1.06 0.59 4/112 566\n");
  ASSERT_TRUE(load);
  EXPECT_EQ(load->one, 1.80);
  EXPECT_EQ(load->fifteen, 0.59);
  EXPECT_EQ(load->threads, 112);
  EXPECT_FALSE(ParseLoadAverage("1.80 1.06"));
  EXPECT_FALSE(ParseLoadAverage("nan inf 1"));
  EXPECT_FALSE(ParseLoadAverage(""));
}

TEST(DiskStats, CountsInBytes) {
  const auto disks = ParseDiskStats(kDiskStats);
  ASSERT_EQ(disks.size(), 3U);
  EXPECT_EQ(disks[1].device, "vda");
  EXPECT_EQ(disks[1].reads, 117856);
  EXPECT_EQ(disks[1].read_bytes, int64_t{9623186} * 512);
  EXPECT_EQ(disks[1].read_ms, 83818);
  EXPECT_EQ(disks[1].writes, 292828);
  EXPECT_EQ(disks[1].written_bytes, int64_t{14698912} * 512);
  EXPECT_EQ(disks[1].write_ms, 42800);
  EXPECT_EQ(disks[1].in_flight, 3);
  EXPECT_EQ(disks[1].busy_ms, 20152);
  EXPECT_EQ(disks[2].busy_ms, 6) << "kernels before 4.18 have fewer columns";
  EXPECT_TRUE(ParseDiskStats("254 0 vda 1 2 3\n").empty());
}

TEST(NetworkDevices, ReadsNamesWithColons) {
  const auto networks = ParseNetworkDevices(kNetDev);
  ASSERT_EQ(networks.size(), 3U);
  EXPECT_EQ(networks[1].device, "eth0");
  EXPECT_EQ(networks[1].received_bytes, 511126521);
  EXPECT_EQ(networks[1].receive_drops, 2);
  EXPECT_EQ(networks[1].sent_packets, 8709);
  EXPECT_EQ(networks[1].send_errors, 3);
  EXPECT_EQ(networks[2].device, "eth0:1") << "no blank after the colon, and an alias";
  EXPECT_EQ(networks[2].sent_bytes, 9);
}

TEST(PressureFile, ReadsTheTenSecondAverage) {
  const Pressure pressure = ParsePressure(kPressure);
  EXPECT_EQ(pressure.some, 53.70);
  EXPECT_EQ(pressure.full, 0.25);
  EXPECT_EQ(ParsePressure("some avg60=1.0\n").some, std::nullopt);
  EXPECT_EQ(ParsePressure("some avg10=inf\n").some, std::nullopt);
}

TEST(Mounts, AreLocalDisksOncePerDevice) {
  const auto mounts = ParseLocalMounts(kMounts);
  ASSERT_EQ(mounts.size(), 3U);
  EXPECT_EQ(mounts[0].mount_point, "/");
  EXPECT_EQ(mounts[0].device, "/dev/vda");
  EXPECT_EQ(mounts[1].mount_point, "/srv/with blank");
  EXPECT_EQ(mounts[2].type, "overlay");
  EXPECT_EQ(mounts[2].mount_point, "/");
}

TEST(ProcessStatFile, ReadsTheFieldsThatCount) {
  const auto stat = ParseProcessStat(kPidStat);
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->pid, 574);
  EXPECT_EQ(stat->name, "cat");
  EXPECT_EQ(stat->cpu_ticks, 42);
  EXPECT_EQ(stat->start_ticks, 183971);
  EXPECT_EQ(stat->resident_pages, 418);
}

std::string PidStatNamed(std::string_view name) {
  std::string content(kPidStat);
  return content.replace(content.find("cat"), 3, name);
}

TEST(ProcessStatFile, TakesNamesThatTryToConfuse) {
  for (const std::string name : {"a b", ") R 1 1", "(((", "))) S 9 9 9 9", "\xc3\xa4pfel"}) {
    const auto stat = ParseProcessStat(PidStatNamed(name));
    ASSERT_TRUE(stat) << name;
    EXPECT_EQ(stat->name, name);
    EXPECT_EQ(stat->cpu_ticks, 42) << name;
  }
  EXPECT_EQ(ParseProcessStat(PidStatNamed("bad\xff\xfe"))->name, "bad??");
  EXPECT_EQ(ParseProcessStat(PidStatNamed(""))->name, "?");
  for (const std::string_view broken : {"", "574", "574 (cat", "574 (cat)", "574 cat) R 1", ")574(", "(cat) R 1 2 3"}) {
    EXPECT_FALSE(ParseProcessStat(broken)) << broken;
  }
}

TEST(ProcessNames, GoTogetherByKind) {
  EXPECT_EQ(ProcessGroup("kworker/0:1-events"), "kworker");
  EXPECT_EQ(ProcessGroup("ksoftirqd/1"), "ksoftirqd");
  EXPECT_EQ(ProcessGroup("nginx"), "nginx");
  EXPECT_EQ(ProcessGroup("/bin/sh"), "/bin/sh") << "a path is no kind";
}

TEST(SockStat, NamesEveryCount) {
  const auto counts = ParseSockStat("sockets: used 56\nTCP: inuse 5 orphan 0 tw 2 alloc 7 mem 1\nUDP: inuse\n");
  EXPECT_EQ(counts.at("sockets.used"), 56);
  EXPECT_EQ(counts.at("TCP.tw"), 2);
  EXPECT_FALSE(counts.contains("UDP.inuse"));
}

TEST(KeyNumbers, ReadsVmstat) {
  const auto numbers = ParseKeyNumbers("pgfault 10\npgmajfault 3\nbroken\nx y\n");
  EXPECT_EQ(numbers.size(), 2U);
  EXPECT_EQ(numbers.at("pgmajfault"), 3);
}

TEST(Uptime, IsSeconds) {
  EXPECT_EQ(ParseUptime("1837.55 3200.1\n"), 1837.55);
  EXPECT_EQ(ParseUptime("soon"), std::nullopt);
}

// Every parser on content that was cut, doubled, and shot through with random bytes: no crash (sanitizers watch), and
// never a name that the server would refuse.
TEST(Parsers, SurviveHostileContent) {
  const std::vector<std::string_view> originals = {kStat,
                                                   kMemInfo,
                                                   kDiskStats,
                                                   kNetDev,
                                                   kPressure,
                                                   kMounts,
                                                   kPidStat,
                                                   "1.80 1.06 0.59 4/112 566\n",
                                                   "TCP: inuse 5 orphan 0 tw 2 alloc 7 mem 1\n"};
  const std::vector<std::string> splices = {"18446744073709551615",
                                            "-9223372036854775808",
                                            "-1",
                                            " ",
                                            "\n",
                                            ":",
                                            ")",
                                            "(",
                                            std::string(1, '\0'),
                                            "\\777",
                                            "1e308",
                                            "nan",
                                            std::string(3000, '9')};
  std::mt19937_64 random(7);
  for (int round = 0; round < 30'000; ++round) {
    std::string content(originals[random() % originals.size()]);
    for (uint64_t edits = random() % 6; edits > 0 && !content.empty(); --edits) {
      const size_t at = random() % content.size();
      switch (random() % 4) {
        case 0:
          content.resize(at);
          break;
        case 1:
          content[at] = static_cast<char>(random());
          break;
        case 2:
          content.insert(at, splices[random() % splices.size()]);
          break;
        default:
          content.erase(at, random() % 20);
          break;
      }
    }
    for (const CpuTimes& cpu : ParseKernelStat(content).cpus) EXPECT_GE(cpu.total(), 0);
    for (const auto& [key, value] : ParseMemInfo(content)) EXPECT_GE(value, 0) << key;
    ParseLoadAverage(content);
    for (const DiskCounters& disk : ParseDiskStats(content)) EXPECT_FALSE(disk.device.empty());
    for (const NetworkCounters& network : ParseNetworkDevices(content)) EXPECT_FALSE(network.device.empty());
    ParsePressure(content);
    for (const Mount& mount : ParseLocalMounts(content)) EXPECT_TRUE(mount.mount_point.starts_with('/'));
    ParseKeyNumbers(content);
    ParseSockStat(content);
    ParseUptime(content);
    if (const auto stat = ParseProcessStat(content)) {
      EXPECT_TRUE(ValidateLabelValue("process", stat->name).ok());
      EXPECT_GE(stat->resident_pages, 0);
      EXPECT_GE(stat->cpu_ticks, 0);
    }
  }
}

}  // namespace
}  // namespace pulseboard

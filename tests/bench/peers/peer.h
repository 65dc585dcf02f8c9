// A server under test: started by hand on loopback with its data in a temporary folder, loaded one way, ended by its
// own pid. Pulseboard is one of them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/model/samples.h"
#include "tests/bench/peers/http.h"
#include "tests/bench/peers/workload.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace pulseboard::testing {
struct Login;
}  // namespace pulseboard::testing

namespace pulseboard::bench {

// Not thread-safe. A peer is prepared once and may then be started fresh and loaded any number of times.
class Peer {
 public:
  virtual ~Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  const std::string& server() const { return server_; }  // "VictoriaMetrics"
  const std::string& way() const { return way_; }        // "text lines, 2 connections"
  // What the server says when it acknowledges, as documented and as measured by the durability section.
  virtual std::string AckMeaning() const = 0;

  // Makes what Load sends, for this workload. The workload must outlive the peer.
  virtual absl::Status Prepare(const Workload& workload) = 0;
  // Starts on an empty data folder and waits until the server answers.
  virtual absl::Status StartFresh() = 0;
  // Starts again on the data folder as it is.
  virtual absl::Status Restart() = 0;
  virtual absl::StatusOr<LoadResult> Load() = 0;
  // Everything to disk in its final form, as small as the server makes it by itself.
  virtual absl::Status Settle() = 0;
  // Of samples on disk, without series index and logs. After Settle().
  virtual absl::StatusOr<int64_t> DataBytes() = 0;
  // Of rollups kept beside the samples, as of the last DataBytes().
  virtual int64_t RollupBytes() const { return 0; }
  // The ten series of a host in the order of kCpuMetrics.
  virtual absl::StatusOr<std::vector<SampleColumns>> ReadHost(int host) = 0;

  virtual std::string data_dir() const = 0;

  virtual pid_t pid() const = 0;
  // Where it answers HTTP; 0: it does not.
  virtual int port() const { return 0; }
  // How Pulseboard is asked, until it is started again; null for others.
  virtual const testing::Login* login() const { return nullptr; }
  virtual void Kill() = 0;  // SIGKILL, and waits for the end

 protected:
  Peer(std::string server, std::string way) : server_(std::move(server)), way_(std::move(way)) {}

 private:
  const std::string server_;
  const std::string way_;
};

// Bytes of the files below `folder` whose name ends with `suffix` (empty: all).
int64_t BytesBelow(const std::string& folder, std::string_view suffix = "");
// VmHWM.
int64_t PeakResidentBytes(pid_t pid);
// Path of an installed program, or of one below `peers` (where ./dev unpacks the packages); empty: there is none.
std::string FindProgram(const std::string& name, const std::string& peers);

// Where the programs of the other servers are; empty for one that is not there.
struct PeerPrograms {
  std::string victoria, influx, prometheus;
};
// See FindProgram. Says on stderr which are missing.
PeerPrograms FindPeerPrograms(const std::string& peers);

enum class VictoriaWay { kText, kColumns, kBlocks };
std::unique_ptr<Peer> MakeVictoria(const PeerPrograms& programs, VictoriaWay way);
std::unique_ptr<Peer> MakeInflux(const PeerPrograms& programs);
std::unique_ptr<Peer> MakePrometheus(const PeerPrograms& programs);
std::unique_ptr<Peer> MakePulseboard(int streams);

}  // namespace pulseboard::bench

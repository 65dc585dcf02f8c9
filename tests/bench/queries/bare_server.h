// A gRPC server that does nothing but answer two calls of QueryService with the same messages each time: what a query
// over gRPC costs before anything of Pulseboard's is done. No TLS, no metadata looked at, no interceptors, no threads
// of its own.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/queries/asker.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace pulseboard::bench {

// The argument with which queries_bench is such a server, on the port in the argument after it, until it is killed.
inline constexpr std::string_view kBareServerArgument = "--serve-bare-grpc";
int ServeBareGrpc(int port);

// Another process of this program. Not thread-safe.
class BareServer {
 public:
  // `program`: queries_bench itself.
  static absl::StatusOr<std::unique_ptr<BareServer>> Start(const std::string& program);

  pid_t pid() const { return process_->pid(); }
  // Asks as Pulseboard is asked for a question: QueryLatest is answered by one sample, QueryRange by a definition, the
  // columns of 360 samples and a summary.
  std::unique_ptr<Asker> MakeAsker() const;

 private:
  BareServer() = default;

  testing::TempDir folder_;
  int port_ = 0;
  std::unique_ptr<testing::Process> process_;
};

}  // namespace pulseboard::bench
